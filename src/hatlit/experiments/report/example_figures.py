"""The pictures of one finished run of a comparison: whom it asked, how it learned, and how well it knows itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hatlit.experiments.report.document import Paragraph, Picture
from hatlit.experiments.report.drawing import as_png, label_points, name_ticks, new_figure, shorten
from hatlit.experiments.report.figures import BLUE, GREEN, GREY, MAX_SAMPLES, ORANGE

#: Bins of confidence, as many as the calibration error is computed with.
BINS = 15

#: Classes whose counts are written into the confusion matrix at most, and classes that are called by name at most.
MAX_COUNTED, MAX_NAMED = 16, 40

#: Classes that are called by name below the samples at most.
MAX_IN_ORDER = 30


@dataclass(frozen=True)
class RunExample:
    """One finished run.

    Attributes:
        result: what ``result.json`` holds.
        selection: what ``selection.json`` holds, empty or None where the method asks no sources.
        epochs: the rows of ``metrics.csv``.
        weights: (N, result["weighed"]) of the mixer on the test samples, None where the method has none.
        label: (N,) classes of the test samples.
        probabilities: (N, K) predictions on them.
    """

    result: Mapping[str, Any]
    selection: Mapping[str, Any] | None
    epochs: Sequence[Mapping[str, float]]
    weights: np.ndarray | None
    label: np.ndarray
    probabilities: np.ndarray


def about(result: Mapping[str, Any]) -> str:
    """Which run, for the titles of pictures."""
    demo = " (demo data, simulated)" if result["is_demo"] else ""
    data, target = shorten(result["data"]), shorten(result["target"])
    return f"{shorten(result['method'])} on {data}{demo}, target {target}, seed {result['seed']}"


def selection_picture(example: RunExample) -> Picture | Paragraph:
    """How many sources were left after each stage, and with what scores."""
    sources = example.selection["sources"] if example.selection else []
    if not sources:
        return Paragraph("No picture of the selection: this method asks no sources.")
    candidates = [one for one in sources if is_candidate(one)]
    selected = [one for one in sources if one["selected"]]
    counts = {"in the zoo": len(sources), "candidates": len(candidates), "selected": len(selected)}
    figure = new_figure(9, 4.2, "Which sources were asked", about(example.result))
    bars, scores = figure.subplots(1, 2, width_ratios=(1, 2))
    drawn = bars.bar(range(3), list(counts.values()), 0.7, color=[GREY, ORANGE, BLUE], edgecolor="#444444")
    for bar, hatch in zip(drawn, ("", "//", ""), strict=True):
        bar.set_hatch(hatch)
    bars.bar_label(drawn, fontsize=9)
    name_ticks(bars, "x", list(counts))
    bars.set(ylabel="sources", ylim=(0, 1.1 * len(sources)))
    bars.yaxis.set_major_locator(MaxNLocator(integer=True))
    _draw_scores(scores, sources)
    words = ", ".join(f"{count} {name}" for name, count in counts.items())
    best = ", ".join(one["id"] for one in selected)
    caption = "Statistics alone choose the candidates; the candidates' encoders and the few labels choose among them."
    return Picture("selection", caption, f"Sources: {words}. Selected: {best}.", as_png(figure))


def is_candidate(source: Mapping[str, Any]) -> bool:
    """Whether a source's encoder was looked at; one without a finite score has its accuracy or its reason to tell."""
    scored = source["fine_score"] is not None or source.get("accuracy") is not None
    return scored or source["selected"] or source["reason"].startswith("dropped by the fine stage")


def attention_picture(example: RunExample) -> Picture | Paragraph:
    """How much each source counts for each test sample, the samples in order of their classes."""
    if example.weights is None or not example.weights.size:
        return Paragraph("No picture of attention: this method has no mixer.")
    order = np.argsort(example.label, kind="stable")
    shown = order[np.linspace(0, len(order) - 1, min(MAX_SAMPLES, len(order))).astype(int)]
    weights, label = example.weights[shown], example.label[shown]
    names = list(example.result["weighed"])
    figure = new_figure(9, 2.4 + 0.3 * len(names), "How much each source counts", about(example.result))
    axes = figure.subplots()
    picture = axes.imshow(weights.T, aspect="auto", cmap="cividis", vmin=0, interpolation="nearest")
    name_ticks(axes, "y", names)
    starts = np.flatnonzero(np.diff(label)) + 0.5
    for start in starts:
        axes.axvline(start, color="white", linewidth=1)
    _name_classes(axes, label, example.result["classes"])
    figure.colorbar(picture, ax=axes, label="attention weight")
    means = example.weights.mean(axis=0)
    words = ", ".join(f"{name} {mean:.2f}" for name, mean in zip(names, means, strict=True))
    caption = "One column a test sample, in order of the true classes; white lines part the classes."
    return Picture(
        "attention", caption, f"Attention of each source by test sample. On average: {words}.", as_png(figure)
    )


def learning_picture(example: RunExample) -> Picture | Paragraph:
    """The mixer's accuracy, the injection weight and the writes of the dictionary over the epochs."""
    curves = {
        "mixer/accuracy": ("mixer's accuracy on the labelled", {"color": GREEN, "linestyle": "-", "marker": "o"}),
        "alpha": ("injection weight alpha", {"color": ORANGE, "linestyle": "--", "marker": "x"}),
    }
    writes = "dictionary/writes"
    known = [name for name in (*curves, writes) if example.epochs and name in example.epochs[0]]
    if not known:
        return Paragraph("No picture of learning: this run logged no mixer.")
    at, last = [row["epoch"] for row in example.epochs], example.epochs[-1]
    every = max(1, len(at) // 12)
    marked = {"mixer/accuracy": (0, every), "alpha": (every // 2, every)}  # apart, where the curves are one
    figure = new_figure(9, 4.6, "How mixer and dictionary developed", about(example.result))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for name, (label, style) in curves.items():
        if name in known:
            above.plot(at, [r[name] for r in example.epochs], label=label, markevery=marked[name], **style)
    above.set(ylim=(-0.04, 1.06), ylabel="share")
    if writes in known:
        count = [row[writes] for row in example.epochs]
        below.plot(
            at, count, color=BLUE, drawstyle="steps-post", marker=".", markevery=every, label="dictionary writes"
        )
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    below.yaxis.set_major_locator(MaxNLocator(integer=True))
    below.set(
        xlabel="epoch",
        xlim=(at[0] - 0.5, at[-1] + 0.5),
        ylabel="writes so far",
        ylim=(0, 1.1 * max(1.0, last.get(writes, 0.0))),
    )
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    words = ", ".join(f"{name} {last[name]:.2f}" for name in known)
    caption = (
        "Above: how well the mixer does, and how much the student listens to it. "
        "Below: how often the dictionary of the mixer's best predictions has been written."
    )
    return Picture("learning", caption, f"Curves over {len(at)} epochs. In the end: {words}.", as_png(figure))


def confusion_picture(example: RunExample) -> Picture | Paragraph:
    """Which classes are taken for which."""
    if not len(example.label):
        return Paragraph("No confusion matrix: there are no test samples.")
    classes = list(example.result["classes"])
    counts = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(counts, (example.label, example.probabilities.argmax(axis=1)), 1)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    side = min(9.0, 3.4 + 0.42 * len(classes))
    figure = new_figure(max(6.5, side + 1.2), side, "What is taken for what", about(example.result))
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= MAX_COUNTED:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.55 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8, color=colour)
    if len(classes) <= MAX_NAMED:
        size = min(9.0, 260 / len(classes))
        name_ticks(axes, "y", classes, size)
        name_ticks(axes, "x", classes, size, rotation=90)
    axes.set(xlabel="predicted class", ylabel="true class")
    figure.colorbar(picture, ax=axes, label="share of the true class", shrink=0.8)
    right = counts.trace() / counts.sum()
    numbers = ", numbers are test samples" if len(classes) <= MAX_COUNTED else ""
    caption = f"Rows are true classes, columns predicted ones; colour is the share of the row{numbers}."
    alt = f"Confusion matrix of {len(classes)} classes: {100 * right:.1f} % of {counts.sum()} samples on its diagonal."
    return Picture("confusion", caption, alt, as_png(figure))


def reliability_picture(example: RunExample) -> Picture | Paragraph:
    """Whether predictions are right as often as they claim to be."""
    if not len(example.label):
        return Paragraph("No reliability diagram: there are no test samples.")
    confidence = example.probabilities.max(axis=1)
    right = example.probabilities.argmax(axis=1) == example.label
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    used = count > 0
    accuracy = np.bincount(place, right, BINS)[used] / count[used]
    claimed = np.bincount(place, confidence, BINS)[used] / count[used]
    error = float(np.abs(accuracy - claimed) @ count[used] / count.sum())
    figure = new_figure(6.5, 6.2, f"Is it as sure as it is right? (ECE {100 * error:.1f} %)", about(example.result))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="as sure as right")
    above.vlines(claimed, claimed, accuracy, color=ORANGE, linewidth=2, label="gap")
    above.plot(claimed, accuracy, color=BLUE, marker="o", linestyle="none", label="test samples of one bin")
    above.set(xlim=(0, 1.02), ylim=(-0.03, 1.03), ylabel="share that is right")
    middles = (np.arange(BINS) + 0.5) / BINS
    below.bar(middles, count, 0.9 / BINS, color="#bbbbbb", edgecolor="#444444", linewidth=0.6)
    below.set(xlabel="confidence", ylabel="samples")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    caption = f"{BINS} bins of confidence. Below the dashed line it claims too much, above it too little."
    means = f"right {right.mean():.2f}, claimed {confidence.mean():.2f}, ECE {error:.3f}"
    alt = f"Reliability diagram of {len(right)} test samples: {means}."
    return Picture("reliability", caption, alt, as_png(figure))


def _draw_scores(axes: Axes, sources: Sequence[Mapping[str, Any]]) -> None:
    """Fine score by rank of likeness; sources without a fine score are ticks at the bottom."""
    ranked = sorted((s for s in sources if s["coarse_score"] is not None), key=lambda source: -source["coarse_score"])
    place = {source["id"]: rank for rank, source in enumerate(ranked, start=1)}
    scored = [source for source in ranked if source["fine_score"] is not None]
    groups: dict[str, tuple[list[Mapping[str, Any]], dict[str, Any]]] = {
        "selected": ([s for s in scored if s["selected"]], {"color": BLUE, "marker": "o"}),
        "dropped by the fine stage": ([s for s in scored if not s["selected"]], {"color": ORANGE, "marker": "s"}),
    }
    for label, (members, style) in groups.items():
        if members:
            at = [place[s["id"]] for s in members]
            axes.plot(at, [s["fine_score"] for s in members], linestyle="none", label=label, **style)
    unscored = [place[source["id"]] for source in ranked if source["fine_score"] is None]
    if unscored:
        ground = [0.02] * len(unscored)
        to_bottom = axes.get_xaxis_transform()
        axes.plot(unscored, ground, "|", color="#666666", label="no fine score", transform=to_bottom)
    axes.set(xlabel="rank by likeness of statistics (coarse)", ylabel="fine score", xlim=(0, len(ranked) + 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.2)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3, fontsize=8, frameon=False)
    chosen = groups["selected"][0]
    if 0 < len(chosen) <= 10:
        label_points(axes, [(place[s["id"]], s["fine_score"]) for s in chosen], [s["id"] for s in chosen])


def _name_classes(axes: Axes, label: np.ndarray, classes: Sequence[str]) -> None:
    """Names each class below the middle of its samples, where there are few enough of them."""
    present = np.unique(label)
    if len(present) > MAX_IN_ORDER:
        axes.set_xlabel("test samples in order of their classes")
        return
    middles = [float(np.flatnonzero(label == number).mean()) for number in present]
    axes.set_xticks(
        middles, [shorten(classes[number]) for number in present], fontsize=8, rotation=90, parse_math=False
    )
