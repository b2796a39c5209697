"""How many labels it takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from matplotlib.figure import Figure

from hatlit.config import LabelsConfig
from hatlit.errors import InputError
from hatlit.experiments.report.drawing import new_figure
from hatlit.experiments.study import Row, Study, StudyTask, register_study
from hatlit.experiments.study_figures import add_legend, draw_curves
from hatlit.experiments.study_runs import (
    Variant,
    accuracy_table,
    failures,
    finished,
    mean_accuracy,
    run_variants,
    standing,
    values_of,
)
from hatlit.experiments.summary import percent

METHODS = ("labels_only", "best_source", "hat")


@register_study()
class Labels(Study):
    """How accurate are students and the best source with more and more labels?"""

    values: ClassVar[tuple[str, ...]] = ("1", "2", "5", "10", "20", "1%", "5%", "10%", "20%", "50%")
    varies: ClassVar[tuple[str, ...]] = ("labels",)

    def read(self, value: str) -> Variant:
        """A number of labels a class, or a share of all labels such as 10%."""
        if re.fullmatch(r"[1-9]\d*", value):
            return Variant(value, f"{value}-a-class", {"labels": LabelsConfig(per_class=int(value))})
        share = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value)
        if not share or not 0 < float(share[1]) <= 100:
            raise InputError(
                f"--values of the study 'labels' are labels a class such as 5, or shares such as 10%, not '{value}'."
            )
        number = float(share[1])
        return Variant(f"{number:g}%", f"{number:g}-percent", {"labels": LabelsConfig(fraction=number / 100)})

    def measure(self, task: StudyTask, values: Sequence[Variant]) -> list[Row]:
        """Runs three methods with each number of labels."""
        return run_variants(task, METHODS, values)

    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """A row a number of labels, a column a method."""
        return accuracy_table(rows, "labels")

    def finding(self, rows: Sequence[Row]) -> str:
        """How accurate HaT is with the fewest and the most labels, and where it stands against the others."""
        reached = [
            f"{percent(accuracy)} % with {in_words(value)} (mean {_labels(rows, value):.0f})"
            for value in _ends(rows)
            if (accuracy := mean_accuracy(finished(rows, "hat", value)))
        ]
        against = [standing(rows, "hat", rival, lambda value: f"with {in_words(value)}") for rival in METHODS[:2]]
        return f"hat reaches {' and '.join(reached) or 'nothing'}. {' '.join(against)}{failures(rows)}"

    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """Accuracy over labels: a class, and as a share."""
        kinds = {
            "labels a class": [value for value in values_of(rows) if not value.endswith("%")],
            "share of the labels": [value for value in values_of(rows) if value.endswith("%")],
        }
        panels = {name: values for name, values in kinds.items() if values}
        figure = new_figure(5.2 * len(panels) + 0.8, 4.6, "Accuracy by the number of labels", where)
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for one, (name, values) in zip(axes, panels.items(), strict=True):
            series = {method: [mean_accuracy(finished(rows, method, v)) for v in values] for method in METHODS}
            draw_curves(one, values, series)
            one.set_xlabel(name)
        add_legend(axes[0])
        axes[0].set_ylabel("accuracy on the test parts, % (95 % interval)")
        return figure


def in_words(value: str) -> str:
    """A number of labels the way people say it."""
    return f"{value} of the labels" if value.endswith("%") else f"{value} a class"


def _labels(rows: Sequence[Row], value: str) -> float:
    counts = [row["labels"] for row in finished(rows, "hat", value)]
    return sum(counts) / len(counts)


def _ends(rows: Sequence[Row]) -> list[str]:
    """The values with the fewest and with the most labels."""
    known = [value for value in values_of(rows) if finished(rows, "hat", value)]
    ranked = sorted(known, key=lambda value: _labels(rows, value))
    return list(dict.fromkeys([*ranked[:1], *ranked[-1:]]))
