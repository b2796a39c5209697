"""What the knowledge dictionary and its gate are worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from matplotlib.figure import Figure

from hatlit.experiments.report.drawing import new_figure
from hatlit.experiments.study import Row, Study, StudyTask, register_study
from hatlit.experiments.study_figures import add_legend, draw_dots, draw_points
from hatlit.experiments.study_runs import (
    Variant,
    believed,
    cell,
    failures,
    finished,
    gap,
    in_points,
    lead,
    mean_accuracy,
    run_variants,
    verdict,
)

METHODS = ("hat", "hat_no_dictionary", "hat_no_gate", "kd")


@register_study()
class Dictionary(Study):
    """What is it worth to keep the best knowledge, and to ask whether it got better?"""

    varies: ClassVar[tuple[str, ...]] = ("hat.dictionary.when", "hat.dictionary.gate")

    def measure(self, task: StudyTask, values: Sequence[Any]) -> list[Row]:
        """Runs HaT, HaT without dictionary, HaT without gate, and plain distillation."""
        return run_variants(task, METHODS, [Variant("all")])

    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """A row a method."""
        lines = []
        for method in METHODS:
            own, known = finished(rows, method), believed(finished(rows, method))
            ahead = lead(finished(rows, "hat"), own) if method != "hat" else None
            lines.append(
                {
                    "method": method,
                    "accuracy": cell(mean_accuracy(own)),
                    "hat ahead by": in_points(ahead) if ahead else "-",
                    "gate above truth by": in_points(gap(known)) if known else "-",
                }
            )
        return lines

    def finding(self, rows: Sequence[Row]) -> str:
        """Where HaT stands against the others, and how far the gate's accuracy is from the truth."""
        groups: dict[str, list[str]] = {"ahead of": [], "undecided against": [], "behind": []}
        for method in METHODS[1:]:
            difference = lead(finished(rows, "hat"), finished(rows, method))
            if difference:
                groups[verdict(difference)].append(f"{method} ({in_points(difference)})")
        parts = [f"{how} {', '.join(told)}" for how, told in groups.items() if told]
        words = f"hat ({cell(mean_accuracy(finished(rows, 'hat')))} %) is {'; '.join(parts) or 'without a rival'}."
        known = believed(finished(rows, "hat"))
        if known:
            words += " The accuracy that its gate sees minus that of the fused predictions on the test part is "
            words += f"{in_points(gap(known))}."
        return words + failures(rows)

    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """Accuracies with intervals; accuracy at the gate against the truth."""
        figure = new_figure(11, 5.4, "What the knowledge dictionary and its gate are worth", where)
        left, right = figure.subplots(1, 2)
        draw_dots(left, {method: mean_accuracy(finished(rows, method)) for method in METHODS})
        left.set_xlabel("accuracy on the test parts, % (95 % interval)")
        known = {method: believed(finished(rows, method)) for method in METHODS}
        points = {
            method: ([row["mixer_estimate"] for row in own], [row["mixer_truth"] for row in own])
            for method, own in known.items()
            if own
        }
        draw_points(right, points)
        right.set(xlabel="accuracy at the gate, last epoch, %", ylabel="fused predictions on the test part, %")
        add_legend(right, "outside lower right")
        return figure
