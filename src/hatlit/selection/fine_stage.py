"""The second stage of selection: candidates' models are read, one at a time, and judged together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hatlit.datamodules.target.data import TargetData
from hatlit.encoders.base import Classifier
from hatlit.errors import InputError
from hatlit.selection.closer_look import CloserLook, Judged, is_finite, look_at
from hatlit.selection.coarse import best_first
from hatlit.selection.fine import FINE_SCORES, accuracy
from hatlit.selection.traffic import FLOAT_BYTES, Traffic
from hatlit.selection.verdict import Verdict
from hatlit.zoo.card import Card
from hatlit.zoo.index import CardIndex
from hatlit.zoo.store import Zoo

#: Models held while others are looked at, by how many are wanted: a few more, as ranks change when others join.
HELD = 2


@dataclass(frozen=True)
class FineStage:
    """Asks the candidates of the coarse stage.

    Attributes:
        zoo: the sources.
        index: of the zoo, whose rows are the candidates' numbers.
        target: the new domain; only its training part is looked at.
        score: name of the fine score.
        count: how many sources are wanted.
        doubt: whether more are looked at while too few are of use, and copies count once; else the score decides among
            the kept candidates alone.
        seed: for scores that draw at random.
        verdicts: one a row of the index, filled in here.
        traffic: bytes by stage, added to here.
    """

    zoo: Zoo
    index: CardIndex
    target: TargetData
    score: str
    count: int
    doubt: bool
    seed: int
    verdicts: list[Verdict]
    traffic: Traffic

    def choose(self, ranked: Sequence[int], num_kept: int) -> tuple[list[int], list[tuple[Card, Classifier]]]:
        """Looks at the kept candidates, and, in doubt, at more of the ranked ones while too few are of use.

        Returns:
            The rows of all that were looked at; and the chosen, best first.

        Raises:
            InputError: none has a finite score.
        """
        held = Held(self.zoo, self.index, HELD * self.count)
        asked, answered = self._ask(ranked, num_kept, held)
        order = self._rank(asked, answered)
        best = self._best_of_copies(order, answered)
        chosen = list(best.values())[: self.count]
        self._explain(order, chosen, answered, best)
        if not chosen:
            why = f"; the first was {self.verdicts[asked[0]].reason}" if not order else ""
            raise InputError(f"No candidate has a finite score by {self.score} on this target{why}; use another zoo.")
        return asked, [held.get(row) for row in chosen]

    def _ask(self, ranked: Sequence[int], num_kept: int, held: Held) -> tuple[list[int], dict[int, Judged]]:
        """Returns the rows that were looked at, and what was made of those that answered with finite numbers."""
        look = CloserLook(len(self.target.class_names))
        asked: list[int] = []
        answered: list[int] = []
        for place, row in enumerate(ranked):
            if place >= num_kept and (not self.doubt or look.of_use >= self.count):
                break
            asked.append(row)
            verdict = self.verdicts[row]
            try:
                card, model = held.load(row)
            except InputError as fault:
                verdict.drop(str(fault))
                continue
            candidate = look_at(card, model, self.target, self.seed)
            verdict.reason = ""
            verdict.accuracy = accuracy(candidate) if len(candidate.labels) else None
            self.traffic.add("fine", down=card.size_bytes + FLOAT_BYTES * _numbers_of_centroids(card))
            if is_finite(candidate):
                model_of_it = (card.sha256, card.encoder, card.input_spec, card.class_names)
                look.add(candidate, model_of_it if self.doubt else None)
                answered.append(row)
                held.keep(row, card, model, FINE_SCORES.get(self.score)(candidate))
        return asked, dict(zip(answered, look.judged(), strict=True))

    def _rank(self, asked: Sequence[int], answered: dict[int, Judged]) -> list[int]:
        """Notes the score of each that answered; returns the rows that could be read, best first."""
        for row, judged in answered.items():
            worth = FINE_SCORES.get(self.score)(judged.candidate)
            self.verdicts[row].agreement = judged.candidate.agreement
            self.verdicts[row].fine_score = worth if math.isfinite(worth) else None
        read = [row for row in asked if not self.verdicts[row].reason]
        worths = np.array([self.verdicts[row].fine_score for row in read], dtype=float)  # None becomes NaN
        return [read[place] for place in best_first(worths).tolist()]

    def _best_of_copies(self, order: Sequence[int], answered: dict[int, Judged]) -> dict[int, int]:
        """By opinion the first row of those with a finite score that have it, best first."""
        best: dict[int, int] = {}
        for row in order:
            if self.verdicts[row].fine_score is not None:
                best.setdefault(answered[row].opinion, row)
        return best

    def _explain(
        self, order: Sequence[int], chosen: Sequence[int], answered: dict[int, Judged], best: dict[int, int]
    ) -> None:
        for rank, row in enumerate(order, start=1):
            verdict = self.verdicts[row]
            verdict.selected = row in chosen
            what = "selected" if verdict.selected else "dropped by the fine stage"
            if verdict.fine_score is None:
                verdict.reason = f"{what}: no finite score by {self.score}"
                continue
            twin = best[answered[row].opinion]
            doubt = answered[row].doubt if twin == row else f"a copy of '{self.verdicts[twin].id}'"
            verdict.reason = f"{what}: rank {rank} of {len(order)} by {self.score}{f', {doubt}' if doubt else ''}"


class Held:
    """The models of the candidates that seemed best when they were looked at; the others are read again if need be.

    Args:
        zoo: the sources.
        index: of the zoo.
        most: models held at a time.
    """

    def __init__(self, zoo: Zoo, index: CardIndex, most: int) -> None:
        self._zoo, self._index, self._most = zoo, index, most
        self._worths: dict[int, float] = {}
        self._models: dict[int, tuple[Card, Classifier]] = {}

    def load(self, row: int) -> tuple[Card, Classifier]:
        """Reads a candidate.

        Raises:
            InputError: its card or its weights are of no use.
        """
        card = self._zoo.candidate(self._index, row)
        return card, self._zoo.load(card.id, card)

    def keep(self, row: int, card: Card, model: Classifier, worth: float) -> None:
        """Holds a model, and lets go of the one that seems worst, the last of such, where there are too many."""
        self._worths[row] = worth if math.isfinite(worth) else -math.inf
        self._models[row] = card, model
        if len(self._models) > self._most:
            del self._models[min(reversed(self._models), key=lambda one: self._worths[one])]

    def get(self, row: int) -> tuple[Card, Classifier]:
        """A candidate that was looked at."""
        return self._models[row] if row in self._models else self.load(row)


def _numbers_of_centroids(card: Card) -> int:
    return sum(len(centroid) for centroid in card.centroids if centroid is not None)
