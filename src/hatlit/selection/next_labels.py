"""Which of a target's unlabelled samples its user should label next."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from hatlit.registry import Registry

#: A sample that everybody is sure of still counts this much, so that there is an order among such samples.
LEAST_WEIGHT = 1e-3

#: Candidates that are compared with all samples at a time; bounds the memory that this takes.
CANDIDATES_A_PASS = 256


class Outlook(NamedTuple):
    """What is known of a target's N training samples before more of them are labelled. No labels are in it.

    Attributes:
        members: (N, M, K) class probabilities that each of M sources gives; rows sum to one.
        fused: (N, K) what all of them together make of a sample.
        labelled: (L,) numbers of the samples whose labels are known.
        candidates: (C,) numbers of the samples that the user can be asked about.
    """

    members: np.ndarray
    fused: np.ndarray
    labelled: np.ndarray
    candidates: np.ndarray


class Ranking(Protocol):
    """An entry of the registry of rankings."""

    def __call__(self, outlook: Outlook, count: int, seed: int) -> np.ndarray:
        """Returns the numbers (count,) of the candidates to label, the first one first.

        Args:
            outlook: what is known; it has at least ``count`` candidates.
            count: how many.
            seed: for rankings that draw.
        """
        ...


RANKINGS: Registry[Ranking] = Registry("ranking", home="hatlit.selection.next_labels", group="hatlit.rankings")


def register_ranking(name: str | None = None) -> Callable[[Ranking], Ranking]:
    """Returns a decorator that names a ranking."""
    return RANKINGS.register(name)


def uncertainty(fused: np.ndarray) -> np.ndarray:
    """Entropy of fused predictions (N, K) as a share of the largest there can be: (N,) in [0, 1]."""
    return _entropy(fused) / np.log(max(2, fused.shape[-1]))


def disagreement(members: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence of what the members (N, M, K) say, as a share of the largest: (N,) in [0, 1].

    The entropy of their mean less the mean of their entropies: high where each is sure of another class, zero where all
    are unsure in the same way (query by committee; the same quantity as BALD's).
    """
    most = np.log(max(2, min(members.shape[1:])))
    return np.maximum(0, _entropy(members.mean(axis=1)) - _entropy(members).mean(axis=1)) / most


def weights_of(outlook: Outlook) -> np.ndarray:
    """How much each sample is worth covering: (N,), the mean of uncertainty and disagreement, never quite zero."""
    return LEAST_WEIGHT + (uncertainty(outlook.fused) + disagreement(outlook.members)) / 2


def covered(outlook: Outlook, order: np.ndarray) -> np.ndarray:
    """Share (count,) of all that no labelled sample covers yet which each sample of an order newly covers, in turn."""
    cover = _Cover(outlook)
    open_at_first = cover.open()
    return np.array([cover.take(row) for row in order]) / max(open_at_first, np.finfo(float).tiny)


@register_ranking("coverage")
def by_coverage(outlook: Outlook, count: int, seed: int) -> np.ndarray:
    """Covers the samples in doubt: each next sample stands for as many as possible that no labelled one stands for.

    With weights u_j of the samples and the likeness k of what the sources say of two samples, the chosen and labelled
    S maximise Σ_j u_j max_{i in S} k(i, j), greedily. That is within 1 - 1/e of the best choice, because the sum is
    submodular. After Uncertainty Herding (Bae, Oliveira & Sutherland 2025) and, where u is constant, MaxHerding (2024),
    which softens ProbCover (Yehuda et al. 2022). Unlike k-centre (core-set, Sener & Savarese 2018), which goes for the
    farthest sample, it passes by outliers, as is wise with few labels (TypiClust, Hacohen et al. 2022). Here k is
    Bhattacharyya's coefficient of the sources' probabilities, averaged over the sources, and u is how unsure the
    fused prediction is and how far the sources disagree.
    """
    cover = _Cover(outlook)
    # What a candidate adds only shrinks while others are taken, so an old bound that is beaten need not be computed.
    bounds = [(-gain, row) for gain, row in zip(cover.gains(outlook.candidates), outlook.candidates, strict=True)]
    heapq.heapify(bounds)
    chosen: list[int] = []
    while len(chosen) < count:
        _, row = heapq.heappop(bounds)
        now = (-cover.gains(np.array([row]))[0], row)
        if bounds and now > bounds[0]:
            heapq.heappush(bounds, now)
            continue
        cover.take(row)
        chosen.append(int(row))
    return np.array(chosen, dtype=np.int64)


@register_ranking("uncertainty")
def by_uncertainty(outlook: Outlook, count: int, seed: int) -> np.ndarray:
    """The samples of which the fused prediction is least sure, by its entropy."""
    return _largest(uncertainty(outlook.fused), outlook.candidates, count)


@register_ranking("disagreement")
def by_disagreement(outlook: Outlook, count: int, seed: int) -> np.ndarray:
    """The samples about which the sources disagree most (query by committee)."""
    return _largest(disagreement(outlook.members), outlook.candidates, count)


@register_ranking("random")
def at_random(outlook: Outlook, count: int, seed: int) -> np.ndarray:
    """Any samples: what the others are measured against."""
    return np.random.default_rng(seed).permutation(outlook.candidates)[:count]


class _Cover:
    """How well the samples of an outlook are covered, while samples are taken.

    Args:
        outlook: its labelled samples are taken already.
    """

    def __init__(self, outlook: Outlook) -> None:
        members = outlook.members
        # The product of two rows is Bhattacharyya's coefficient, Σ_k √(p_k q_k), averaged over the members.
        self._roots = np.sqrt(members / members.shape[1]).reshape(len(members), -1).astype(np.float32)
        self._weights = weights_of(outlook)
        self._best = np.zeros(len(members), dtype=np.float32)
        for part in _passes(outlook.labelled):
            np.maximum(self._best, self._likeness(part).max(axis=0, initial=0), out=self._best)

    def open(self) -> float:
        """What is still to be covered."""
        return float(np.maximum(0, 1 - self._best) @ self._weights)

    def gains(self, rows: np.ndarray) -> np.ndarray:
        """What each of some samples (B,) would newly cover: (B,)."""
        return np.concatenate([self._new(self._likeness(part)) for part in _passes(rows)])

    def take(self, row: int) -> float:
        """Takes a sample and returns what it newly covers."""
        likeness = self._likeness(np.array([row]))
        gain = float(self._new(likeness)[0])
        np.maximum(self._best, likeness[0], out=self._best)
        return gain

    def _new(self, likeness: np.ndarray) -> np.ndarray:
        return np.maximum(0, likeness - self._best) @ self._weights

    def _likeness(self, rows: np.ndarray) -> np.ndarray:
        return self._roots[rows] @ self._roots.T


def _passes(rows: np.ndarray) -> list[np.ndarray]:
    return np.split(rows, range(CANDIDATES_A_PASS, len(rows), CANDIDATES_A_PASS))


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    logarithms = np.log(probabilities, where=probabilities > 0, out=np.zeros(probabilities.shape))
    return -(probabilities * logarithms).sum(axis=-1)


def _largest(worth: np.ndarray, candidates: np.ndarray, count: int) -> np.ndarray:
    return candidates[np.argsort(-worth[candidates], kind="stable")[:count]]
