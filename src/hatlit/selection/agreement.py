"""How far candidates bear each other out on what nobody has labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hatlit.selection.fine import Candidate, accuracy

#: With fewer candidates than this, all agree with the others equally far, which says nothing of any of them.
FEWEST = 3

#: The word of a candidate that is wrong on all labels still counts this much, so that there is always somebody.
LEAST_TRUST = 1e-3

#: Nothing is divided by less.
SMALLEST = 1e-3


class Agreement:
    """Candidates that are compared by what they make of the same unlabelled samples, one joining after the other.

    The agreement of two is Cohen's kappa of their most probable classes, κ = (s - c) / (1 - c), where s is how often
    they say the same and c how often they would by chance: 0 for any two that look at nothing, as where one always says
    the same, 1 for two that never differ. The agreement of one is the mean over all others, each weighted by its
    accuracy on the labelled few, and no less than 0.
    """

    def __init__(self) -> None:
        self._said: list[np.ndarray] = []
        self._shares: list[np.ndarray] = []
        self._trust = np.empty(0)
        self._sums = np.empty(0)

    def add(self, candidate: Candidate) -> None:
        """Compares one more candidate with those that are there, in time proportional to their number."""
        probabilities = candidate.unlabelled_probabilities
        said = probabilities.argmax(axis=1)
        shares = np.bincount(said, minlength=probabilities.shape[1]) / max(1, len(said))
        trust = max(LEAST_TRUST, accuracy(candidate)) if len(candidate.labels) else 1.0
        kappas = np.array(
            [_kappa(said, shares, *other) for other in zip(self._said, self._shares, strict=True)], dtype=float
        )
        self._sums = np.append(self._sums + trust * kappas, self._trust @ kappas)
        self._trust = np.append(self._trust, trust)
        self._said.append(said)
        self._shares.append(shares)

    def of_each(self) -> np.ndarray:
        """The agreement of each (N,), from 0 to 1, in the order of joining; 1 where there is nothing to compare."""
        if len(self._said) < FEWEST or not len(self._said[0]):
            return np.ones(len(self._said))
        return np.clip(self._sums / (self._trust.sum() - self._trust), 0.0, 1.0)


def with_agreement(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The same candidates, each with its agreement with the others."""
    agreement = Agreement()
    for candidate in candidates:
        agreement.add(candidate)
    return [
        replace(candidate, agreement=float(value))
        for candidate, value in zip(candidates, agreement.of_each(), strict=True)
    ]


def _kappa(said: np.ndarray, shares: np.ndarray, other: np.ndarray, shares_of_other: np.ndarray) -> float:
    by_chance = float(shares @ shares_of_other)
    if by_chance >= 1:  # both always say the same
        return 0.0
    return (float((said == other).mean()) - by_chance) / max(1 - by_chance, SMALLEST) if len(said) else 0.0
