"""How many labels: what its values may be, and what it says of numbers worked out by hand."""

import pytest

from hatlit.config import LabelsConfig
from hatlit.errors import InputError
from hatlit.experiments.studies.labels import Labels


@pytest.mark.parametrize(
    ("text", "value", "folder", "labels"),
    [
        ("5", "5", "5-a-class", LabelsConfig(per_class=5)),
        ("10%", "10%", "10-percent", LabelsConfig(fraction=0.1)),
        ("2.50 %", "2.5%", "2.5-percent", LabelsConfig(fraction=0.025)),
    ],
)
def test_values(text, value, folder, labels):
    variant = Labels().read(text)
    assert (variant.value, variant.folder, variant.changes) == (value, folder, {"labels": labels})


@pytest.mark.parametrize("text", ["0", "-1", "0%", "101%", "ten", "0.5", "%"])
def test_values_that_cannot_be(text):
    with pytest.raises(InputError, match=f"labels a class such as 5, or shares such as 10%, not '{text}'"):
        Labels().read(text)


def test_finding(runs):
    rows = [
        *runs({("labels_only", "1"): [0.4, 0.5], ("best_source", "1"): [0.7, 0.5], ("hat", "1"): [0.6, 0.6]}, labels=6),
        *runs({("labels_only", "50%"): [0.9, 0.9], ("best_source", "50%"): [0.7, 0.7]}, labels=60),
        *runs({("hat", "50%"): [0.8, 0.8]}, labels=60),
    ]
    assert Labels().finding(rows) == (
        "hat reaches 60.0 [60.0, 60.0] % with 1 a class (mean 6) and 80.0 [80.0, 80.0] % with 50% of the labels "
        "(mean 60). hat is ahead of labels_only with 1 a class (+15.0 points [+10.0, +20.0]); "
        "behind labels_only with 50% of the labels (-10.0 points [-10.0, -10.0]). "
        "hat is ahead of best_source with 50% of the labels (+10.0 points [+10.0, +10.0]); "
        "undecided against best_source with 1 a class (+0.0 points [-10.0, +10.0])."
    )
    assert [row["labels"] for row in Labels().table(rows)] == ["1", "50%"]
    assert Labels().table(rows)[0]["labels_only"] == "45.0 [40.0, 50.0]"


def test_a_panel_a_kind(runs):
    rows = runs({("hat", "1"): [0.6], ("hat", "2"): [0.7]})
    assert len(Labels().figure(rows, "here").axes) == 1
    assert len(Labels().figure([*rows, *runs({("hat", "5%"): [0.7]})], "here").axes) == 2
