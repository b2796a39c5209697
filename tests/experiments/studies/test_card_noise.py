"""Noise on cards: which values there are, and what it says of numbers worked out by hand."""

import pytest

from hatlit.errors import InputError
from hatlit.experiments.studies.card_noise import CardNoise


@pytest.mark.parametrize("text", ["-0.1", "inf", "nan", "much"])
def test_values_that_cannot_be(text):
    with pytest.raises(InputError, match=f"numbers from 0 on, such as 0.1, not '{text}'"):
        CardNoise().read(text)


def test_finding(runs):
    rows = runs({("hat", "0"): [0.9, 0.7], ("hat", "1"): [0.8, 0.6]})
    rows = [row | {"chosen_accuracy": row["accuracy"] - 0.2} for row in rows]
    assert CardNoise().finding(rows) == (
        "With cards of noise 0, hat reaches 80.0 [70.0, 90.0] % and the sources it chooses 60.0 [50.0, 70.0] %. "
        "Noise 1: -10.0 points [-10.0, -10.0], sources 50.0 [40.0, 60.0] %."
    )
    assert [row["noise"] for row in CardNoise().table(rows)] == ["0", "1"]
    assert CardNoise().figure(rows, "here").axes
