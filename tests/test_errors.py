"""Errors name what was meant."""

from __future__ import annotations

import pytest

from hatlit.errors import InputError, nearest, unknown_name

NAMES = ["cnn_nano", "cnn_tiny", "transformer_nano", "tcn_nano"]


@pytest.mark.parametrize(
    ("typed", "meant"), [("cnn_nan", "cnn_nano"), ("CNN-Nano", "cnn_nano"), ("trasnformer_nano", "transformer_nano")]
)
def test_nearest_puts_what_was_meant_first(typed: str, meant: str) -> None:
    assert nearest(typed, NAMES)[0] == meant


def test_nearest_keeps_the_case_of_the_known_name() -> None:
    assert nearest("hat_PAPER", ["HaT_paper"]) == ["HaT_paper"]


def test_nearest_is_limited_and_may_be_empty() -> None:
    assert len(nearest("cnn_nano", NAMES, limit=2)) == 2
    assert nearest("zebra", NAMES) == []
    assert nearest("cnn_nano", []) == []


def test_unknown_name_suggests_the_nearest() -> None:
    error = unknown_name("encoder", "cnn_tinny", iter(NAMES))
    assert isinstance(error, InputError)
    assert str(error).startswith("Unknown encoder 'cnn_tinny': did you mean cnn_tiny")
    assert "transformer_nano" not in str(error)


def test_unknown_name_says_where_it_was_looked_for() -> None:
    error = unknown_name("domain", "person-9", ["person-1"], where="of data set 'spar'")
    assert str(error) == "Unknown domain 'person-9' of data set 'spar': did you mean person-1?"


def test_unknown_name_lists_all_where_none_is_near() -> None:
    assert (
        str(unknown_name("loss", "zebra", ["convex", "additive"])) == "Unknown loss 'zebra': known: additive, convex."
    )
    assert str(unknown_name("loss", "zebra", [])) == "Unknown loss 'zebra': known: none."


def test_unknown_name_ends_with_the_hint() -> None:
    assert str(unknown_name("loss", "convx", ["convex"], "See the method page.")).endswith("? See the method page.")


def test_input_error_is_a_value_error() -> None:
    assert issubclass(InputError, ValueError)
