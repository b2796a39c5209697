from __future__ import annotations

import hashlib
import io
import pickle
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from hatlit.encoders.base import Classifier
from hatlit.errors import InputError
from hatlit.zoo.card import Card
from hatlit.zoo.store import Zoo
from hatlit.zoo.weights import build_as_told, decode_weights, encode_weights


@pytest.fixture
def source(make_source: Any) -> dict[str, Any]:
    return make_source()


@pytest.fixture
def model(source: dict[str, Any]) -> Classifier:
    return source["model"]


@pytest.fixture
def card(zoo: Zoo, source: dict[str, Any]) -> Card:
    return zoo.add("a", **source)


def card_of(card: Card, data: bytes, **changes: Any) -> Card:
    """The card as its owner would have written it for other bytes."""
    facts = {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return card.model_copy(update=facts | changes)


def test_round_trip(model: Classifier, card: Card, view: Tensor) -> None:
    data = encode_weights(model)
    loaded = decode_weights(data, card)
    assert not loaded.training
    torch.testing.assert_close(loaded(view), model.eval()(view), rtol=0, atol=0)
    assert encode_weights(loaded) == data


def test_loading_costs_no_random_numbers(model: Classifier, card: Card) -> None:
    before = torch.random.get_rng_state()
    decode_weights(encode_weights(model), card)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_tied_weights_are_written(model: Classifier) -> None:
    model.register_parameter("tied", model.head.weight)
    assert torch.equal(load(encode_weights(model))["tied"], model.head.weight)


def test_other_bytes_do_not_match_the_card(model: Classifier, card: Card) -> None:
    data = encode_weights(model)
    for other in (data[:-1], data + b"\0", b"", data[:-1] + bytes([data[-1] ^ 1])):
        with pytest.raises(InputError, match="do not match its card"):
            decode_weights(other, card)


def test_pickles_are_refused(model: Classifier, card: Card) -> None:
    checkpoint = io.BytesIO()
    torch.save(model.state_dict(), checkpoint)
    for data in (checkpoint.getvalue(), pickle.dumps({"weights": 1})):
        with pytest.raises(InputError, match="convert them with safetensors"):
            decode_weights(data, card_of(card, data))


@pytest.mark.parametrize("length", [0x80, 0x280, 0x480])
def test_a_header_as_long_as_a_pickle_opcode_is_no_pickle(length: int, card: Card) -> None:
    data = save({"a": torch.zeros(1)})
    header = data[8:-4].ljust(length)
    data = length.to_bytes(8, "little") + header + data[-4:]
    assert data.startswith(b"\x80") and "a" in load(data)
    with pytest.raises(InputError, match="do not fit encoder"):
        decode_weights(data, card_of(card, data))


def test_damaged_safetensors_are_one_sentence(model: Classifier, card: Card) -> None:
    data = b"\xff" * 8 + encode_weights(model)[8:]
    with pytest.raises(InputError, match="not a readable safetensors file"):
        decode_weights(data, card_of(card, data))


def test_the_first_tensor_that_does_not_fit_is_named(model: Classifier, card: Card) -> None:
    good = load(encode_weights(model))
    faulty = {
        "'head.bias' is absent": {name: tensor for name, tensor in good.items() if name != "head.bias"},
        r"'head.bias' is float32 \(3,\)": good | {"head.bias": torch.zeros(3)},
        "'head.bias' is float16": good | {"head.bias": good["head.bias"].half()},
        "'more' is float32": good | {"more": torch.zeros(1)},
    }
    for told, tensors in faulty.items():
        data = save(tensors)
        with pytest.raises(InputError, match=told):
            decode_weights(data, card_of(card, data))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(model: Classifier, card: Card, number: float) -> None:
    with torch.no_grad():
        model.head.bias[0] = number
    data = encode_weights(model)
    with pytest.raises(InputError, match=r"not finite, the first in 'head\.bias'"):
        decode_weights(data, card_of(card, data))


def test_a_card_that_the_encoder_contradicts_is_refused(model: Classifier, card: Card) -> None:
    data = encode_weights(model)
    with pytest.raises(InputError, match="did you mean cnn_nano"):
        decode_weights(data, card_of(card, data, encoder="cnn_nan"))
    with pytest.raises(InputError, match="features where the card"):
        decode_weights(data, card_of(card, data, feature_dim=card.feature_dim + 1))


def test_the_name_of_an_encoder_steers_no_terminal(card: Card) -> None:
    with pytest.raises(InputError, match="cannot be built") as error:
        build_as_told("\x1b[31mred", card.input_spec, 3, card.size_bytes, "a stranger's file")
    assert str(error.value).isprintable()
