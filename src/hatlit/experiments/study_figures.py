"""What the pictures of studies have in common: curves, dots and points that can be told apart without colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hatlit.experiments.report.drawing import name_ticks, new_figure, shorten
from hatlit.experiments.report.figures import BLUE, GREEN, ORANGE
from hatlit.experiments.study import Row
from hatlit.experiments.study_runs import Interval
from hatlit.experiments.study_sources import mean_of

#: Marker, line and colour of each series in turn.
STYLES = (
    ("o", "-", BLUE),
    ("s", "--", ORANGE),
    ("^", ":", GREEN),
    ("D", "-.", "#CC79A7"),
    ("v", "-", "#555555"),
    ("P", "--", "#D55E00"),
    ("X", ":", "#56B4E9"),
    ("*", "-.", "#882255"),
)

#: Where a legend stands below a picture.
Place = Literal["outside lower left", "outside lower center", "outside lower right"]

#: How far apart series stand that share a place, so that their intervals do not cover one another.
APART = 0.12


def draw_curves(axes: Axes, ticks: Sequence[str], series: Mapping[str, Sequence[Interval | None]]) -> None:
    """Draws shares, in percent, with their intervals over named places.

    Args:
        axes: where.
        ticks: name of each place.
        series: by name, one share a place; None leaves a gap.
    """
    for number, (name, intervals) in enumerate(series.items()):
        marker, line, colour = STYLES[number % len(STYLES)]
        known = [(place, one) for place, one in enumerate(intervals) if one is not None]
        at = [place + APART * (number - (len(series) - 1) / 2) for place, _ in known]
        means, ends = _in_percent([one for _, one in known])
        axes.errorbar(
            at, means, ends, marker=marker, linestyle=line, color=colour, markersize=6, capsize=3, lw=1.4, label=name
        )
    name_ticks(axes, "x", ticks)
    axes.set_xlim(-0.5, len(ticks) - 0.5)
    _finish(axes, "y")


def draw_dots(axes: Axes, intervals: Mapping[str, Interval | None], scale: float = 100) -> None:
    """Draws one number with its interval a line, the first on top; None leaves the line empty.

    Args:
        axes: where.
        intervals: by name.
        scale: what the numbers are multiplied by, 100 for percent.
    """
    known = [(place, one) for place, one in enumerate(intervals.values()) if one is not None]
    means, ends = _in_percent([one for _, one in known], scale)
    axes.errorbar(means, [place for place, _ in known], xerr=ends, fmt="o", color=BLUE, capsize=3, lw=1.4)
    name_ticks(axes, "y", list(intervals))
    axes.set_ylim(len(intervals) - 0.5, -0.5)
    _finish(axes, "x")


def draw_points(axes: Axes, groups: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    """Draws pairs of shares, in percent, and the line on which both are equal.

    Args:
        axes: where.
        groups: by name, the shares to the right and those upwards.
    """
    for number, (name, (across, up)) in enumerate(groups.items()):
        marker, _, colour = STYLES[number % len(STYLES)]
        at, to = 100 * np.asarray(across, dtype=float), 100 * np.asarray(up, dtype=float)
        axes.plot(at, to, marker, color=colour, markersize=7, markerfacecolor="none", label=shorten(name))
    every = [100 * share for pair in groups.values() for part in pair for share in part] or [0.0, 100.0]
    room = max(2.0, 0.06 * (max(every) - min(every)))
    ends = (min(every) - room, max(every) + room)
    axes.plot(ends, ends, color="#888888", lw=1, ls=(0, (4, 3)), label="equal")
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    _finish(axes, "both")


def ranking_figure(title: str, where: str, groups: Mapping[str, Sequence[Row]]) -> Figure:
    """Draws for each way to rank sources its rank correlation with their true accuracy, and that of what it chooses.

    Args:
        title: the question.
        where: where it was asked.
        groups: by way, rows with ``correlation``, ``accuracy``, ``accuracy_of_all`` and ``accuracy_possible``.
    """
    figure = new_figure(10.5, 1.9 + 0.42 * len(groups), title, where)
    left, right = figure.subplots(1, 2, sharey=True)
    draw_dots(left, {name: mean_of(rows, "correlation") for name, rows in groups.items()}, scale=1)
    left.axvline(0, color="#888888", lw=1)
    left.set(xlabel="rank correlation with true accuracy", xlim=(-1.05, 1.05))
    draw_dots(right, {name: mean_of(rows, "accuracy") for name, rows in groups.items()})
    for column, words, line, colour in (
        ("accuracy_of_all", "all sources", "--", ORANGE),
        ("accuracy_possible", "best possible choice", ":", GREEN),
    ):
        share = np.mean([row[column] for rows in groups.values() for row in rows])
        right.axvline(float(100 * share), ls=line, color=colour, label=words)
    right.set_xlabel("true accuracy of the chosen sources, %")
    add_legend(right, "outside lower right")
    return figure


def add_legend(axes: Axes, place: Place = "outside lower center") -> None:
    """Puts the legend below the whole picture, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.legend(handles, labels, loc=place, ncols=5, fontsize=9, frameon=False)


def _in_percent(intervals: Sequence[Interval], scale: float = 100) -> tuple[np.ndarray, np.ndarray]:
    """Means (N,) and distances (2, N) from them to the ends of the intervals."""
    columns = ([one[end] for one in intervals] for end in ("mean", "low", "high"))
    mean, low, high = (scale * np.array(column, dtype=np.float64) for column in columns)  # None becomes NaN
    return mean, np.nan_to_num(np.maximum(0, [mean - low, high - mean]))


def _finish(axes: Axes, which: str) -> None:
    axes.grid(axis=which, color="#dddddd", linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
