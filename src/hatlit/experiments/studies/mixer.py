"""What attention is worth, and what consensus is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from matplotlib.figure import Figure

from hatlit.experiments.report.drawing import new_figure
from hatlit.experiments.study import Row, Study, StudyTask, register_study
from hatlit.experiments.study_figures import Place, add_legend, draw_points
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

METHODS = ("hat", "hat_no_attention", "hat_no_consensus", "hat_equal_weights")

#: By part of the mixer and by whether the other part is there: the method that has the part, and the one that lacks it.
WORTH = {
    "Attention": {
        "with consensus": ("hat", "hat_no_attention"),
        "without consensus": ("hat_no_consensus", "hat_equal_weights"),
    },
    "Consensus": {
        "with attention": ("hat", "hat_no_consensus"),
        "without attention": ("hat_no_attention", "hat_equal_weights"),
    },
}


@register_study()
class Mixer(Study):
    """Is it worth weighing the sources sample by sample, and by what they agree on, rather than all alike?"""

    varies: ClassVar[tuple[str, ...]] = ("hat.mixer.weights", "hat.mixer.prior")

    def measure(self, task: StudyTask, values: Sequence[Any]) -> list[Row]:
        """Runs HaT with attention and consensus, with one of them, and with equal weights."""
        return run_variants(task, METHODS, [Variant("all")])

    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """All four side by side."""
        return accuracy_table(rows, "runs")

    def finding(self, rows: Sequence[Row]) -> str:
        """By how much each part is ahead of its absence, with the other part and without it."""
        parts = [
            f"{part}: {'; '.join(f'{where}, {_stands(rows, *methods)}' for where, methods in cases.items())}."
            for part, cases in WORTH.items()
        ]
        return " ".join(parts) + failures(rows)

    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """A picture a part, with one point a pair of target and seed; above the line the part helps."""
        figure = new_figure(11, 6.2, "What attention and consensus are worth", where)
        sides: tuple[Place, Place] = ("outside lower left", "outside lower right")
        for axes, side, (part, cases) in zip(figure.subplots(1, 2), sides, WORTH.items(), strict=True):
            draw_points(axes, {name: paired(rows, *methods)[::-1] for name, methods in cases.items()})
            name = part.lower()
            axes.set(xlabel=f"accuracy without {name}, %", ylabel=f"accuracy with {name}, %")
            add_legend(axes, side)
        return figure


def _stands(rows: Sequence[Row], method: str, other: str) -> str:
    difference = lead(finished(rows, method), finished(rows, other))
    if difference is None:
        return f"no pair of runs compares {method} with {other}"
    ahead = [one - another for one, another in zip(*paired(rows, method, other), strict=True)]
    better, worse = sum(one > 0 for one in ahead), sum(one < 0 for one in ahead)
    return (
        f"{method} is {verdict(difference)} {other} ({in_points(difference)} over {len(ahead)} pairs of target and "
        f"seed, better in {better}, equal in {len(ahead) - better - worse}, worse in {worse})"
    )
