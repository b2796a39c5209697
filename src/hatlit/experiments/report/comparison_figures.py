"""The pictures of a comparison: who is best, by how much it matters, for whom, and at what price."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from hatlit.experiments.display import human_bytes
from hatlit.experiments.report.document import Paragraph, Picture
from hatlit.experiments.report.drawing import as_png, label_points, name_ticks, new_figure, shorten, spread
from hatlit.experiments.report.figures import BLUE, GREY, ORANGE
from hatlit.experiments.summary import best_first, marked, percent

#: The method whose student learns from the labels alone.
ALONE = "labels_only"

#: Targets that are called by their names at most; more would be unreadable.
MAX_NAMED = 40

#: Inches that a line of labels takes.
LINE = 0.21


def where(summary: Mapping[str, Any]) -> str:
    """On which data, for the titles of pictures."""
    demo = " (demo data, simulated)" if summary["is_demo"] else ""
    return f"{shorten(summary['data'])}{demo}, targets: {len(summary['targets'])}, seeds: {summary['seeds']}"


def called(name: str, one: Mapping[str, Any]) -> str:
    """A method's name, with a word of warning where no real method could do what it does."""
    return marked(shorten(name), one)


def accuracy_picture(summary: Mapping[str, Any]) -> Picture:
    """Accuracy of every method with its interval, the best on top."""
    ranked = _to_show(summary)
    figure = new_figure(9, 1.5 + LINE * 1.15 * len(ranked), "Accuracy by method", where(summary))
    axes = figure.subplots()
    for place, (name, one) in enumerate(ranked):
        mean, low, high = _with_ends(one["accuracy"])
        axes.barh(place, mean, 0.72, **_bar_style(name, one, summary["reference"]))
        axes.errorbar(mean, place, xerr=[[max(0, mean - low)], [max(0, high - mean)]], color="black", capsize=2.5, lw=1)
        words = percent(one["accuracy"])
        axes.text(1.01, place, words, fontsize=8, va="center", transform=axes.get_yaxis_transform())
    name_ticks(axes, "y", [called(name, one) for name, one in ranked])
    axes.set(xlim=(0, 100), ylim=(len(ranked) - 0.4, -0.6), xlabel="accuracy on the test parts, % (95 % interval)")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    figure.legend(handles=_kinds(summary), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    words = "; ".join(f"{called(name, one)} {100 * one['accuracy']['mean']:.1f} %" for name, one in ranked)
    caption = "Mean accuracy over targets and seeds. Black lines are 95 % intervals that resample whole targets."
    return Picture("accuracy", caption, f"Bars of accuracy by method, best first: {words}.", as_png(figure))


def critical_difference_picture(summary: Mapping[str, Any]) -> Picture | Paragraph:
    """Average ranks on one line; bars join the methods that Nemenyi's test cannot tell apart (Demšar 2006)."""
    critical = summary["critical_difference"]
    ranks = {name: one["average_rank"] for name, one in summary["methods"].items() if one["average_rank"] is not None}
    if critical is None or len(ranks) < 2:
        return Paragraph("No critical-difference diagram: it needs two methods and three targets or more.")
    ordered = sorted(ranks.items(), key=lambda item: item[1])
    groups = undecided([rank for _, rank in ordered], critical)
    rows = math.ceil(len(ordered) / 2)
    figure = new_figure(9, 1.6 + LINE * rows + 0.12 * len(groups), "Average rank over the targets", where(summary))
    axes = figure.subplots()
    _draw_scale(axes, len(ordered), critical)
    edge = 0.004 * len(ordered)
    for number, (first, last) in enumerate(groups):
        below = -0.5 - 0.55 * number
        axes.plot([ordered[first][1] - edge, ordered[last][1] + edge], [below, below], color="black", linewidth=3)
    start = -0.5 - 0.55 * len(groups) - 0.6
    for place, (name, rank) in enumerate(ordered):
        is_left = place < rows
        below = start - (place if is_left else len(ordered) - 1 - place)
        colour = BLUE if name == summary["reference"] else "#444444"
        _draw_rank(axes, name, rank, below, -0.03 if is_left else 1.03, colour)
    axes.set_ylim(start - rows + 0.4, 2.6)
    words = "; ".join(f"{name} {rank:.2f}" for name, rank in ordered)
    caption = (
        f"Rank 1 is best. Bars join methods whose average ranks differ by no more than the critical difference "
        f"({critical:.2f}, Nemenyi's test at 5 %): on these targets they cannot be told apart."
    )
    alt = f"Critical-difference diagram. Average ranks: {words}. Critical difference {critical:.2f}."
    return Picture("critical_difference", caption, alt, as_png(figure))


def undecided(ranks: Sequence[float], critical: float) -> list[tuple[int, int]]:
    """First and last place of each largest group of neighbours that lie within the critical difference.

    Args:
        ranks: average ranks, best first.
        critical: the critical difference.
    """
    groups: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = int(np.searchsorted(ranks, rank + critical, side="right")) - 1
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return groups


def slopes_picture(summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Picture | Paragraph:
    """What the sources did for each target: from labels alone to the reference method."""
    reference = summary["reference"]
    before, after = _by_target(rows, ALONE), _by_target(rows, reference)
    targets = [target for target in summary["targets"] if target in before and target in after]
    if reference == ALONE or not targets:
        return Paragraph(f"No picture of single targets: none has a finished run of both {ALONE} and {reference}.")
    named = len(targets) <= MAX_NAMED
    figure = new_figure(8, max(4.5, 1.7 + LINE * len(targets) * named), f"{ALONE} to {reference}", where(summary))
    axes = figure.subplots()
    for target in targets:
        style = _slope_style(after[target] - before[target])
        axes.plot([0, 1], [before[target], after[target]], linewidth=1.4, markersize=6, **style)
    name_ticks(axes, "x", [ALONE, reference])
    axes.set(xlim=(-0.15, 1.6 if named else 1.15), ylabel="accuracy, mean over seeds, %")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines["bottom"].set_bounds(-0.15, 1.15)
    changes = [after[target] - before[target] for target in targets]
    counts = {"up": sum(c > 0 for c in changes), "down": sum(c < 0 for c in changes), "same": changes.count(0)}
    handles = [
        Line2D([], [], label=f"{word}: {counts[word]}", **_slope_style(sign))
        for word, sign in (("up", 1), ("down", -1), ("same", 0))
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    if named:
        _name_ends(axes, [f"{shorten(t)}  {after[t] - before[t]:+.1f}" for t in targets], [after[t] for t in targets])
    caption = f"One line a target; the number is the change in points from {ALONE} to {reference}."
    words = ", ".join(f"{count} {word}" for word, count in counts.items())
    alt = f"Lines from {ALONE} to {reference}, one a target: {words}."
    return Picture("targets", caption, alt, as_png(figure))


def traffic_picture(summary: Mapping[str, Any]) -> Picture | Paragraph:
    """Accuracy against bytes moved. Methods that move nothing stand on a strip of their own: zero has no logarithm."""
    methods = _to_show(summary)
    moved = [one["bytes"] for _, one in methods]
    if not any(moved):
        return Paragraph("No picture of accuracy against bytes: no method moved any.")
    least, most = min(filter(None, moved)), max(moved)
    nothing = least / max(10.0, (most / least) ** 0.35)
    figure = new_figure(9, max(5.0, 3.2 + 0.15 * len(methods)), "Accuracy against bytes moved", where(summary))
    axes = figure.subplots()
    points = [
        (number or nothing, 100 * one["accuracy"]["mean"]) for number, (_, one) in zip(moved, methods, strict=True)
    ]
    for point, (name, one) in zip(points, methods, strict=True):
        axes.plot(*point, **_mark_style(name, one, summary["reference"]))
    axes.set_xscale("log")
    ticks = _round_numbers(least, most)
    named = [(nothing, "nothing"), *((tick, human_bytes(tick)) for tick in ticks)]
    axes.set_xticks([tick for tick, _ in named], [name for _, name in named])
    axes.minorticks_off()
    axes.axvline(math.sqrt(nothing * least), color=GREY, linewidth=0.8, linestyle=":")
    axes.set(
        xlim=(nothing / 3, most * (most / nothing) ** 0.25), xlabel="bytes moved (logarithmic)", ylabel="accuracy, %"
    )
    axes.margins(y=0.15)
    axes.grid(color="#eeeeee", linewidth=0.6)
    label_points(axes, points, [called(name, one) for name, one in methods])
    words = "; ".join(
        f"{name} {human_bytes(one['bytes'])}, {100 * one['accuracy']['mean']:.1f} %" for name, one in methods
    )
    caption = "Up and left is better. A star marks the reference, a hollow diamond an oracle."
    return Picture("traffic", caption, f"Accuracy and bytes moved of each method: {words}.", as_png(figure))


def _to_show(summary: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The methods with a finished run, best first."""
    return [(name, one) for name, one in best_first(summary) if one["n"]]


def _with_ends(accuracy: Mapping[str, Any]) -> tuple[float, float, float]:
    """Mean and ends of an interval in percent; an interval over one target has no ends, and is drawn without width."""
    mean = 100 * accuracy["mean"]
    low, high = (mean if accuracy[end] is None else 100 * accuracy[end] for end in ("low", "high"))
    return mean, low, high


def _bar_style(name: str, one: Mapping[str, Any], reference: str) -> dict[str, Any]:
    if one["is_oracle"]:
        return {"facecolor": "white", "edgecolor": GREY, "hatch": "////"}
    return {"facecolor": BLUE if name == reference else "#bbbbbb", "edgecolor": "#444444", "linewidth": 0.6}


def _mark_style(name: str, one: Mapping[str, Any], reference: str) -> dict[str, Any]:
    if one["is_oracle"]:
        return {"marker": "D", "markersize": 6, "markerfacecolor": "white", "markeredgecolor": "#444444"}
    if name == reference:
        return {"marker": "*", "markersize": 13, "color": BLUE}
    return {"marker": "o", "markersize": 6, "color": "#444444", "markeredgecolor": "white"}


def _slope_style(change: float) -> dict[str, Any]:
    if change > 0:
        return {"color": BLUE, "linestyle": "-", "marker": "^"}
    if change < 0:
        return {"color": ORANGE, "linestyle": "--", "marker": "v"}
    return {"color": GREY, "linestyle": ":", "marker": "o"}


def _kinds(summary: Mapping[str, Any]) -> list[Patch]:
    plain, oracle = {"is_oracle": False, "needs_source_data": False}, {"is_oracle": True, "needs_source_data": False}
    kinds = {"the reference": ("it", plain), "other methods": ("", plain), "oracles": ("", oracle)}
    present = {
        "the reference",
        "other methods",
        *(["oracles"] * any(o["is_oracle"] for o in summary["methods"].values())),
    }
    return [Patch(label=label, **_bar_style(*kind, "it")) for label, kind in kinds.items() if label in present]


def _draw_scale(axes: Axes, count: int, critical: float) -> None:
    """The line of ranks, and above it how long the critical difference is."""
    axes.set_xlim(1, max(count, 1 + critical))
    axes.axis("off")
    axes.plot([1, count], [0, 0], color="black", linewidth=1)
    for rank in range(1, count + 1):
        axes.plot([rank, rank], [0, 0.25], color="black", linewidth=1)
        axes.text(rank, 0.4, str(rank), ha="center", fontsize=8)
    axes.plot([1, 1 + critical], [1.55, 1.55], color="black", linewidth=1, marker="|", markersize=7)
    axes.text(1, 1.85, f"critical difference {critical:.2f}", fontsize=8)


def _draw_rank(axes: Axes, name: str, rank: float, below: float, side: float, colour: str) -> None:
    """Leads from a rank down to the name, which stands on the left or on the right."""
    low, high = axes.get_xlim()
    end = low + side * (high - low)
    weight = "bold" if colour == BLUE else "normal"
    axes.plot([rank, rank, end], [0, below, below], color=colour, linewidth=1, clip_on=False)
    axes.plot(rank, 0, marker="o", markersize=3.5, color=colour, clip_on=False)
    axes.text(
        end,
        below,
        f" {shorten(name)}  {rank:.2f} ",
        ha="right" if side < 0 else "left",
        va="center",
        fontsize=8.5,
        color=colour,
        fontweight=weight,
        parse_math=False,
    )


def _by_target(rows: Sequence[Mapping[str, Any]], method: str) -> dict[str, float]:
    """Accuracy of a method on each target, in percent, mean over the seeds that came to an end."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["method"] == method and not row["failed"]:
            found.setdefault(row["target"], []).append(100 * row["accuracy"])
    return {target: float(np.mean(values)) for target, values in found.items()}


def _name_ends(axes: Axes, names: Sequence[str], heights: Sequence[float]) -> None:
    """Writes names at the right ends of lines, one below the other where lines end close together."""
    low, high = axes.get_ylim()
    figure_height = axes.figure.get_figheight()  # type: ignore[union-attr]
    places = spread(heights, (high - low) * 0.17 / (figure_height - 1.6))
    for name, height, place in zip(names, heights, places, strict=True):
        axes.plot([1.03, 1.1], [height, place], color=GREY, linewidth=0.6)
        axes.text(1.12, place, name, fontsize=8.5, va="center", parse_math=False)
    axes.set_ylim(min(low, *places), max(high, *places))


def _round_numbers(least: float, most: float) -> list[float]:
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    steps = (1, 2, 5) if len(powers) <= 3 else (1,)
    ticks = [step * 10.0**power for power in powers for step in steps]
    return [tick for tick in ticks if least * 0.8 <= tick <= most * 1.2] or [least]
