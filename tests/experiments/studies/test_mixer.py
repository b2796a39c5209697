"""Attention against equal weights, by hand."""

from hatlit.experiments.studies.mixer import Mixer


def test_finding(runs, failed):
    rows = runs({("hat", "all"): [0.9, 0.6, 0.7], ("hat_equal_weights", "all"): [0.6, 0.6, 0.8]})
    said = Mixer().finding([*rows, failed])
    assert said.startswith("Attention is undecided against equal weights: +6.7 points [-10.0, +30.0] over 3 pairs")
    assert said.endswith("better in 1, equal in 1, worse in 1. 1 of 7 runs failed and are left out.")


def test_a_point_a_pair(runs):
    rows = runs({("hat", "all"): [0.9, 0.6], ("hat_equal_weights", "all"): [0.5, 0.7, 0.8]})
    points, _ = Mixer().figure(rows, "here").axes[0].get_lines()
    assert [list(map(round, place)) for place in points.get_xydata()] == [[50, 90], [70, 60]]


def test_without_a_pair(runs):
    assert Mixer().finding(runs({("hat", "all"): [0.9]})).startswith("No pair of runs compares")
