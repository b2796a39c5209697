"""A similarity that learns: from what earlier rounds measured, how well a source will do on a target.

The pairs of a zoo (``hatlit.zoo.pairs``) say which source did how well on which domain when that was a target, and the
cards of both say what their signals are like. So nothing of it was ever measured on the target that is asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from hatlit.selection.similarity import SIMILARITIES, Scale, Similarity, rbf_mmd
from hatlit.selection.statistics import Profile
from hatlit.zoo.index import CardIndex
from hatlit.zoo.pairs import Pair

#: Earlier targets, each with two pairs or more, from which on there is something to learn from.
ENOUGH_TARGETS = 6

#: Of more pairs, so many are used, evenly spread: the time to learn grows with their cube.
MOST_PAIRS = 2000

#: Directions in which the statistics of domains vary most, in each of which a source may be too far off.
DIRECTIONS = 8

#: What is believed before any pair is seen, in units of the spread of accuracies on one target. An accuracy rises by
#: one with each deviation of the likeness, give or take the root of ``_LIKENESS_MAY_VARY``; the others are variances
#: around nothing: of what all directions do together, of what a source does on all targets alike, and of the rest.
_LIKENESS_COUNTS = 1.0
_LIKENESS_MAY_VARY = 0.3
_DIRECTIONS_MAY_COUNT = 1.0
_SOURCE_MAY_DIFFER = 0.5
_NOISE = 4.0


@dataclass(frozen=True, eq=False)
class Experience:
    """What is known of P pairs of a source and a domain that was a target, and of the N sources to be scored.

    Attributes:
        profiles: statistics (M, S) of the domains that occur in pairs.
        source: (P,) whose source was asked, as rows of ``profiles``.
        target: (P,) about whose samples, likewise.
        accuracy: (P,) share of the labelled few of the target that the source classified correctly.
        labels: (P,) how many those were.
        asked: (N,) row of ``profiles`` of each source to be scored, -1 for one that occurs in no pair.
    """

    profiles: Profile
    source: np.ndarray
    target: np.ndarray
    accuracy: np.ndarray
    labels: np.ndarray
    asked: np.ndarray

    @property
    def num_targets(self) -> int:
        """How many targets have two pairs or more, so that they tell one source from another."""
        return int(np.count_nonzero(np.bincount(self.target, minlength=1) > 1))

    @property
    def is_enough(self) -> bool:
        """Whether there is enough of it to learn from."""
        return self.num_targets >= ENOUGH_TARGETS


@runtime_checkable
class LearningSimilarity(Protocol):
    """A similarity in the registry that gets better with experience; without any it is one like all others."""

    def __call__(self, target: Profile, sources: Profile) -> np.ndarray:
        """Scores sources (N, S) by what they are like alone; see ``Similarity``."""
        ...

    def fit(self, experience: Experience) -> Similarity:
        """Returns a similarity for the N sources that ``experience.asked`` speaks of, in that order."""
        ...


class Learned:
    """What earlier rounds measured, as a regression on the likeness by rbf_mmd and on distances; without them rbf_mmd.

    The accuracy of source i on target t, less the mean over all sources, is taken to be

        β ℓ_ti + Σ_k w_k |u_tk - u_ik| + a_i + noise,

    with ℓ the likeness by ``rbf_mmd``, standardised over the sources, u the first ``DIRECTIONS`` principal components
    of the statistics, and a_i what source i does on all targets alike. All coefficients are normal, β around a likeness
    that can be trusted and the others around nothing, so the answer is the posterior mean: few pairs change the order
    by likeness little, and many decide.
    """

    def __call__(self, target: Profile, sources: Profile) -> np.ndarray:
        """Scores by likeness alone, as ``rbf_mmd`` does."""
        return rbf_mmd(target, sources)

    def fit(self, experience: Experience) -> Similarity:
        """Fits the regression.

        Args:
            experience: with at least one pair.

        Raises:
            InputError: no profile is finite.
        """
        directions = _Directions.of(experience.profiles)
        places = directions(experience.profiles)
        pairs = np.flatnonzero(directions.scale.usable[experience.source] & directions.scale.usable[experience.target])
        pairs = pairs[np.linspace(0, len(pairs) - 1, min(len(pairs), MOST_PAIRS)).round().astype(np.int64)]
        source, target = experience.source[pairs], experience.target[pairs]

        distance = np.abs(places[source] - places[target])
        centre, spread = distance.mean(0), distance.std(0)
        scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0.0) / np.sqrt(max(1, distance.shape[1]))
        distance = (distance - centre) * scale
        likeness = _centred(_likeness_of_pairs(experience.profiles, source, target), target)
        accuracy = _centred(experience.accuracy[pairs], target)
        accuracy /= accuracy.std() or 1.0
        labels = experience.labels[pairs].astype(np.float64)

        covariance = (
            _LIKENESS_MAY_VARY * np.outer(likeness, likeness)
            + _DIRECTIONS_MAY_COUNT * distance @ distance.T
            + _SOURCE_MAY_DIFFER * (source[:, None] == source)
            + _NOISE * np.diag(labels.mean() / labels)
        )
        unexplained = np.linalg.solve(covariance, accuracy - _LIKENESS_COUNTS * likeness)
        of_likeness = _LIKENESS_COUNTS + _LIKENESS_MAY_VARY * likeness @ unexplained
        of_distance = _DIRECTIONS_MAY_COUNT * scale * (distance.T @ unexplained)
        of_source = _SOURCE_MAY_DIFFER * np.bincount(source, unexplained, minlength=len(places))
        known = np.where(experience.asked >= 0, of_source[experience.asked], 0.0)

        def score(wanted: Profile, sources: Profile) -> np.ndarray:
            distance = np.abs(directions(sources) - directions(wanted)) - centre
            return of_likeness * _standardised(rbf_mmd(wanted, sources)) + distance @ of_distance + known

        return score


SIMILARITIES.add("learned", Learned())


def experience_of(
    pairs: Sequence[Pair], index: CardIndex, statistics: str, asked: Sequence[int], target: str
) -> Experience:
    """What the pairs of a zoo say to a target, without those that have to do with its own domain.

    Args:
        pairs: of the zoo.
        index: of the zoo.
        statistics: which statistics are compared.
        asked: rows of the index that will be scored.
        target: name of the target's domain.
    """
    of_others = {name for name, domain in zip(index.ids, index.table.domains, strict=True) if domain != target}
    pairs = [pair for pair in pairs if {pair.source, pair.target} <= of_others]
    ids = sorted({name for pair in pairs for name in (pair.source, pair.target)})
    place = {name: number for number, name in enumerate(ids)}
    return Experience(
        profiles=Profile(*index.statistics(statistics, [index.rows[name] for name in ids])),
        source=np.array([place[pair.source] for pair in pairs], dtype=np.int64),
        target=np.array([place[pair.target] for pair in pairs], dtype=np.int64),
        accuracy=np.array([pair.accuracy for pair in pairs]),
        labels=np.array([pair.labels for pair in pairs], dtype=np.int64),
        asked=np.array([place.get(index.ids[row], -1) for row in asked], dtype=np.int64),
    )


@dataclass(frozen=True, eq=False)
class _Directions:
    """Maps statistics to their first principal components over some domains.

    Attributes:
        scale: of the domains.
        axes: (2S, directions) orthonormal.
    """

    scale: Scale
    axes: np.ndarray

    @classmethod
    def of(cls, profiles: Profile) -> _Directions:
        scale = Scale.of(profiles)
        rows = scale.standardise(np.concatenate([profiles.mean, profiles.spread], axis=1, dtype=np.float64))
        _, sizes, axes = np.linalg.svd(rows[scale.usable], full_matrices=False)
        return cls(scale, axes[:DIRECTIONS][sizes[:DIRECTIONS] > 1e-9 * sizes.max(initial=0.0)].T)

    def __call__(self, profile: Profile) -> np.ndarray:
        """Statistics (S,) or (N, S) as places (..., directions); NaN where they are not finite."""
        rows = np.concatenate([profile.mean, profile.spread], axis=-1, dtype=np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            places = self.scale.standardise(rows) @ self.axes
        return np.where(np.isfinite(places), places, np.nan)


def _likeness_of_pairs(profiles: Profile, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The likeness (P,) of each pair, standardised over all domains besides the target."""
    found = np.empty(len(source))
    for own in np.unique(target):
        others = np.delete(np.arange(len(profiles.mean)), own)
        everyone: np.ndarray = np.full(len(profiles.mean), np.nan)
        wanted = Profile(profiles.mean[own], profiles.spread[own])
        everyone[others] = _standardised(rbf_mmd(wanted, Profile(profiles.mean[others], profiles.spread[others])))
        found[target == own] = everyone[source[target == own]]
    return found


def _standardised(scores: np.ndarray) -> np.ndarray:
    """Scores (N,) with mean 0 and deviation 1 over those that are finite."""
    finite = scores[np.isfinite(scores)]
    return (scores - finite.mean()) / (finite.std() or 1.0)


def _centred(values: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Values (P,) less the mean over the pairs of the same target."""
    counts = np.bincount(target)
    return values - (np.bincount(target, values) / np.maximum(counts, 1))[target]
