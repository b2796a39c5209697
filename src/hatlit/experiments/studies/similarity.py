"""Whether cards alone can tell which sources will do well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from hatlit.experiments.study import Row, Study, StudyTask, register_study
from hatlit.experiments.study_figures import ranking_figure
from hatlit.experiments.study_runs import cell, train_sources
from hatlit.experiments.study_sources import (
    OF_STUDENTS,
    as_correlation,
    by_correlation,
    mean_of,
    num_chosen,
    profiles,
    rank_correlation,
    target_of,
    true_accuracy,
    usable_cards,
    zoo_of,
)
from hatlit.experiments.summary import percent
from hatlit.selection.coarse import best_first
from hatlit.selection.learned import LearningSimilarity
from hatlit.selection.similarity import SIMILARITIES


@register_study()
class Similarity(Study):
    """Which similarity of which statistics finds the sources that do well on the target?"""

    varies: ClassVar[tuple[str, ...]] = ("selection.statistics", "selection.similarity")
    unused: ClassVar[tuple[str, ...]] = (*OF_STUDENTS, "labels", "seeds", "selection.keep", "selection.fine")

    def measure(self, task: StudyTask, values: Sequence[Any]) -> list[Row]:
        """Scores every source of every target by every similarity of every statistic that the zoo publishes."""
        train_sources(task)
        return [row for name in task.display.track(task.targets, "targets") for row in _look(task, name)]

    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """A row a statistic and similarity, the best first."""
        return [
            {
                "statistics": statistics,
                "similarity": similarity,
                "rank correlation": as_correlation(mean_of(members, "correlation")),
                "accuracy of the chosen": cell(mean_of(members, "accuracy")),
            }
            for (statistics, similarity), members in _ranked(rows)
        ]

    def finding(self, rows: Sequence[Row]) -> str:
        """The best and the worst pair, and what the best pair's choice is worth."""
        ranked = _ranked(rows)
        told = [
            f"{statistics} with {similarity} ({as_correlation(mean_of(members, 'correlation'))})"
            for (statistics, similarity), members in (ranked[0], ranked[-1])
        ]
        chooser, chosen = max(ranked, key=lambda item: np.mean([row["accuracy"] for row in item[1]]))
        floor, ceiling = mean_of(rows, "accuracy_of_all"), mean_of(rows, "accuracy_possible")
        assert floor and ceiling
        return (
            f"The coarse score that ranks the sources most like their true accuracy is {told[0]}, the one that does so "
            f"least is {told[1]}; the numbers are mean rank correlations. The sources that {' with '.join(chooser)} "
            f"chooses have the highest mean accuracy on the test parts, {cell(mean_of(chosen, 'accuracy'))} %, where "
            f"all sources have {percent(floor)} % and the best possible choice has {percent(ceiling)} %."
        )

    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """Rank correlation, and accuracy of what is chosen, by statistic and similarity."""
        named = {f"{similarity} of {statistics}": members for (statistics, similarity), members in _ranked(rows)}
        return ranking_figure("Do the cards tell which sources do well on the target?", where, named)


def _look(task: StudyTask, name: str) -> list[Row]:
    target, zoo = target_of(task, name, seed=0), zoo_of(task, name)
    cards = usable_cards(zoo, target, task.config.selection.students)
    count = num_chosen(task.config.num_sources, len(cards))
    truth = np.array([true_accuracy(card, zoo.load(card.id), target) for card in cards])
    rows = []
    for statistics in zoo.info.statistics.names:
        own, published = profiles(zoo, cards, target, statistics)
        for entry in SIMILARITIES:
            similarity = entry.name
            if isinstance(entry.value, LearningSimilarity):
                continue  # without experience it is one of the others; the study learned_coarse gives it some
            scores = entry.value(own, published)
            rows.append(
                {
                    "statistics": statistics,
                    "similarity": similarity,
                    "target": name,
                    "sources": len(cards),
                    "correlation": rank_correlation(scores, truth),
                    "chosen": count,
                    "accuracy": float(truth[best_first(scores)[:count]].mean()),
                    "accuracy_of_all": float(truth.mean()),
                    "accuracy_possible": float(np.sort(truth)[-count:].mean()),
                }
            )
    return rows


def _ranked(rows: Sequence[Row]) -> list[tuple[tuple[str, str], list[Row]]]:
    """The rows of each pair of statistics and similarity, the pair with the highest rank correlation first."""
    pairs = dict.fromkeys((row["statistics"], row["similarity"]) for row in rows)
    return by_correlation(
        {pair: [row for row in rows if (row["statistics"], row["similarity"]) == pair] for pair in pairs}
    )
