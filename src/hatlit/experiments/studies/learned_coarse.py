"""Whether the coarse stage ranks sources better when it learns from what earlier rounds measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from hatlit.config import SelectionConfig
from hatlit.datamodules.target.data import TargetData
from hatlit.encoders.base import Classifier
from hatlit.errors import InputError
from hatlit.experiments.study import Row, Study, StudyTask, register_study
from hatlit.experiments.study_figures import ranking_figure
from hatlit.experiments.study_runs import cell, in_points, lead, train_sources, verdict
from hatlit.experiments.study_sources import (
    OF_STUDENTS,
    as_correlation,
    mean_of,
    num_chosen,
    own_profile,
    published_profiles,
    rank_correlation,
    target_of,
    true_accuracy,
    usable_cards,
    zoo_of,
)
from hatlit.experiments.summary import percent
from hatlit.selection.agreement import with_agreement
from hatlit.selection.closer_look import look_at
from hatlit.selection.coarse import best_first, coarse
from hatlit.selection.fine import FINE_SCORES, Candidate, accuracy
from hatlit.selection.learned import Experience, experience_of
from hatlit.selection.statistics import Profile
from hatlit.zoo.card import Card
from hatlit.zoo.pairs import Pair
from hatlit.zoo.store import Zoo

#: The similarity that learns, the one that it falls back to, and the one of HaT's paper.
LEARNED, USUAL, PAPER = "learned", SelectionConfig().similarity, "cosine"

#: Stands among the values for as many earlier targets as there are.
ALL = "all"


@register_study()
class LearnedCoarse(Study):
    """How well does the coarse stage choose after so many earlier targets, against similarities that do not learn?"""

    values: ClassVar[tuple[str, ...]] = ("3", "6", "12", ALL)
    varies: ClassVar[tuple[str, ...]] = ("selection.similarity",)
    unused: ClassVar[tuple[str, ...]] = OF_STUDENTS

    def read(self, value: str) -> int | None:
        """A number of earlier targets; None for all."""
        if value == ALL:
            return None
        if not value.isdecimal() or int(value) < 2:
            raise InputError(f"--values of the study 'learned_coarse' are numbers from 2 on, or {ALL}, not '{value}'.")
        return int(value)

    def measure(self, task: StudyTask, values: Sequence[Any]) -> list[Row]:
        """Leaves each target out in turn; the other domains were targets before it, in an order drawn by the seed."""
        train_sources(task)
        pairs = [(name, seed) for seed in range(task.config.seeds) for name in task.targets]
        looks = _Looks(task)
        return [row for name, seed in task.display.track(pairs, "targets") for row in looks.at(name, seed, values)]

    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """A row a similarity and number of earlier targets."""
        return [
            {
                "similarity": name,
                "pairs": f"{np.mean([row['pairs'] for row in members]):.0f}",
                "rank correlation": as_correlation(mean_of(members, "correlation")),
                "accuracy of the most alike": cell(mean_of(members, "accuracy_alike")),
                "accuracy of the chosen": cell(mean_of(members, "accuracy")),
            }
            for name, members in _groups(rows).items()
        ]

    def finding(self, rows: Sequence[Row]) -> str:
        """What learning from most earlier targets is worth against either similarity that does not learn."""
        groups = _groups(rows)
        name, learned = list(groups.items())[-1]
        words = [
            "Rank correlation with true accuracy: "
            + ", ".join(f"{name} {as_correlation(mean_of(members, 'correlation'))}" for name, members in groups.items())
            + "."
        ]
        for rival in (USUAL, PAPER):
            gain = lead(learned, groups[rival])
            assert gain is not None
            words.append(f"In the true accuracy of the chosen, {name} is {verdict(gain)} {rival} ({in_points(gain)}).")
        floor, ceiling = mean_of(rows, "accuracy_of_all"), mean_of(rows, "accuracy_possible")
        assert floor and ceiling
        words.append(f"All sources have {percent(floor)} %, the best possible choice {percent(ceiling)} %.")
        return " ".join(words)

    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """Rank correlation, and accuracy of what is chosen, by similarity."""
        title = "Does the coarse stage choose better when it learns from earlier targets?"
        return ranking_figure(title, where, _groups(rows))


class _Looks:
    """What targets saw of sources; nobody looks twice."""

    def __init__(self, task: StudyTask) -> None:
        self._task = task
        self._models: dict[str, Classifier] = {}
        self._seen: dict[tuple[str, str, int], Candidate] = {}
        self._true: dict[tuple[str, str], float] = {}
        self._own: dict[tuple[str, int], Profile] = {}

    def at(self, name: str, seed: int, values: Sequence[int | None]) -> list[Row]:
        """The rows of one target, on which nothing was measured before."""
        task, config = self._task, self._task.config.selection
        target, zoo = target_of(task, name, seed), zoo_of(task, name)
        cards = usable_cards(zoo, target, config.students)
        count = num_chosen(task.config.num_sources, len(cards))
        truth = np.array([self._truth(zoo, card, target) for card in cards])
        seen = [self._look(zoo, card, target, seed) for card in cards]
        score = FINE_SCORES.get(config.fine)
        own, published = self._profiles(zoo, cards, target, seed)
        earlier = [card for card in cards if card.domain in task.data.names]
        earlier = [earlier[place] for place in np.random.default_rng(seed).permutation(len(earlier))]

        def row(similarity: str, label: str, experience: Experience | None = None) -> Row:
            scores, kept = coarse(own, published, similarity, config.keep, count, experience)
            worth = np.array([score(one) for one in with_agreement([seen[place] for place in kept])])
            chosen = kept[best_first(worth)[:count]]
            return {
                "similarity": label,
                "target": name,
                "seed": seed,
                "sources": len(cards),
                "pairs": len(experience.source) if experience else 0,
                "correlation": rank_correlation(scores, truth),
                "chosen": count,
                "accuracy_alike": float(truth[best_first(scores)[:count]].mean()),
                "accuracy": float(truth[chosen].mean()),
                "accuracy_of_all": float(truth.mean()),
                "accuracy_possible": float(np.sort(truth)[-count:].mean()),
                "failed": "",
            }

        rows = [row(similarity, similarity) for similarity in (PAPER, USUAL)]
        index = zoo.index()
        asked = [index.rows[card.id] for card in cards]
        most = max(len(earlier) if value is None else value for value in values)
        measured = [self._measured(zoo, card, name, seed) for card in earlier[:most]]
        for value in values:
            pairs = [pair for some in measured[:value] for pair in some]
            experience = experience_of(pairs, index, config.statistics, asked, name)
            rows.append(row(LEARNED, f"{LEARNED} from {value or ALL}", experience))
        return rows

    def _measured(self, zoo: Zoo, joined: Card, left_out: str, seed: int) -> list[Pair]:
        """The pairs of a domain that was a target earlier: of the sources that its coarse stage kept."""
        config = self._task.config
        target = target_of(self._task, joined.domain, seed)
        cards = [card for card in usable_cards(zoo, target, config.selection.students) if card.domain != left_out]
        own, published = self._profiles(zoo, cards, target, seed)
        count = min(num_chosen(None, len(cards)), config.num_sources or len(cards))
        _, kept = coarse(own, published, USUAL, config.selection.keep, count)
        seen = {card.id: self._look(zoo, card, target, seed) for card in (cards[place] for place in kept)}
        return [
            Pair(source=source, target=joined.id, accuracy=accuracy(one), labels=len(one.labels))
            for source, one in seen.items()
        ]

    def _look(self, zoo: Zoo, card: Card, target: TargetData, seed: int) -> Candidate:
        key = card.id, target.domain.name, seed
        if key not in self._seen:
            self._seen[key] = look_at(card, self._model(zoo, card), target, seed)
        return self._seen[key]

    def _profiles(self, zoo: Zoo, cards: Sequence[Card], target: TargetData, seed: int) -> tuple[Profile, Profile]:
        statistics = self._task.config.selection.statistics
        key = target.domain.name, seed
        if key not in self._own:
            self._own[key] = own_profile(zoo, target, statistics)
        return self._own[key], published_profiles(zoo, cards, statistics)

    def _truth(self, zoo: Zoo, card: Card, target: TargetData) -> float:
        key = card.id, target.domain.name
        if key not in self._true:
            self._true[key] = true_accuracy(card, self._model(zoo, card), target)
        return self._true[key]

    def _model(self, zoo: Zoo, card: Card) -> Classifier:
        if card.id not in self._models:
            self._models[card.id] = zoo.load(card.id, card)
        return self._models[card.id]


def _groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each similarity, in order."""
    names = dict.fromkeys(row["similarity"] for row in rows)
    return {name: [row for row in rows if row["similarity"] == name] for name in names}
