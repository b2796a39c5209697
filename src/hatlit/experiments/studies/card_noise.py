"""Cards whose statistics and centroids are noisy, so that less can be found out from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from hatlit.errors import InputError
from hatlit.experiments.fleet import noisy_copy, sources_of_all
from hatlit.experiments.folder import RunFolder
from hatlit.experiments.report.drawing import new_figure
from hatlit.experiments.study import Row, Study, StudyTask, register_study
from hatlit.experiments.study_figures import add_legend, draw_curves
from hatlit.experiments.study_runs import (
    Variant,
    cell,
    failures,
    finished,
    in_points,
    lead,
    mean_accuracy,
    run_variants,
    values_of,
)
from hatlit.experiments.study_sources import mean_of, target_of, true_accuracy
from hatlit.zoo.store import Zoo


@register_study()
class CardNoise(Study):
    """What does noise on the statistics and centroids of cards cost in selection and in accuracy?"""

    values: ClassVar[tuple[str, ...]] = ("0", "0.03", "0.1", "0.3", "1", "3")
    varies: ClassVar[tuple[str, ...]] = ("zoo", "sources.controls", "sources.card_noise")

    def read(self, value: str) -> float:
        """Standard deviation of the noise, in units of how far each number varies from sample to sample."""
        try:
            noise = float(value)
        except ValueError:
            noise = math.nan
        if not 0 <= noise < math.inf:
            raise InputError(f"--values of the study 'card_noise' are numbers from 0 on, such as 0.1, not '{value}'.")
        return noise

    def measure(self, task: StudyTask, values: Sequence[float]) -> list[Row]:
        """Writes the cards of the same models anew with each amount of noise, and runs HaT with them."""
        exact = sources_of_all(task.asked, task.config, task.display)
        zoos = {f"{noise:g}": noisy_copy(exact, task.asked, noise).url for noise in values}
        rows = run_variants(
            task, ["hat"], [Variant(noise, f"noise-{noise}", {"zoo": zoo}) for noise, zoo in zoos.items()]
        )
        return [row | {"chosen_accuracy": _chosen_accuracy(task, zoos[row["value"]], row)} for row in rows]

    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """A row an amount of noise: accuracy of the student, and of the chosen sources as they are."""
        return [
            {
                "noise": value,
                "hat": cell(mean_accuracy(finished(rows, "hat", value))),
                "sources chosen": cell(mean_of(finished(rows, "hat", value), "chosen_accuracy")),
            }
            for value in values_of(rows)
        ]

    def finding(self, rows: Sequence[Row]) -> str:
        """What the noise costs the student, against the least of it, and what the choice of sources loses."""
        least, *others = values_of(rows)
        reached = finished(rows, "hat", least)
        words = (
            f"With cards of noise {least}, hat reaches {cell(mean_accuracy(reached))} % and the sources it chooses "
            f"{cell(mean_of(reached, 'chosen_accuracy'))} %."
        )
        for value in others:
            noisy = finished(rows, "hat", value)
            if difference := lead(noisy, reached):
                chosen = cell(mean_of(noisy, "chosen_accuracy"))
                words += f" Noise {value}: {in_points(difference)}, sources {chosen} %."
        return words + failures(rows)

    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """Both accuracies over the amount of noise."""
        figure = new_figure(7, 4.4, "Accuracy by the noise on cards", where)
        axes = figure.subplots()
        values = values_of(rows)
        of_noise = [finished(rows, "hat", value) for value in values]
        series = {
            "hat": [mean_accuracy(some) for some in of_noise],
            "sources chosen": [mean_of(some, "chosen_accuracy") for some in of_noise],
        }
        draw_curves(axes, values, series)
        axes.set(xlabel="noise, in units of each number's spread", ylabel="accuracy on the test parts, %")
        add_legend(axes)
        return figure


def _chosen_accuracy(task: StudyTask, zoo: str, row: Row) -> float | None:
    """Mean accuracy on the test part of the sources that a run has chosen, as they are; no method could know it."""
    if row["failed"]:
        return None
    run = Path(task.config.out) / f"noise-{row['value']}" / "runs" / row["run"]
    result: Any = RunFolder(run).read_json("result.json")
    sources = Zoo.open(zoo)
    target = target_of(task, row["target"], row["seed"])
    found = [true_accuracy(sources.card(name), sources.load(name), target) for name in result["sources"]]
    return float(np.mean(found))
