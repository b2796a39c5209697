"""Sources that know some of the classes: how these are dealt, and what is refused."""

import numpy as np
import pytest

from hatlit.errors import InputError
from hatlit.experiments.studies.label_overlap import LabelOverlap, check_coverage, deal, with_classes


@pytest.mark.parametrize(
    ("domains", "classes", "share", "count"),
    [(24, 6, 0.5, 3), (24, 6, 0.25, 2), (7, 10, 0.75, 8), (4, 3, 0.1, 1), (5, 4, 1.0, 4)],
)
def test_each_domain_knows_its_share_and_each_class_is_known_equally(domains, classes, share, count):
    hands = deal(domains, classes, share)
    assert [len(set(hand)) for hand in hands] == [count] * domains
    known = np.bincount(np.concatenate(hands), minlength=classes)
    assert known.max() - known.min() <= 1
    assert deal(domains, classes, share) == hands


def test_samples_of_other_classes_are_gone(people):
    fleet = with_classes(people, 0.4)
    assert [len(set(domain.labels)) for domain in fleet.domains] == [1, 1, 1]
    assert set(np.concatenate([domain.labels for domain in fleet.domains])) == {0, 1, 2}
    for before, after in zip(people.domains, fleet.domains, strict=True):
        rows = before.labels == after.labels[0]
        assert np.array_equal(after.samples, before.samples[rows])
        assert np.array_equal(after.groups, before.groups[rows])
    assert with_classes(people, 1.0).fingerprint == people.fingerprint
    assert fleet.fingerprint != people.fingerprint


def test_a_class_that_no_source_knows_is_refused(people):
    check_coverage(people, with_classes(people, 0.67), people.names, 0.67)
    with pytest.raises(InputError, match=r"a share of 0.4 of the classes, none knows '\w+' for the target 'ann'"):
        check_coverage(people, with_classes(people, 0.4), ["ann"], 0.4)


@pytest.mark.parametrize("text", ["0", "1.5", "all", "nan"])
def test_values_that_cannot_be(text):
    with pytest.raises(InputError, match=f"shares above 0 and up to 1, not '{text}'"):
        LabelOverlap().read(text)


def test_finding(runs):
    rows = runs(
        {
            ("hat", "1"): [0.8, 0.8],
            ("kd", "1"): [0.7, 0.7],
            ("best_source", "1"): [0.8, 0.8],
            ("hat", "0.5"): [0.6, 0.6],
            ("kd", "0.5"): [0.7, 0.7],
            ("best_source", "0.5"): [0.5, 0.5],
        }
    )
    said = LabelOverlap().finding(rows)
    assert "hat reaches 80.0 [80.0, 80.0] % where they know 1, 60.0 [60.0, 60.0] % where they know 0.5." in said
    assert "ahead of kd at a share of 1 (+10.0 points [+10.0, +10.0]); behind kd at a share of 0.5" in said
    assert "ahead of best_source at a share of 0.5 (+10.0 points [+10.0, +10.0]); undecided against best_source" in said
    assert [row["classes known"] for row in LabelOverlap().table(rows)] == ["1", "0.5"]
