"""The gate's accuracy against the truth, by hand."""

import pytest

from hatlit.experiments.studies.mixer_accuracy import MixerAccuracy


@pytest.mark.parametrize(
    ("estimates", "how", "gap"),
    [
        ([0.8, 0.7], "too high", "+15.0 points [+10.0, +20.0]"),
        ([0.4, 0.4], "too low", "-20.0 points [-30.0, -10.0]"),
        ([0.6, 0.6], "not clearly off", "+0.0 points [-10.0, +10.0]"),
    ],
)
def test_gap(runs, estimates, how, gap):
    rows = runs({("hat", "all"): [0.7, 0.5]}, estimates)
    said = MixerAccuracy().finding(rows)
    assert f"is {how}: minus the accuracy on the test part it is {gap} over 2 runs" in said
    assert MixerAccuracy().table(rows)[0]["gap"] == gap


def test_correlation(runs, failed):
    rows = runs({("hat", "all"): [0.5, 0.6, 0.7]}, [0.7, 0.8, 0.9])
    said = MixerAccuracy().finding([*rows, failed])
    assert said.endswith("their correlation over the runs is +1.00. 1 of 4 runs failed and are left out.")
    assert "not defined" in MixerAccuracy().finding(runs({("hat", "all"): [0.5, 0.6]}, [1.0, 1.0]))
