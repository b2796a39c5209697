"""Which samples to label next: small cases worked out by hand, and the greedy choice against a plain one."""

import numpy as np
import pytest

from hatlit.selection.next_labels import RANKINGS, Outlook, covered, disagreement, uncertainty, weights_of


def outlook(members, labelled=(), candidates=None):
    members = np.array(members, dtype=float)
    labelled = np.array(labelled, dtype=np.int64)
    rest = np.setdiff1d(np.arange(len(members)), labelled) if candidates is None else np.array(candidates)
    return Outlook(members, members.mean(axis=1), labelled, rest)


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    return outlook(rng.dirichlet([0.3] * 4, size=(60, 3)), labelled=[3, 40])


def test_uncertainty_is_the_entropy_as_a_share():
    assert uncertainty(np.array([[1.0, 0.0], [0.5, 0.5], [0.9, 0.1]])) == pytest.approx([0, 1, 0.4690], abs=1e-4)


def test_disagreement_is_high_where_each_is_sure_of_something_else():
    members = [[[1, 0], [0, 1]], [[0.5, 0.5], [0.5, 0.5]], [[1, 0], [1, 0]]]
    assert disagreement(np.array(members, dtype=float)) == pytest.approx([1, 0, 0])


def test_two_members_of_many_classes_can_disagree_fully():
    assert disagreement(np.array([[[1.0, 0, 0, 0], [0, 0, 0, 1.0]]])) == pytest.approx([1])
    assert disagreement(np.array([[[0.7, 0.3]]])) == pytest.approx([0])


@pytest.mark.parametrize("name", RANKINGS.names())
def test_a_ranking_names_candidates_once_and_begins_alike_however_many_are_asked_for(drawn, name):
    rank = RANKINGS.get(name)
    whole = rank(drawn, len(drawn.candidates), 1)
    assert sorted(whole) == sorted(drawn.candidates)
    assert rank(drawn, 7, 1).tolist() == whole[:7].tolist()


def test_random_depends_on_the_seed(drawn):
    rank = RANKINGS.get("random")
    assert rank(drawn, 20, 0).tolist() != rank(drawn, 20, 1).tolist()


def test_the_greedy_choice_is_the_plain_greedy_choice(drawn):
    weights, taken, expected = weights_of(drawn), [3, 40], []
    likeness = np.array([[np.sqrt(one * other).sum(-1).mean() for other in drawn.members] for one in drawn.members])
    for _ in range(6):
        best = likeness[taken].max(axis=0)
        gains = np.maximum(0, likeness - best) @ weights
        gains[taken] = -1
        taken.append(int(np.argmax(gains)))
        expected.append(taken[-1])
    assert RANKINGS.get("coverage")(drawn, 6, 0).tolist() == expected


def test_coverage_passes_by_an_outlier_and_what_a_labelled_sample_already_shows():
    doubt, same, outlier = [[0.5, 0.5, 0.0]], [[0.0, 0.5, 0.5]], [[0.34, 0.32, 0.34]]
    seen = outlook([doubt, doubt, doubt, same, same, same, outlier], labelled=[0])
    assert RANKINGS.get("uncertainty")(seen, 1, 0).tolist() == [6]
    assert RANKINGS.get("coverage")(seen, 1, 0).tolist() == [3]


def test_what_each_newly_covers_adds_up_to_everything(drawn):
    order = RANKINGS.get("coverage")(drawn, len(drawn.candidates), 0)
    shares = covered(drawn, order)
    assert shares.sum() == pytest.approx(1, abs=1e-4)
    assert np.all(np.diff(shares) <= 1e-6)


def test_samples_that_are_all_alike_come_in_their_order():
    sure = outlook([[[1.0, 0.0]]] * 4, labelled=[2])
    assert RANKINGS.get("coverage")(sure, 3, 0).tolist() == [0, 1, 3]
    assert np.all(np.isfinite(covered(sure, np.array([0, 1]))))


def test_only_candidates_are_named(drawn):
    few = drawn._replace(candidates=np.array([5, 9, 11]))
    for name in RANKINGS.names():
        assert set(RANKINGS.get(name)(few, 2, 0)) <= {5, 9, 11}
