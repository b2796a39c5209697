"""The pictures of an expansion: accuracy by round, what students inherit, traffic, and who is asked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Patch

from hatlit.experiments.display import human_bytes
from hatlit.experiments.report.document import Picture
from hatlit.experiments.report.drawing import as_png, name_ticks, new_figure, shorten
from hatlit.experiments.report.figures import BLUE, GREY, ORANGE
from hatlit.experiments.study_figures import add_legend, draw_curves, draw_dots, draw_points
from hatlit.experiments.summary import percent
from hatlit.experiments.train import BESIDE

#: By whom students were taught, in rounds in which there were students to choose from.
GROUPS = {"without_students": "initial sources alone", "with_students": "students among others"}

#: Sources in the picture of reuse at most.
MAX_SOURCES = 20

Rows = Sequence[Mapping[str, Any]]


def rounds_picture(summary: Mapping[str, Any]) -> Picture:
    """Accuracy of the students of each round, with that of labels alone beside it."""
    rounds = summary["rounds"]
    figure = new_figure(8, 4.2, "Accuracy by round", _where(summary))
    axes = figure.subplots()
    series = {summary["method"]: [one["accuracy"] for one in rounds], BESIDE: [one["labels_only"] for one in rounds]}
    names = [f"round {one['round']}\n{one['offered_sources']} sources, {one['n']} join" for one in rounds]
    draw_curves(axes, [""] * len(names), {name: ends for name, ends in series.items() if any(ends)})
    axes.set_xticks(range(len(names)), names, fontsize=9)
    axes.set_ylabel("accuracy on the test parts, %")
    add_legend(axes)
    words = "; ".join(f"round {one['round']} {percent(one['accuracy'])} %" for one in rounds)
    caption = "Mean accuracy of the students that joined in each round; lines are 95 % intervals over them."
    return Picture("rounds", caption, f"Accuracy of {summary['method']} by round: {words}.", as_png(figure))


def propagation_picture(summary: Mapping[str, Any]) -> Picture:
    """Accuracy by depth of ancestry, and with or without students among the teachers."""
    propagation = summary["propagation"]
    figure = new_figure(11, 4.2, "Do errors of students spread?", _where(summary))
    left, right = figure.subplots(1, 2, width_ratios=[1.1, 1])
    depths = propagation["by_depth"]
    series = {
        summary["method"]: [one["accuracy"] for one in depths.values()],
        BESIDE: [one["labels_only"] for one in depths.values()],
    }
    draw_curves(left, list(depths), {name: ends for name, ends in series.items() if any(ends)})
    left.set(xlabel="depth: 1 where all ancestors are initial sources", ylabel="accuracy, %")
    groups = {
        f"{words} ({one['n'] if (one := propagation[name]) else 0})": one and one["accuracy"]
        for name, words in GROUPS.items()
    }
    draw_dots(right, groups)
    right.set_title("taught by", fontsize=10, loc="left")
    right.set_xlabel("accuracy, % (rounds with students to choose from)")
    add_legend(left, "outside lower left")
    words = "; ".join(f"depth {depth} {percent(one['accuracy'])} %" for depth, one in depths.items())
    caption = (
        "Left: accuracy by depth of ancestry, the longest line of students up to a source that had all labels; labels "
        "alone on the same targets show whether these were harder. Right: rounds in which there were students to "
        "choose from, parted by whether any was chosen. Lines are 95 % intervals over students."
    )
    return Picture("propagation", caption, f"Accuracy by depth of ancestry: {words}.", as_png(figure))


def inheritance_picture(summary: Mapping[str, Any], finished: Rows) -> Picture:
    """Accuracy of each student over the mean accuracy of its teachers at home."""
    sources = summary["sources"]
    taught = [row for row in finished if row["sources"]]
    groups: dict[str, tuple[list[float], list[float]]] = {words: ([], []) for words in GROUPS.values()}
    for row in taught:
        across, up = groups[GROUPS["with_students" if row["students_among_sources"] else "without_students"]]
        across.append(float(np.mean([sources[name]["accuracy"] for name in row["sources"]])))
        up.append(row["accuracy"])
    figure = new_figure(6.4, 5.6, "Are students of worse teachers worse?", _where(summary))
    axes = figure.subplots()
    draw_points(axes, {f"by {words}": points for words, points in groups.items()})
    axes.set(xlabel="mean accuracy of its teachers at home, %", ylabel="accuracy of the student, %")
    add_legend(axes)
    caption = (
        "One mark a student: its accuracy over the mean accuracy that its teachers have on their own test parts. Below "
        "the dashed line a student is worse than its teachers at home."
    )
    alt = f"Scatter of {len(taught)} students: accuracy over the mean accuracy of their teachers at home."
    return Picture("inheritance", caption, alt, as_png(figure))


def traffic_picture(summary: Mapping[str, Any]) -> Picture:
    """Bytes that selection moved in each round, against sending every model."""
    rounds = summary["rounds"]
    figure = new_figure(8, 3.8, "Traffic by round", _where(summary))
    axes = figure.subplots()
    places = np.arange(len(rounds))
    kinds = (
        ("bytes", BLUE, "", "moved by selection"),
        ("bytes_of_everything", GREY, "//", "every model to every device"),
    )
    for side, (name, colour, hatch, words) in zip((-0.2, 0.2), kinds, strict=True):
        values = [one[name] for one in rounds]
        axes.bar(places + side, values, 0.38, color=colour, hatch=hatch, edgecolor="white", label=words)
        for place, value in zip(places + side, values, strict=True):
            axes.annotate(
                human_bytes(value), (place, value), (0, 2), textcoords="offset points", ha="center", fontsize=8
            )
    name_ticks(axes, "x", [f"round {one['round']}" for one in rounds])
    axes.yaxis.set_major_formatter(lambda value, _: human_bytes(value))
    axes.margins(y=0.12)
    axes.set_ylabel("bytes, all devices of the round")
    add_legend(axes)
    words = "; ".join(
        f"round {one['round']} {human_bytes(one['bytes'])} of {human_bytes(one['bytes_of_everything'])}"
        for one in rounds
    )
    caption = "What selection sent to and from the devices of each round, and what sending them all sources would take."
    return Picture("traffic", caption, f"Bytes moved by round against every model: {words}.", as_png(figure))


def reuse_picture(summary: Mapping[str, Any]) -> Picture:
    """How often each source was asked, of the times it could have been."""
    asked = [(name, one) for name, one in summary["sources"].items() if one["offered"]][:MAX_SOURCES]
    figure = new_figure(8, 1.6 + 0.24 * len(asked), "Who is asked again", _where(summary))
    axes = figure.subplots()
    for place, (_, one) in enumerate(asked):
        colour, hatch = (ORANGE, "//") if one["round"] else (BLUE, "")
        share = 100 * one["asked"] / one["offered"]
        axes.barh(place, share, 0.72, color=colour, hatch=hatch, edgecolor="white")
        axes.text(
            1.01,
            place,
            f"{one['asked']} of {one['offered']}",
            fontsize=8,
            va="center",
            transform=axes.get_yaxis_transform(),
        )
    name_ticks(
        axes,
        "y",
        [f"{shorten(name)} ({'round ' + str(one['round']) if one['round'] else 'initial'})" for name, one in asked],
    )
    axes.set(xlim=(0, 100), ylim=(len(asked) - 0.4, -0.6), xlabel="targets that asked it, % of those that could")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    kinds = [
        Patch(color=BLUE, label="initial source"),
        Patch(facecolor=ORANGE, hatch="//", edgecolor="white", label="student"),
    ]
    figure.legend(handles=kinds, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    words = "; ".join(f"{name} {one['asked']} of {one['offered']}" for name, one in asked)
    caption = (
        f"The sources asked most often, at most {MAX_SOURCES}; a student can be asked from the round after its own on."
    )
    return Picture("reuse", caption, f"How often each source was asked: {words}.", as_png(figure))


def _where(summary: Mapping[str, Any]) -> str:
    demo = " (demo data, simulated)" if summary["is_demo"] else ""
    return f"{shorten(summary['data'])}{demo}, {summary['method']}, labels: {summary['labels']}, seed {summary['seed']}"
