"""How many sources it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from matplotlib.figure import Figure

from hatlit.errors import InputError
from hatlit.experiments.fleet import refuse_too_many
from hatlit.experiments.report.drawing import new_figure
from hatlit.experiments.study import Row, Study, StudyTask, register_study
from hatlit.experiments.study_figures import draw_curves
from hatlit.experiments.study_runs import (
    Interval,
    Variant,
    accuracy_table,
    failures,
    finished,
    in_points,
    lead,
    mean_accuracy,
    run_variants,
    values_of,
)
from hatlit.experiments.study_sources import target_of, usable_cards, zoo_of
from hatlit.experiments.summary import percent, sign_of


@register_study()
class Sources(Study):
    """How accurate is HaT with more and more sources (N_p)?"""

    values: ClassVar[tuple[str, ...]] = ("1", "2", "3", "5", "10", "20", "50")
    varies: ClassVar[tuple[str, ...]] = ("num_sources",)

    def read(self, value: str) -> Variant:
        """A number of sources."""
        if not value.isdecimal() or int(value) < 1:
            raise InputError(f"--values of the study 'sources' are numbers of sources such as 5, not '{value}'.")
        number = int(value)
        return Variant(str(number), f"{number}-sources", {"num_sources": number})

    def measure(self, task: StudyTask, values: Sequence[Variant]) -> list[Row]:
        """Runs HaT with each number of sources that every target can have."""
        if task.config.values and not task.config.zoo:
            refuse_too_many("--values", max(int(one.value) for one in values), task.asked, task.config.sources)
        most = _most(task)
        too_many = [variant.value for variant in values if int(variant.value) > most]
        if too_many and task.config.values:
            raise InputError(f"--values {too_many[0]} asks for more sources than the {most} that the zoo can offer.")
        return run_variants(task, ["hat"], [variant for variant in values if int(variant.value) <= most])

    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """A row a number of sources."""
        return accuracy_table(rows, "sources")

    def finding(self, rows: Sequence[Row]) -> str:
        """The best number of sources, the smallest that is not clearly worse, and what one alone is worth."""
        accuracy = {value: mean_accuracy(finished(rows, "hat", value)) for value in values_of(rows)}
        known = {value: one for value, one in accuracy.items() if one}
        best = max(known, key=lambda value: known[value]["mean"])
        fewest = min(known, key=int)
        words = f"hat is most accurate with {best} of the sources, {percent(known[best])} %."
        if fewest != best and (gain := _lead(rows, best, fewest)):
            words += f" That is {in_points(gain)} ahead of {fewest}, which reaches {percent(known[fewest])} %."
        enough = [value for value in known if (gain := _lead(rows, best, value)) and sign_of(gain) < 1]
        words += f" The smallest number that is not clearly worse is {min(enough, key=int)}."
        return words + failures(rows)

    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """Accuracy over the number of sources."""
        figure = new_figure(7, 4.4, "Accuracy of hat by the number of sources", where)
        axes = figure.subplots()
        values = values_of(rows)
        draw_curves(axes, values, {"hat": [mean_accuracy(finished(rows, "hat", value)) for value in values]})
        axes.set(xlabel="sources selected (N_p)", ylabel="accuracy on the test parts, % (95 % interval)")
        return figure


def _lead(rows: Sequence[Row], value: str, other: str) -> Interval | None:
    return lead(finished(rows, "hat", value), finished(rows, "hat", other))


def _most(task: StudyTask) -> int:
    """How many sources every target can have."""
    students = task.config.selection.students
    return min(len(usable_cards(zoo_of(task, name), target_of(task, name, seed=0), students)) for name in task.targets)
