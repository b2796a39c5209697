"""What a zoo remembers of earlier targets."""

import json

import pytest

from hatlit.errors import InputError
from hatlit.zoo.pairs import FILE, Pair
from hatlit.zoo.store import Zoo


def pair(source, target, accuracy=0.5, labels=3):
    return Pair(source=source, target=target, accuracy=accuracy, labels=labels)


def test_what_is_added_is_found_again_and_measured_again_replaces(zoo, tmp_path):
    assert zoo.pairs() == ()
    zoo.add_pairs([pair("b", "c"), pair("a", "c")])
    zoo.add_pairs([pair("a", "c", 0.75), pair("a", "d")])
    again = Zoo.open(tmp_path / "zoo")
    assert again.pairs() == (pair("a", "c", 0.75), pair("a", "d"), pair("b", "c"))
    written = (tmp_path / "zoo" / FILE).stat().st_mtime_ns
    again.add_pairs([pair("a", "d")])
    assert (tmp_path / "zoo" / FILE).stat().st_mtime_ns == written, "nothing new, nothing written"


def test_a_zoo_that_remembers_more_is_another_zoo(zoo):
    before = zoo.fingerprint
    zoo.add_pairs([pair("a", "b")])
    assert zoo.fingerprint != before


@pytest.mark.parametrize(
    ("one", "says"),
    [
        ({"accuracy": 1.5}, "less than or equal to 1"),
        ({"accuracy": float("nan")}, "finite number|less than|valid"),
        ({"labels": 0}, "greater than or equal to 1"),
        ({"source": "../out"}, "cannot name a source"),
        ({"target": "a"}, "source and target are the same"),
        ({"more": 1}, "Extra inputs"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(zoo, tmp_path, one, says):
    bad = {"source": "a", "target": "b", "accuracy": 0.5, "labels": 1} | one
    (tmp_path / "zoo" / FILE).write_text(json.dumps({"format_version": 1, "pairs": [bad]}))
    with pytest.raises(InputError, match=rf"The pairs.json of .* is not valid at .*({says})"):
        zoo.pairs()
