"""The picture of a run: what it came to, whom it asked, how it learned."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from hatlit.selection.protocol import Selection
from hatlit.selection.verdict import Verdict

# Okabe and Ito's colours stay apart for colour-blind eyes and in print.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#999999"

#: Columns of the heat map at most; more test samples are thinned out evenly.
MAX_SAMPLES = 200


def run_figure(
    result: Mapping[str, Any],
    epochs: Sequence[Mapping[str, float]],
    selection: Selection | None,
    weights: Tensor | None,
) -> bytes:
    """Draws one run as a PNG.

    Args:
        result: what ``result.json`` holds.
        epochs: the rows of ``metrics.csv``.
        selection: what was chosen, None where the method asks no sources.
        weights: (N, result["weighed"]) of the mixer on the test samples, None where the method has none.
    """
    figure, axes = plt.subplots(2, 2, figsize=(11, 7), layout="constrained")
    where = f"{result['data']}{' (demo data, simulated)' if result['is_demo'] else ''}, target {result['target']}"
    figure.suptitle(f"{result['method']} on {where}, {result['labels']} labels", fontsize=13, parse_math=False)
    _draw_quality(axes[0, 0], result)
    _draw_selection(axes[0, 1], selection.verdicts if selection else [])
    _draw_learning(axes[1, 0], epochs)
    _draw_weights(axes[1, 1], result["weighed"], weights)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    plt.close(figure)
    return stream.getvalue()


def _draw_quality(axes: Axes, result: Mapping[str, Any]) -> None:
    scores = {"accuracy": "accuracy", "balanced_accuracy": "balanced\naccuracy", "macro_f1": "macro F1"}
    if not result["test_samples"]:
        _draw_nothing(axes, "no samples were held out for a test")
        return
    bars = {
        "labels_only": (result["labels_only"], GREY),
        "mixer": (result["mixer"], GREEN),
        result["method"]: (result, BLUE),
    }
    shown = {name: (values, colour) for name, (values, colour) in bars.items() if values}
    width = 0.8 / len(shown)
    for place, (name, (values, colour)) in enumerate(shown.items()):
        at = np.arange(len(scores)) + (place - (len(shown) - 1) / 2) * width
        drawn = axes.bar(at, [values[score] for score in scores], width, label=name, color=colour)
        axes.bar_label(drawn, fmt="%.2f", fontsize=8)
    axes.set(xticks=range(len(scores)), xticklabels=list(scores.values()), ylim=(0, 1.1), title="On the test part")
    # Below the axes, and below the second line of their labels.
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=len(shown), frameon=False)


def _draw_selection(axes: Axes, verdicts: Sequence[Verdict]) -> None:
    compared = [verdict for verdict in verdicts if verdict.coarse_score is not None]
    if not compared:
        _draw_nothing(axes, "no sources were asked")
        return
    ranked = sorted(compared, key=lambda verdict: -(verdict.coarse_score or 0.0))
    place = {verdict.id: number for number, verdict in enumerate(ranked, start=1)}
    groups = {
        "selected": (BLUE, "o", [v for v in ranked if v.selected]),
        "dropped by the fine stage": (ORANGE, "s", [v for v in ranked if v.fine_score is not None and not v.selected]),
        "dropped by the coarse stage, no fine score": (GREY, "x", [v for v in ranked if v.fine_score is None]),
    }
    for label, (colour, marker, members) in groups.items():
        ranks = [place[v.id] for v in members]
        axes.scatter(
            ranks, [v.fine_score or 0.0 for v in members], c=colour, marker=marker, label=f"{label} ({len(members)})"
        )
    axes.set(xlabel="rank by likeness of statistics (coarse)", ylabel="fine score", title="Whom it asked")
    # Below the axes: inside, it would hide sources, wherever it stood.
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, frameon=False)
    _count_along(axes)


def _draw_learning(axes: Axes, epochs: Sequence[Mapping[str, float]]) -> None:
    at = [row["epoch"] for row in epochs]
    curves = {
        "mixer/accuracy": ("mixer's accuracy on the labelled", GREEN, "-"),
        "alpha": ("injection weight alpha", ORANGE, "--"),
    }
    for name, (label, colour, style) in curves.items():
        if epochs and name in epochs[0]:
            axes.plot(at, [row[name] for row in epochs], style, color=colour, label=label)
    axes.set(xlabel="epoch", ylim=(0, 1.05), title="How it learned")
    losses = axes.twinx()
    for part, style in zip(_parts_shown(epochs), cycle(("-", "--", ":"))):
        label = f"{part}'s loss (right axis)"
        losses.plot(at, [row[f"loss/{part}"] for row in epochs], style, color=BLUE, label=label)
    losses.set_ylim(bottom=0)
    lines = [*axes.get_lines(), *losses.get_lines()]
    # Below the axes: inside, the curve of the right axis would be drawn over the words.
    names = [str(line.get_label()) for line in lines]
    axes.legend(lines, names, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, frameon=False)
    _count_along(axes)


def _parts_shown(epochs: Sequence[Mapping[str, float]]) -> list[str]:
    """The parts whose losses are drawn: the student, or all where none is called so."""
    parts = [name.removeprefix("loss/") for name in (epochs[0] if epochs else ()) if name.startswith("loss/")]
    return ["student"] if "student" in parts else parts


def _draw_weights(axes: Axes, weighed: Sequence[str], weights: Tensor | None) -> None:
    if weights is None:
        _draw_nothing(axes, "no mixer weighed test samples")
        return
    thinned = weights[np.linspace(0, len(weights) - 1, min(MAX_SAMPLES, len(weights))).astype(int)]
    picture = axes.imshow(thinned.T.numpy(), aspect="auto", cmap="cividis", vmin=0, interpolation="nearest")
    axes.set(xlabel="test sample", yticks=range(len(weighed)), title="How much each source counts, sample by sample")
    axes.set_yticklabels(list(weighed), fontsize=8)
    _count_along(axes)
    axes.figure.colorbar(picture, ax=axes, label="attention weight")


def _count_along(axes: Axes) -> None:
    """Ranks, epochs and samples are counted: a tick between two of them would stand for nothing."""
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))


def _draw_nothing(axes: Axes, why: str) -> None:
    axes.axis("off")
    axes.text(0.5, 0.5, why, ha="center", va="center", color=GREY)
