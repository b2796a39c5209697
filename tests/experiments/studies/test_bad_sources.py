"""Bad sources: which values there are, and what it says of numbers worked out by hand."""

import pytest

from hatlit.errors import InputError
from hatlit.experiments.spoiled import KINDS
from hatlit.experiments.studies.bad_sources import BadSources, Mixture


@pytest.mark.parametrize("text", ["", "random", "random@0.5", "random@0%", "random@101%", "nonsense@50%", "clean@20%"])
def test_values_that_cannot_be(text):
    with pytest.raises(InputError, match=r"a kind .* with its share of all sources, such as random@50%, not"):
        BadSources().read(text)


def test_every_kind_is_tried_unless_told_otherwise():
    mixtures = [BadSources().read(value) for value in BadSources.values]
    assert {one.kind for one in mixtures} == {"clean", *KINDS}
    assert [one.value for one in mixtures] == list(BadSources.values)
    assert Mixture("random", 0.5).folder == "random-50"


def test_finding(runs):
    counts = {"bad_chosen": 0, "bad_named": 0, "good_named": 0}
    rows = runs(
        {
            ("hat", "clean"): [0.9, 0.9],
            ("labels_only", "clean"): [0.8, 0.8],
            ("hat", "random@50%"): [0.89, 0.89],
            ("hat", "poisoned@50%"): [0.85, 0.85],
            ("hat", "random@100%"): [0.8, 0.8],
            ("hat", "adversarial@80%"): [0.7, 0.7],
        },
        **counts,
    )
    found = BadSources().finding(rows)
    assert "hat reaches 90.0 [90.0, 90.0] % with good sources alone, labels_only 80.0 [80.0, 80.0] %." in found
    assert "stays within 2 points of that in 1 of 2 cases, but not with poisoned@50% (-5.0 points" in found
    assert "It is more than 1 point below labels_only with adversarial@80% (-10.0 points" in found
    assert "nowhere more than 1 point below labels_only." in BadSources().finding(rows[:-2])
    table = BadSources().table(rows)
    assert [row["sources"] for row in table] == [
        "none (labels_only)",
        "clean",
        "random@50%",
        "poisoned@50%",
        "random@100%",
        "adversarial@80%",
    ]
    assert table[2]["against clean"] == "-1.0 points [-1.0, -1.0]"
    assert table[2]["against labels_only"] == "+9.0 points [+9.0, +9.0]"
    assert BadSources().figure(rows, "here").axes
