from __future__ import annotations

from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest

from hatlit.errors import InputError
from hatlit.selection.fine import (
    FINE_SCORES,
    Candidate,
    accuracy,
    centroid,
    centroid_accuracy,
    leep,
    mutual_information,
    mutual_information_agreement,
    negative_log_likelihood,
    random,
)

CANDIDATE = Candidate(
    probabilities=np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]),
    labels=np.array([0, 1, 1]),
    features=np.array([[2.0, 0.0], [0.0, 2.0], [0.0, 4.0]]),
    source_centroids={0: np.array([1.0, 0.0]), 1: np.array([5.0, 5.0])},
    unlabelled_probabilities=np.array([[1.0, 0.0], [0.0, 1.0]]),
    seed=0,
)
NEEDS_LABELS = ("accuracy", "centroid", "centroid_accuracy", "negative_log_likelihood", "leep")


def unlabelled() -> Candidate:
    return replace(CANDIDATE, probabilities=np.zeros((0, 2)), labels=np.zeros(0, int), features=np.zeros((0, 2)))


def test_built_in_names() -> None:
    assert {*NEEDS_LABELS, "mutual_information", "random"} <= set(FINE_SCORES.names())


def test_accuracy_by_hand() -> None:
    assert accuracy(CANDIDATE) == pytest.approx(2 / 3)


def test_no_prediction_is_no_hit() -> None:
    silent = replace(CANDIDATE, probabilities=np.zeros((3, 2)), labels=np.array([0, 0, 0]))
    assert accuracy(silent) == 0.0


def test_centroid_by_hand() -> None:
    # Class 0: (2, 0) against (1, 0). Class 1: (0, 3) against (5, 5).
    assert centroid(CANDIDATE) == pytest.approx((1 + sqrt(0.5)) / 2)


def test_a_class_that_the_source_does_not_know_counts_as_nothing() -> None:
    assert centroid(replace(CANDIDATE, source_centroids={1: np.array([0.0, 1.0]), 7: np.ones(2)})) == pytest.approx(0.5)
    assert centroid(replace(CANDIDATE, source_centroids={7: np.ones(2)})) == 0.0


def test_centroid_of_length_zero_is_like_nothing() -> None:
    assert centroid(replace(CANDIDATE, source_centroids={0: np.zeros(2)})) == 0.0


def test_centroid_accuracy_by_hand() -> None:
    assert centroid_accuracy(CANDIDATE) == pytest.approx((1 + sqrt(0.5)) / 2 * 2 / 3)


def test_negative_log_likelihood_by_hand() -> None:
    assert negative_log_likelihood(CANDIDATE) == pytest.approx((log(0.8) + log(0.4) + log(0.7)) / 3)


def test_negative_log_likelihood_has_a_floor() -> None:
    impossible = replace(CANDIDATE, probabilities=np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]))
    assert negative_log_likelihood(impossible) == pytest.approx(log(1e-6))


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], log(2)),
        ([[0.5, 0.5], [0.5, 0.5]], 0.0),
        ([[1.0, 0.0], [1.0, 0.0]], 0.0),
        ([[0.0, 0.0], [0.0, 0.0]], 0.0),
        ([[1.0, 0.0], [0.0, 0.5]], 1.5 * log(2) - 0.5 * log(2)),
    ],
)
def test_mutual_information_by_hand(predictions: list[list[float]], expected: float) -> None:
    # The last case abstains with one half: the mean is (1/2, 1/4, 1/4), the row entropies are 0 and log 2.
    score = mutual_information(replace(CANDIDATE, unlabelled_probabilities=np.array(predictions)))
    assert score == pytest.approx(expected, abs=1e-12)


def test_mutual_information_needs_no_labels_but_samples() -> None:
    assert mutual_information(unlabelled()) == pytest.approx(log(2))
    with pytest.raises(InputError, match="unlabelled samples"):
        mutual_information(replace(CANDIDATE, unlabelled_probabilities=np.zeros((0, 2))))


def test_agreement_weighs_information() -> None:
    half = replace(unlabelled(), agreement=0.5)
    assert mutual_information_agreement(half) == pytest.approx(0.5 * log(2))
    lonely = replace(unlabelled(), agreement=0.0)
    assert 0 < mutual_information_agreement(lonely) < mutual_information_agreement(half)


def test_leep_by_hand() -> None:
    # Mass of the classes: 1.7 and 1.3. P(y=0 | z) = .8/1.7, .2/1.3; P(y=1 | z) = .9/1.7, 1.1/1.3.
    expected = [
        0.8 * 0.8 / 1.7 + 0.2 * 0.2 / 1.3,
        0.6 * 0.9 / 1.7 + 0.4 * 1.1 / 1.3,
        0.3 * 0.9 / 1.7 + 0.7 * 1.1 / 1.3,
    ]
    assert leep(CANDIDATE) == pytest.approx(np.log(expected).mean())


def test_leep_sees_through_swapped_classes() -> None:
    swapped = replace(CANDIDATE, probabilities=np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]))
    assert accuracy(swapped) == 0.0
    assert leep(swapped) == pytest.approx(0.0)


def test_leep_of_a_source_that_says_nothing_is_the_entropy_of_the_labels() -> None:
    silent = replace(CANDIDATE, probabilities=np.zeros((3, 2)))
    assert leep(silent) == pytest.approx((log(1 / 3) + 2 * log(2 / 3)) / 3)


def test_random_follows_the_seed() -> None:
    assert random(CANDIDATE) == random(replace(CANDIDATE, labels=np.array([1, 0, 0])))
    assert random(CANDIDATE) != random(replace(CANDIDATE, seed=1))


@pytest.mark.parametrize("name", NEEDS_LABELS)
def test_without_labels_says_what_to_choose(name: str) -> None:
    with pytest.raises(InputError, match="mutual_information"):
        FINE_SCORES.get(name)(unlabelled())


@pytest.mark.parametrize("name", ["accuracy", "centroid_accuracy", "negative_log_likelihood", "leep"])
def test_a_perfect_source_beats_a_poor_one(name: str) -> None:
    perfect = replace(
        CANDIDATE,
        probabilities=np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]),
        source_centroids={0: np.array([1.0, 0.0]), 1: np.array([0.0, 1.0])},
    )
    assert FINE_SCORES.get(name)(perfect) > FINE_SCORES.get(name)(CANDIDATE)
