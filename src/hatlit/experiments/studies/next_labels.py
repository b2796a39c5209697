"""Which samples a new user should label next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from hatlit.config import TrainConfig
from hatlit.errors import InputError
from hatlit.experiments.reopen import reopen
from hatlit.experiments.report.drawing import new_figure
from hatlit.experiments.study import Row, Study, StudyTask, register_study
from hatlit.experiments.study_figures import add_legend, draw_curves
from hatlit.experiments.study_runs import (
    Variant,
    accuracy_table,
    failures,
    finished,
    mean_accuracy,
    run_plans,
    run_variants,
    standing,
    values_of,
)
from hatlit.experiments.suggest_labels import as_csv, describe, outlook_of
from hatlit.experiments.summary import interval, percent
from hatlit.files import write_atomically
from hatlit.selection.next_labels import RANKINGS, Outlook
from hatlit.types import UNLABELLED

METHOD = "hat"

#: What the other rankings are measured against.
CHANCE = "random"

#: The variant that every ranking starts from.
BEFORE = Variant("0", "before")


@register_study()
class NextLabels(Study):
    """Which samples should be labelled next?"""

    values: ClassVar[tuple[str, ...]] = ("5", "10", "20")
    varies: ClassVar[tuple[str, ...]] = ("labels.also",)

    def read(self, value: str) -> int:
        """A number of samples."""
        if not re.fullmatch(r"[1-9]\d*", value):
            raise InputError(f"--values of the study 'next_labels' are numbers of samples such as 10, not '{value}'.")
        return int(value)

    def measure(self, task: StudyTask, values: Sequence[int]) -> list[Row]:
        """Runs HaT, labels what each ranking names after that run, and runs it again with those labels as well."""
        first = run_variants(task, [METHOD], [BEFORE])
        before = [row for row in first if not row["failed"]]
        runs = [run for row in before for run in _with_more_labels(task, row, values)]
        accuracy = {(row["target"], row["seed"]): row["accuracy"] for row in before}
        rows = []
        for value in values:
            for ranking in RANKINGS.names():
                variant = Variant(str(value), f"{value}-by-{ranking}")
                found = run_plans(task, [(variant, [run for one, run in runs if one == (ranking, value)])])
                rows += [_row(row, ranking, accuracy[row["target"], row["seed"]]) for row in found]
                rows += [_row({**row, "value": str(value)}, ranking, None) for row in first if row["failed"]]
        return rows

    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """A row a number of samples, a column a ranking."""
        return accuracy_table(rows, "labelled next")

    def finding(self, rows: Sequence[Row]) -> str:
        """How accurate HaT is before and after, and which rankings are better than chance."""
        most = values_of(rows)[-1]
        reached = [
            f"{percent(accuracy)} % by {ranking}"
            for ranking in RANKINGS.names()
            if (accuracy := mean_accuracy(finished(rows, ranking, most)))
        ]
        others = [name for name in RANKINGS.names() if name != CHANCE]
        against = [standing(rows, name, CHANCE, lambda value: f"with {value} more") for name in others]
        started = f"From {percent(_before(rows))} %, {METHOD} comes with {most} more labels to"
        return f"{started} {', '.join(reached) or 'nothing'}. {' '.join(against)}{failures(rows)}"

    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """Accuracy over the number of samples labelled next."""
        figure = new_figure(7, 4.8, "Accuracy by what is labelled next", where)
        axes = figure.subplots()
        values = values_of(rows)
        series = {
            name: [_before(rows), *[mean_accuracy(finished(rows, name, value)) for value in values]]
            for name in RANKINGS.names()
        }
        draw_curves(axes, ["0", *values], series)
        axes.set(xlabel="samples labelled next", ylabel="accuracy on the test parts, % (95 % interval)")
        add_legend(axes)
        return figure


def answerable(outlook: Outlook, has_class: np.ndarray) -> Outlook:
    """An outlook whose candidates are those that the data set can answer for; ``has_class`` (N,) says of which."""
    return outlook._replace(candidates=outlook.candidates[has_class[outlook.candidates]])


def _with_more_labels(
    task: StudyTask, row: Row, values: Sequence[int]
) -> Iterator[tuple[tuple[str, int], TrainConfig]]:
    """By ranking and number, the options of a run in which the samples are labelled that it names after another run.

    Raises:
        InputError: there are not so many samples to label.
    """
    out = Path(task.config.out)
    reopened = reopen(out / BEFORE.folder / "runs" / row["run"])
    target = reopened.target
    has_class = target.domain.labels[target.split.train] != UNLABELLED
    outlook = answerable(outlook_of(reopened, task.display), has_class)
    if len(outlook.candidates) < max(values):
        raise InputError(
            f"Target '{row['target']}' has {len(outlook.candidates)} samples that could be labelled next, fewer than "
            f"{max(values)}; give smaller --values."
        )
    for ranking in RANKINGS.names():
        order = RANKINGS.get(ranking)(outlook, max(values), row["seed"])
        suggestions = describe(target, outlook, order)
        for value in values:
            file = out / "suggestions" / f"{row['run']}-{ranking}-{value}.csv"
            write_atomically(file, as_csv(suggestions[:value]))
            labels = replace(reopened.config.labels, also=str(file))
            folder = str(out / f"{value}-by-{ranking}" / "runs")
            yield (ranking, value), replace(reopened.config, labels=labels, out=folder)


def _row(row: Row, ranking: str, before: float | None) -> Row:
    return {**row, "method": ranking, "accuracy_before": before}


def _before(rows: Sequence[Row]) -> dict[str, float]:
    """Mean accuracy before anything more was labelled."""
    known = [row for row in rows if row["accuracy_before"] is not None]
    once = {(row["target"], row["seed"]): row["accuracy_before"] for row in known}
    return interval(list(once.values()), [target for target, _ in once])
