"""A closer look at candidates: what each makes of the target's samples, and which of them are of use."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hatlit.datamodules.target.data import TargetData, some_of
from hatlit.encoders.base import Classifier, are_sound
from hatlit.seeds import seed_of
from hatlit.selection.agreement import Agreement
from hatlit.selection.fine import Candidate, accuracy
from hatlit.selection.labels import UNKNOWN, align, to_target_classes
from hatlit.types import UNLABELLED
from hatlit.zoo.card import Card

#: Odds at which a candidate is taken for one that guesses (substantial evidence, by Jeffreys).
GUESSES = 3.0

#: A candidate that agrees with the others less than this looks at something else than they do, or at nothing.
LEAST_AGREEMENT = 0.1

#: Unlabelled rows shown to a candidate, for scores that want them.
UNLABELLED_ROWS = 512


class Judged(NamedTuple):
    """A candidate beside all others.

    Attributes:
        candidate: with its agreement.
        doubt: why it is hardly of use; empty where it is.
        opinion: number of what it is a copy of; all that have the same model share one.
    """

    candidate: Candidate
    doubt: str
    opinion: int


class CloserLook:
    """The candidates that were looked at so far, judged together.

    Args:
        num_classes: of the target (K).
    """

    def __init__(self, num_classes: int) -> None:
        self._num_classes = num_classes
        self._agreement = Agreement()
        self._candidates: list[Candidate] = []
        self._opinions: list[int] = []
        self._number_of: dict[Hashable, int] = {}
        self._guesses: list[bool] = []

    def add(self, candidate: Candidate, model: Hashable = None) -> None:
        """One more, whose answers are finite.

        Args:
            candidate: with its own card's centroids.
            model: what its answers depend on. Copies would bear each other out, so those with the same are compared
                with the others once; None is like no other.
        """
        labels = len(candidate.labels)
        known = len(self._number_of)
        opinion = self._number_of.setdefault(len(self._candidates) if model is None else model, known)
        self._candidates.append(candidate)
        self._opinions.append(opinion)
        if opinion == known:
            self._agreement.add(candidate)
        self._guesses.append(bool(labels) and guesses(accuracy(candidate), labels, self._num_classes))

    def judged(self) -> list[Judged]:
        """Every candidate, in the order in which they were added."""
        agreements = self._agreement.of_each().tolist()
        return [
            Judged(replace(candidate, agreement=agreements[opinion]), _doubt(guess, agreements[opinion]), opinion)
            for candidate, guess, opinion in zip(self._candidates, self._guesses, self._opinions, strict=True)
        ]

    @property
    def of_use(self) -> int:
        """How many opinions there is no doubt about."""
        agreements = self._agreement.of_each().tolist()
        both = zip(self._guesses, self._opinions, strict=True)
        return len({opinion for guess, opinion in both if not _doubt(guess, agreements[opinion])})


def look_at(card: Card, model: Classifier, target: TargetData, seed: int) -> Candidate:
    """Runs one candidate on the labelled few, and on some unlabelled rows, of a target.

    Scores that draw at random do so anew for each candidate, target and seed, whatever order candidates come in.
    """
    columns = align(card.class_names, target.class_names)
    labelled = torch.nonzero(target.train_labels != UNLABELLED).flatten()
    unlabelled = some_of(torch.nonzero(target.train_labels == UNLABELLED).flatten(), UNLABELLED_ROWS)

    @torch.no_grad()
    def run(rows: Tensor) -> tuple[np.ndarray, np.ndarray]:
        parts = rows.split(model.input_spec.rows_a_pass)
        answers = [model.both(target.view(model.input_spec, part)) for part in parts]
        features, logits = (torch.cat(several) for several in zip(*answers, strict=True))
        # A softmax makes finite numbers of minus infinity and of what is far too large, and would hide them.
        logits = logits.where(are_sound(features, logits)[:, None], torch.nan)
        return features.double().numpy(), to_target_classes(logits.double().softmax(-1), columns).numpy()

    features, probabilities = run(labelled)
    centroids = {
        number: np.array(card.centroids[column])
        for number, column in enumerate(columns)
        if column != UNKNOWN and card.centroids[column] is not None
    }
    labels = target.train_labels[labelled].numpy()
    draw = seed_of(seed, target.domain.name, card.id)
    return Candidate(probabilities, labels, features, centroids, run(unlabelled)[1], draw)


def guesses(accuracy: float, labels: int, num_classes: int) -> bool:
    """Whether a candidate's answers on the labelled few speak for a guess.

    The rival is a source half-way between a guess, which is right with probability 1/K, and one that is always right. A
    wrong answer then makes a guess twice as likely as it was, a right one less likely. Two labels, one of them missed,
    say nothing yet.
    """
    chance, right = 1 / num_classes, accuracy * labels
    wrong = labels - right
    return (2 * chance / (1 + chance)) ** right * 2**wrong > GUESSES


def is_finite(candidate: Candidate) -> bool:
    """Whether all that a candidate answered are finite numbers."""
    outputs = (candidate.probabilities, candidate.features, candidate.unlabelled_probabilities)
    return all(np.isfinite(array).all() for array in outputs)


def _doubt(guess: bool, agreement: float) -> str:
    if guess:
        return "like a guess on the labelled few"
    return "in agreement with hardly any other" if agreement < LEAST_AGREEMENT else ""
