"""Whether a ranking without training finds the best student for a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.report.drawing import new_figure
from hatlit.experiments.student import rank_students, settle_student
from hatlit.experiments.study import Row, Study, StudyTask, register_study
from hatlit.experiments.study_figures import draw_dots
from hatlit.experiments.study_runs import (
    Interval,
    Variant,
    failures,
    finished,
    in_points,
    mean_accuracy,
    run_of,
    run_variants,
    train_sources,
    values_of,
    verdict,
)
from hatlit.experiments.study_sources import as_correlation, mean_of, rank_correlation, target_of, zoo_of
from hatlit.experiments.summary import percent, sign_of
from hatlit.experiments.train import choose_sources, selected
from hatlit.methods.base import TransferTask
from hatlit.stopwatch import Stopwatch
from hatlit.students.ranking import Ranked
from hatlit.students.skeletons import AUTO

#: What the first in the ranking is set beside, and in which column of ``picks`` that is.
RIVALS = {"the best of all": "best", "the largest": "largest", "one drawn at random": "drawn"}


@register_study()
class Skeletons(Study):
    """Does `--student auto` take the student that training would have shown to be the best?"""

    varies: ClassVar[tuple[str, ...]] = ("student",)

    def measure(self, task: StudyTask, values: Sequence[Any]) -> list[Row]:
        """Ranks the skeletons that fit for each target and seed, and then trains every one of them with HaT."""
        train_sources(task)
        pairs = [(name, seed) for name in task.targets for seed in range(task.config.seeds)]
        ranked = {pair: _ranking(task, *pair) for pair in task.display.track(pairs, "rankings")}
        first, *others = ranked.values()
        common = {one.name for one in first}.intersection(*({one.name for one in ranking} for ranking in others))
        names = [one.name for one in sorted(first, key=lambda one: one.parameters) if one.name in common]
        if len(names) < 2:
            raise InputError(
                "Fewer than two students fit the device on every target, so there is nothing to rank; raise its limits."
            )
        known = {(*pair, one.name): one for pair, ranking in ranked.items() for one in ranking}
        rows = run_variants(task, ["hat"], [Variant(name, name, {"student": name}) for name in names])
        return [_with_rank(row, known[row["target"], row["seed"], row["value"]]) for row in rows]

    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """A row a skeleton, the most accurate first."""
        firsts = [one["first"] for one in picks(rows)]
        accuracy = {name: mean_accuracy(finished(rows, "hat", name)) for name in values_of(rows)}
        known = {name: one for name, one in accuracy.items() if one}
        return [
            {
                "student": name,
                "parameters": f"{_mean(rows, name, 'parameters'):,.0f}",
                "score": f"{_mean(rows, name, 'score'):.2f}",
                "accuracy": percent(one),
                "ranked first": f"{firsts.count(name)} of {len(firsts)}",
            }
            for name, one in sorted(known.items(), key=lambda item: -item[1]["mean"])
        ]

    def finding(self, rows: Sequence[Row]) -> str:
        """Whether the ranking was right: its correlation with true accuracy, and what its first is worth."""
        chosen = picks(rows)
        if not chosen:
            return f"On no target two students can be compared.{failures(rows)}"
        told = "; ".join(
            f"{verdict(gap)} {rival} ({in_points(gap)})"
            for rival, column in RIVALS.items()
            if (gap := mean_of(chosen, f"ahead_of_{column}"))
        )
        right = sum(one["ahead_of_best"] == 0 for one in chosen)
        return (
            f"The score without training ranks the {len(values_of(rows))} students that fit with a mean rank "
            f"correlation of {as_correlation(mean_of(chosen, 'correlation'))} with their true accuracy, "
            f"{_judged(chosen)}. The student that it puts first is {told}, and as accurate as the best in {right} of "
            f"{len(chosen)} cases."
            f"{failures(rows)}"
        )

    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """Rank correlation, and how far the first in the ranking is ahead of others."""
        chosen = picks(rows)
        figure = new_figure(9, 3.4, "Does a ranking without training find the best student?", where)
        left, right = figure.subplots(1, 2)
        draw_dots(left, {"score": mean_of(chosen, "correlation")}, scale=1)
        left.set(xlabel="rank correlation with true accuracy", xlim=(-1.05, 1.05))
        draw_dots(right, {rival: mean_of(chosen, f"ahead_of_{column}") for rival, column in RIVALS.items()})
        right.set_xlabel("ranked first ahead of, points of accuracy")
        for axes in (left, right):
            axes.axvline(0, color="#888888", lw=1)
        return figure


def picks(rows: Sequence[Row]) -> list[Row]:
    """What the ranking came to on each target with each seed on which two students or more were trained.

    Returns:
        Rows of ``target``, ``seed``, the ``correlation`` of score and true accuracy, the name of the ``first`` in the
        ranking, and how far that is ahead of the best, of the largest, and of the mean of all.
    """
    found = []
    for target, seed in dict.fromkeys((row["target"], row["seed"]) for row in rows):
        here = [row for row in rows if (row["target"], row["seed"]) == (target, seed) and not row["failed"]]
        if len(here) < 2:
            continue
        accuracy = np.array([row["accuracy"] for row in here])
        scores = [row["score"] for row in here]
        first = int(np.argmax(scores))
        largest = int(np.argmax([row["parameters"] for row in here]))
        found.append(
            {
                "target": target,
                "seed": seed,
                "correlation": rank_correlation(scores, accuracy),
                "first": here[first]["value"],
                "ahead_of_best": float(accuracy[first] - accuracy.max()),
                "ahead_of_largest": float(accuracy[first] - accuracy[largest]),
                "ahead_of_drawn": float(accuracy[first] - accuracy.mean()),
            }
        )
    return found


def _ranking(task: StudyTask, name: str, seed: int) -> list[Ranked]:
    """The ranking of a run of HaT with ``--student auto`` on one target."""
    config = replace(run_of(task.of_method("hat"), "hat", name, seed), student=AUTO)
    target = target_of(task, name, seed)
    config, view = settle_student(target, config)
    zoo = zoo_of(task, name)
    selection = choose_sources(config, task.asked, target, zoo, Display(silent=True), Stopwatch())
    return rank_students(TransferTask(target, view, selected(selection), config))


def _with_rank(row: Row, one: Ranked) -> Row:
    """The row of a run with the score and size of its student; why it failed stays last."""
    failed = row.pop("failed")
    return {**row, "parameters": one.parameters, "score": one.score, "failed": failed}


def _judged(chosen: Sequence[Row]) -> str:
    """Whether a ranking is right more often than not."""
    one: Interval | None = mean_of(chosen, "correlation")
    if one is None or not sign_of(one):
        return "so whether it is right is undecided"
    return "so it is right more often than not" if sign_of(one) > 0 else "so it is wrong more often than not"


def _mean(rows: Sequence[Row], name: str, column: str) -> float:
    return float(np.mean([row[column] for row in rows if row["value"] == name]))
