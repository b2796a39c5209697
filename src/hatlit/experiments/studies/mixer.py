"""What attention is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from matplotlib.figure import Figure

from hatlit.experiments.report.drawing import new_figure
from hatlit.experiments.study import Row, Study, StudyTask, register_study
from hatlit.experiments.study_figures import add_legend, draw_points
from hatlit.experiments.study_runs import (
    Variant,
    accuracy_table,
    failures,
    finished,
    in_points,
    lead,
    paired,
    run_variants,
    verdict,
)

METHODS = ("hat", "hat_equal_weights")


@register_study()
class Mixer(Study):
    """Is it worth weighing the sources sample by sample, rather than all alike?"""

    varies: ClassVar[tuple[str, ...]] = ("hat.mixer.weights", "hat.mixer.prior")

    def measure(self, task: StudyTask, values: Sequence[Any]) -> list[Row]:
        """Runs HaT with attention and with equal weights."""
        return run_variants(task, METHODS, [Variant("all")])

    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """Both side by side."""
        return accuracy_table(rows, "runs")

    def finding(self, rows: Sequence[Row]) -> str:
        """By how much attention is ahead, and in how many pairs."""
        difference = lead(*(finished(rows, method) for method in METHODS))
        if difference is None:
            return f"No pair of runs compares attention with equal weights.{failures(rows)}"
        with_attention, alike = paired(rows, *METHODS)
        ahead = [one - other for one, other in zip(with_attention, alike, strict=True)]
        better, worse = sum(one > 0 for one in ahead), sum(one < 0 for one in ahead)
        return (
            f"Attention is {verdict(difference)} equal weights: {in_points(difference)} over {len(ahead)} pairs of "
            f"target and seed, better in {better}, equal in {len(ahead) - better - worse}, worse in {worse}."
            f"{failures(rows)}"
        )

    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """One point a pair of target and seed; above the line attention is better."""
        with_attention, alike = paired(rows, *METHODS)
        difference = lead(*(finished(rows, method) for method in METHODS))
        told = f": {in_points(difference)}" if difference else ""
        figure = new_figure(6, 6.2, f"Attention against equal weights{told}", where)
        axes = figure.subplots()
        draw_points(axes, {"one target and seed": (alike, with_attention)})
        axes.set(xlabel="accuracy with equal weights, %", ylabel="accuracy with attention, %")
        add_legend(axes)
        return figure
