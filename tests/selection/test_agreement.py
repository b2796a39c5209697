"""How far candidates bear each other out, by hand and as invariants."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatlit.selection.agreement import LEAST_TRUST, Agreement, with_agreement
from hatlit.selection.closer_look import LEAST_AGREEMENT
from hatlit.selection.fine import Candidate, centroid_accuracy, centroid_accuracy_agreement


def candidate(said, right=(True,), num_classes=2):
    """One that says these classes of unlabelled samples, and is right about so many of the labelled ones."""
    labels = np.zeros(len(right), int)
    of_labelled = np.eye(num_classes)[np.where(right, 0, 1)] if len(right) else np.zeros((0, num_classes))
    return Candidate(
        probabilities=of_labelled,
        labels=labels,
        features=np.ones((len(right), 1)),
        source_centroids={0: np.ones(1)},
        unlabelled_probabilities=np.eye(num_classes)[np.array(said, int)],
        seed=0,
    )


def agreements(*candidates):
    return [one.agreement for one in with_agreement(candidates)]


def test_by_hand():
    # Two say the same (κ = 1); the third differs from both in one of four, each has one half of either class but for
    # the third with three quarters: s = 3/4, c = 1/2, κ = 1/2.
    same, third = [0, 0, 1, 1], [0, 0, 0, 1]
    assert agreements(candidate(same), candidate(same), candidate(third)) == pytest.approx([0.75, 0.75, 0.5])


def test_the_word_of_an_accurate_one_counts_more():
    alike, other = [0, 0, 1, 1], [0, 1, 0, 1]
    good, bad = candidate(alike), candidate(other, right=(True, False, False, False))
    assert agreements(good, good, bad)[0] == pytest.approx(1 / (1 + 0.25))
    assert agreements(good, good, candidate(other, right=(False,)))[0] == pytest.approx(1 / (1 + LEAST_TRUST))


def test_who_always_says_the_same_agrees_with_nobody():
    constant = candidate([0, 0, 0, 0])
    assert agreements(constant, constant, candidate([0, 1, 0, 1])) == [0, 0, 0]


def test_who_turns_answers_round_is_not_below_nothing():
    one = [0, 1, 0, 1]
    assert agreements(candidate(one), candidate(one), candidate([1, 0, 1, 0]))[2] == 0


def test_where_there_is_nothing_to_compare_it_is_one():
    two = [candidate([0, 1]), candidate([1, 0])]
    assert agreements(*two) == [1, 1]
    assert agreements(*[candidate([])] * 3) == [1, 1, 1]
    assert agreements() == []


def test_without_labels_all_count_alike():
    three = [candidate(said, right=()) for said in ([0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1])]
    assert agreements(*three) == pytest.approx([0.75, 0.75, 0.5])


def test_the_score_is_the_papers_times_agreement():
    one, *_ = with_agreement([candidate([0, 0, 1, 1]), candidate([0, 0, 1, 1]), candidate([0, 0, 0, 1])])
    assert centroid_accuracy_agreement(one) == pytest.approx(0.75 * centroid_accuracy(one))


def test_where_everybody_has_an_opposite_the_labels_tell():
    several = [candidate([0, 0, 1, 1], right=(True,)), candidate([1, 1, 0, 0], right=(False,))] * 2
    assert agreements(*several[1:]) == pytest.approx([0, 0, 0])
    right, wrong = (centroid_accuracy_agreement(replace(one, agreement=0.0)) for one in several[:2])
    assert right > wrong == 0
    assert right < centroid_accuracy_agreement(replace(several[0], agreement=LEAST_AGREEMENT))


said = st.lists(st.integers(0, 2), min_size=12, max_size=12)


@given(st.lists(st.tuples(said, st.lists(st.booleans(), min_size=1, max_size=4)), min_size=3, max_size=6), st.randoms())
def test_neither_order_nor_the_names_of_classes_matter(members, random):
    candidates = [candidate(*member, num_classes=3) for member in members]
    found = agreements(*candidates)
    assert all(0 <= value <= 1 for value in found)
    order = list(range(len(members)))
    random.shuffle(order)
    assert agreements(*[candidates[place] for place in order]) == pytest.approx([found[place] for place in order])
    renamed = [candidate([(one + 1) % 3 for one in said], right, num_classes=3) for said, right in members]
    assert agreements(*renamed) == pytest.approx(found)


@given(st.lists(said, min_size=3, max_size=5))
def test_one_by_one_is_as_all_at_once(members):
    agreement = Agreement()
    for number, said in enumerate(members, start=1):
        agreement.add(candidate(said, num_classes=3))
        assert agreement.of_each().tolist() == agreements(*[candidate(one, num_classes=3) for one in members[:number]])
