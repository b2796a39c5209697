"""Which of the candidates are worth asking, judged by what their encoders and heads make of the target's samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hatlit.errors import InputError
from hatlit.registry import Registry

#: The least probability that a logarithm sees.
PROBABILITY_FLOOR = 1e-6

#: The score that takes the place of the shipped one where the target has no label.
WITHOUT_LABELS = "mutual_information_agreement"

#: Agreement counts as at least this much: too little to outrank a candidate that any other bears out.
FAINTEST_AGREEMENT = 0.01


@dataclass(frozen=True, eq=False)
class Candidate:
    """One source, shown the target's samples.

    Class numbers are those of the target, K in all. A row of probabilities sums to less than one where the source keeps
    mass for classes that the target does not have; what is missing is called abstained.

    Attributes:
        probabilities: (L, K) float64 predictions on the labelled few.
        labels: (L,) classes of the labelled few.
        features: (L, feature_dim) of the source's encoder on the labelled few.
        source_centroids: mean feature (feature_dim,) of the source's own data, by class; only classes the source knows.
        unlabelled_probabilities: (U, K) float64 predictions on unlabelled samples.
        seed: for scores that draw at random.
        agreement: with other candidates about the unlabelled samples, from 0 to 1; 1 where there is nothing to compare.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    features: np.ndarray
    source_centroids: dict[int, np.ndarray]
    unlabelled_probabilities: np.ndarray
    seed: int
    agreement: float = 1.0


#: An entry of the registry: maps a candidate to its score, higher = better.
FineScore = Callable[[Candidate], float]

FINE_SCORES: Registry[FineScore] = Registry("fine score", home="hatlit.selection.fine", group="hatlit.fine_scores")


def register_fine_score(name: str | None = None) -> Callable[[FineScore], FineScore]:
    """Returns a decorator that names a fine score."""
    return FINE_SCORES.register(name)


@register_fine_score()
def accuracy(candidate: Candidate) -> float:
    """Share of the labelled few whose most probable class is the right one; no prediction at all is a wrong one.

    Raises:
        InputError: there are no labels.
    """
    _require_labels(candidate)
    right = candidate.probabilities.argmax(axis=1) == candidate.labels
    return float((right & (_of_label(candidate) > 0)).mean())


@register_fine_score()
def centroid(candidate: Candidate) -> float:
    """Mean cosine between the centroids of the target and of the source in the source's feature space.

    mean_k cos(c_{t,k}, c_{i,k}) over the labelled classes k of the target, where c_{t,k} is the mean feature of the
    labelled rows of class k. A class that the source does not know, and a centroid of length 0, has cosine 0.

    Raises:
        InputError: there are no labels.
    """
    _require_labels(candidate)
    nothing = np.zeros(candidate.features.shape[1])
    cosines = [
        _cosine(candidate.features[candidate.labels == k].mean(axis=0), candidate.source_centroids.get(k, nothing))
        for k in np.unique(candidate.labels).tolist()
    ]
    return float(np.mean(cosines))


@register_fine_score()
def centroid_accuracy(candidate: Candidate) -> float:
    """Centroid times accuracy: mean_k cos(c_{t,k}, c_{i,k}) · Acc_i (HaT, https://arxiv.org/abs/2412.04060).

    Raises:
        InputError: there are no labels.
    """
    return centroid(candidate) * accuracy(candidate)


@register_fine_score()
def centroid_accuracy_agreement(candidate: Candidate) -> float:
    """Centroid times accuracy times agreement with the other candidates about unlabelled samples.

    Labels are few, so that many candidates get as many of them right, and some by luck; what is right on other samples
    as well agrees with others that are. Agreement counts as at least ``FAINTEST_AGREEMENT``: where every candidate has
    its opposite, nobody agrees with the others, and labels and centroids have to tell.

    Raises:
        InputError: there are no labels.
    """
    return centroid_accuracy(candidate) * max(candidate.agreement, FAINTEST_AGREEMENT)


@register_fine_score()
def negative_log_likelihood(candidate: Candidate) -> float:
    """Mean logarithm of the right class's probability, at least 1e-6; it is not negated, so that higher is better.

    mean_n log max(p(y_n | x_n), 1e-6).

    Raises:
        InputError: there are no labels.
    """
    _require_labels(candidate)
    return float(np.log(np.maximum(_of_label(candidate), PROBABILITY_FLOOR)).mean())


@register_fine_score()
def mutual_information(candidate: Candidate) -> float:
    """Information (nats) between unlabelled samples and the predicted class: H(mean_n p_n) - mean_n H(p_n).

    High where predictions are confident and differ from sample to sample; it needs no labels. What is abstained counts
    as one more class.

    Raises:
        InputError: there are no unlabelled samples.
    """
    if len(candidate.unlabelled_probabilities) == 0:
        raise InputError("The fine score 'mutual_information' needs unlabelled samples, and the target has none.")
    outcomes = _with_abstained(candidate.unlabelled_probabilities)
    return float(_entropy(outcomes.mean(axis=0)) - _entropy(outcomes).mean())


@register_fine_score()
def mutual_information_agreement(candidate: Candidate) -> float:
    """Mutual information times agreement with the other candidates: what can be known of a source without a label.

    A source may be sure of the wrong classes, but then hardly any other says the same.

    Raises:
        InputError: there are no unlabelled samples.
    """
    return mutual_information(candidate) * max(candidate.agreement, FAINTEST_AGREEMENT)


@register_fine_score()
def leep(candidate: Candidate) -> float:
    """Log expected empirical prediction (LEEP; Nguyen et al. 2020, https://arxiv.org/abs/2002.12462).

    With θ(x)_z the source's probability of its class z, P(y, z) = 1/L Σ_{n: y_n = y} θ(x_n)_z and P(y | z) = P(y, z) /
    P(z), the score is 1/L Σ_n log Σ_z P(y_n | z) θ(x_n)_z. The classes z are the target's, and abstained is one more.
    Nothing is smoothed: a class z that gets no mass at all (0/0) contributes nothing, as in no row it could.

    Raises:
        InputError: there are no labels.
    """
    _require_labels(candidate)
    theta = _with_abstained(candidate.probabilities)
    mass = theta.sum(axis=0)
    joint = np.eye(candidate.probabilities.shape[1])[candidate.labels].T @ theta
    label_given_class = joint / np.where(mass == 0, 1.0, mass)
    return float(np.log((label_given_class[candidate.labels] * theta).sum(axis=1)).mean())


@register_fine_score()
def random(candidate: Candidate) -> float:
    """A number drawn from the candidate's seed: what any other score has to beat."""
    return float(np.random.default_rng(candidate.seed).random())


def _require_labels(candidate: Candidate) -> None:
    if len(candidate.labels) == 0:
        raise InputError(f"The target has no labelled samples; choose the fine score '{WITHOUT_LABELS}' or 'random'.")


def _of_label(candidate: Candidate) -> np.ndarray:
    """Returns the probability (L,) of each labelled row's own class."""
    return candidate.probabilities[np.arange(len(candidate.labels)), candidate.labels]


def _with_abstained(probabilities: np.ndarray) -> np.ndarray:
    """Appends to probabilities (N, K) what is missing from one: (N, K + 1)."""
    missing = np.maximum(0.0, 1.0 - probabilities.sum(axis=1, keepdims=True))
    return np.concatenate([probabilities, missing], axis=1)


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy (nats) along the last axis, where 0 log 0 = 0."""
    return -(probabilities * np.log(np.where(probabilities == 0, 1.0, probabilities))).sum(axis=-1)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm else 0.0
