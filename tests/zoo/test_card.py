from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.zoo.card import (
    MAX_CARD_BYTES,
    Card,
    Statistic,
    StatisticsSpec,
    Training,
    ZooInfo,
    check_id,
    is_safe_id,
    parse_card,
    parse_info,
    to_floats,
)

FIELDS: dict[str, Any] = {
    "format_version": 1,
    "id": "user-1",
    "domain": "user 1",
    "dataset": "demo",
    "modality": "imu",
    "encoder": "cnn_tiny",
    "input_spec": {"modality": "imu", "channels": ["x", "y"], "shape": [16], "rate": 20.0, "mean": [], "std": []},
    "feature_dim": 2,
    "class_names": ["sit", "walk"],
    "statistics": {"moments": {"mean": [1.0, 2.0], "spread": [0.5, 0.0]}},
    "centroids": [[0.25, -1.0], None],
    "accuracy": 0.5,
    "num_samples": 10,
    "num_parameters": 100,
    "size_bytes": 500,
    "sha256": "0" * 64,
    "training": {"max_epochs": 3, "seed": 0, "labels": 10},
    "hatlit_version": "0.1.0",
}


def as_bytes(**changes: Any) -> bytes:
    return json.dumps(FIELDS | changes).encode()


def test_card_round_trip() -> None:
    card = parse_card(as_bytes(), "card.json")
    assert parse_card(card.model_dump_json().encode(), "card.json") == card
    assert card.centroids == ((0.25, -1.0), None)


def test_a_card_without_provenance_is_of_a_source_that_had_all_labels() -> None:
    card = parse_card(as_bytes(), "card.json")
    assert (card.provenance, card.round, card.parents) == (None, 0, ())


def test_a_student_says_when_it_joined_and_who_taught_it() -> None:
    card = parse_card(as_bytes(provenance={"round": 2, "parents": ["a", "b"]}), "card.json")
    assert (card.round, card.parents) == (2, ("a", "b"))
    assert parse_card(card.model_dump_json().encode(), "card.json") == card


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format_version": 2}, "format_version"),
        ({"extra": 1}, "extra"),
        ({"id": "../up"}, "id"),
        ({"id": 7}, "id"),
        ({"provenance": {"round": 0}}, "provenance.round"),
        ({"provenance": {"round": 1, "teacher": "a"}}, "provenance.teacher"),
        ({"provenance": {"round": 1, "parents": ["a", "a"]}}, "provenance.parents"),
        ({"provenance": {"round": 1, "parents": ["../up"]}}, "provenance.parents"),
        ({"provenance": {"round": 1, "parents": ["user-1"]}}, "the source itself"),
        ({"accuracy": 1.5}, "accuracy"),
        ({"accuracy": "0.5"}, "accuracy"),
        ({"accuracy": float("nan")}, "accuracy"),
        ({"feature_dim": 0}, "feature_dim"),
        ({"feature_dim": 2.5}, "feature_dim"),
        ({"class_names": ["sit", "sit"]}, "class_names"),
        ({"class_names": []}, "class_names"),
        ({"class_names": ["sit", "walk", "run"]}, "class_names"),
        ({"centroids": [[0.25], None]}, "feature_dim"),
        ({"centroids": [[0.25, float("inf")], None]}, "centroids.0.1"),
        ({"centroids": [[0.25, 1e300], None]}, "centroids.0.1"),
        ({"centroids": [[0.25, "1"], None]}, "centroids.0.1"),
        ({"statistics": {"moments": {"mean": [1.0], "spread": []}}}, "statistics.moments.spread"),
        ({"statistics": {"moments": {"mean": [1.0], "spread": [1.0, 2.0]}}}, "statistics.moments"),
        ({"statistics": {"moments": {"mean": [1.0], "spread": [-1.0]}}}, "statistics.moments"),
        ({"sha256": "0" * 63}, "sha256"),
        ({"sha256": "0" * 64 + "\n"}, "sha256"),
        ({"size_bytes": 2**41}, "size_bytes"),
        ({"num_samples": -1}, "num_samples"),
        ({"training": {"max_epochs": 3, "seed": 0, "labels": 10, "note": "x"}}, "training.note"),
        ({"modality": "audio"}, "modality"),
        ({"domain": "x" * 257}, "domain"),
    ],
)
def test_a_faulty_field_is_named_in_one_sentence(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_card(as_bytes(**changes), "The card of source 'user-1'")
    message = str(caught.value)
    assert message.startswith("The card of source 'user-1' is not valid")
    assert told in message
    assert "\n" not in message


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b"null", as_bytes()[:-1]])
def test_what_is_not_a_card_is_refused_in_one_sentence(data: bytes) -> None:
    with pytest.raises(InputError, match="is not valid") as caught:
        parse_card(data, "card.json")
    assert len(str(caught.value)) < 300


def test_missing_fields_are_named() -> None:
    for name in FIELDS.keys() - {"format_version"}:
        rest = {key: value for key, value in FIELDS.items() if key != name}
        with pytest.raises(InputError, match=name):
            parse_card(json.dumps(rest).encode(), "card.json")


def test_a_large_card_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(InputError, match="larger than 16 MiB"):
        parse_card(b" " * (MAX_CARD_BYTES + 1), "card.json")


def test_the_first_of_many_faults_ends_the_parsing() -> None:
    with pytest.raises(InputError) as caught:
        parse_card(as_bytes(centroids=[["x"] * 50_000] * 20), "card.json")
    error = caught.value.__cause__
    assert isinstance(error, ValidationError)
    assert error.error_count() < 5


def test_cards_are_frozen() -> None:
    card = parse_card(as_bytes(), "card.json")
    with pytest.raises(ValidationError):
        card.accuracy = 1.0


@pytest.mark.parametrize("source_id", ["a", "A1._-z", "0" * 128])
def test_safe_ids(source_id: str) -> None:
    assert check_id(source_id) == source_id


@pytest.mark.parametrize(
    "source_id", ["", ".", "..", "a..b", "a/b", "/etc", "a\\b", ".hidden", "-x", "a b", "a\n", "a\0", "é", "0" * 129]
)
def test_unsafe_ids(source_id: str) -> None:
    assert not is_safe_id(source_id)
    with pytest.raises(InputError, match="cannot name a source"):
        check_id(source_id)


def test_to_floats_gives_the_same_float32_in_few_digits() -> None:
    array = np.random.default_rng(0).normal(size=1000).astype(np.float32) * np.float32(1e-7)
    floats = to_floats(array)
    np.testing.assert_array_equal(np.array(floats, dtype=np.float32), array)
    assert to_floats(np.array([0.1])) == (0.1,)


def test_zoo_info_round_trip_and_faults() -> None:
    spec = InputSpec(modality="imu", channels=("x",), shape=(8,))
    info = ZooInfo(modality="imu", statistics=StatisticsSpec(names=("moments",), view=spec, seed=1))
    assert parse_info(info.model_dump_json().encode(), "zoo.json") == info
    for data in (b"{}", info.model_dump_json().replace('"imu"', '"audio"', 1).encode()):
        with pytest.raises(InputError, match=r"zoo\.json is not valid"):
            parse_info(data, "zoo.json")


names = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=8)
numbers = st.floats(-3e38, 3e38)


@st.composite
def cards(draw: st.DrawFn) -> Card:
    class_names = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    width = draw(st.integers(1, 4))
    vector = st.lists(numbers, min_size=width, max_size=width).map(tuple)
    spread = st.lists(st.floats(0, 3e38), min_size=width, max_size=width).map(tuple)
    count = len(class_names)
    return Card(
        id=draw(st.text("aZ09", min_size=1, max_size=128)),
        domain=draw(names),
        dataset=draw(names),
        modality="imu",
        encoder=draw(names),
        input_spec=InputSpec(modality="imu", channels=("x",), shape=(draw(st.integers(1, 100)),)),
        feature_dim=width,
        class_names=tuple(class_names),
        statistics=draw(st.dictionaries(names, st.builds(Statistic, mean=vector, spread=spread), max_size=2)),
        centroids=tuple(draw(st.lists(st.none() | vector, min_size=count, max_size=count))),
        accuracy=draw(st.floats(0, 1)),
        num_samples=draw(st.integers(0, 2**48)),
        num_parameters=draw(st.integers(0, 2**48)),
        size_bytes=draw(st.integers(1, 2**40)),
        sha256=draw(st.text("09af", min_size=64, max_size=64)),
        training=Training(max_epochs=1, seed=draw(st.integers(-(2**63), 2**64 - 1)), labels=1),
        hatlit_version="0.1.0",
    )


@settings(max_examples=30, deadline=None)
@given(cards())
def test_any_card_round_trips_exactly(card: Card) -> None:
    assert parse_card(card.model_dump_json().encode(), "card.json") == card


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_card_or_an_input_error(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_card(data, "card.json")
