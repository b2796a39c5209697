"""Whether the mixer is as accurate as its training believes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from hatlit.experiments.report.drawing import new_figure
from hatlit.experiments.study import Row, Study, StudyTask, register_study
from hatlit.experiments.study_figures import add_legend, draw_points
from hatlit.experiments.study_runs import (
    Variant,
    believed,
    cell,
    correlation,
    failures,
    gap,
    in_points,
    run_variants,
)
from hatlit.experiments.summary import interval, sign_of


@register_study()
class MixerAccuracy(Study):
    """Is the mixer as accurate on the test part as the labelled few make it look?"""

    def measure(self, task: StudyTask, values: Sequence[Any]) -> list[Row]:
        """Runs HaT."""
        return run_variants(task, ["hat"], [Variant("all")])

    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """Estimate and truth."""
        known = believed(rows)
        targets = [row["target"] for row in known]
        columns = {"estimate in training": "mixer_estimate", "on the test part": "mixer_truth"}
        shares = {name: cell(interval([row[one] for row in known], targets)) for name, one in columns.items()}
        return [{"runs": str(len(known)), **shares, "gap": in_points(gap(known))}]

    def finding(self, rows: Sequence[Row]) -> str:
        """How far the estimate is off, and whether it orders the runs as they are."""
        known = believed(rows)
        together = correlation(*([row[column] for row in known] for column in ("mixer_estimate", "mixer_truth")))
        told = (
            "their correlation over the runs is not defined, since one of them is the same in all runs"
            if together is None
            else f"their correlation over the runs is {together:+.2f}"
        )
        difference = gap(known)
        how = {1: "too high", 0: "not clearly off", -1: "too low"}[sign_of(difference)]
        return (
            f"The accuracy of the mixer that the gate sees in training is {how}: minus the accuracy on the test part "
            f"it is {in_points(difference)} over {len(known)} runs; {told}.{failures(rows)}"
        )

    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """One point a run; below the line the estimate is too high."""
        known = believed(rows)
        figure = new_figure(6, 6.2, "The mixer's accuracy: estimate in training against truth", where)
        axes = figure.subplots()
        draw_points(
            axes, {"one run": ([row["mixer_estimate"] for row in known], [row["mixer_truth"] for row in known])}
        )
        axes.set(xlabel="estimate on the labelled few, last epoch, %", ylabel="accuracy on the test part, %")
        add_legend(axes)
        return figure
