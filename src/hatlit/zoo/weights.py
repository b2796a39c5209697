"""The weights of a source as bytes: safetensors, checked against the card before a model sees them. Never pickle."""

from __future__ import annotations

import hashlib

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from hatlit.encoders.base import Classifier, build_classifier
from hatlit.errors import InputError
from hatlit.zoo.card import Card


def encode_weights(model: Classifier) -> bytes:
    """Returns the weights as a safetensors file; equal weights give equal bytes."""
    # A copy of each tensor, because safetensors refuses tensors that share memory.
    return save(
        {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in model.state_dict().items()}
    )


def decode_weights(data: bytes, card: Card) -> Classifier:
    """Builds the model of a card and gives it the weights.

    Args:
        data: content of the weights' file.
        card: what they must match.

    Returns:
        The model in eval mode, on the CPU.

    Raises:
        InputError: the bytes are a pickle, or do not match the card, or hold other tensors than the encoder has, or a
            number that is not finite; or the encoder is not registered.
    """
    subject = f"The weights of source '{card.id}'"
    _check_bytes(data, card, subject)
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise InputError(f"{subject} are not a readable safetensors file: {error}.") from error
    model = _build(card)
    _check_tensors(tensors, model.state_dict(), card, subject)
    model.load_state_dict(tensors)
    return model.eval()


def _check_bytes(data: bytes, card: Card, subject: str) -> None:
    # Behind eight bytes of length, which may look like anything, a safetensors file starts with a brace.
    if data[8:9] != b"{" and data.startswith((b"PK\x03\x04", b"\x80")):
        raise InputError(
            f"{subject} are a pickle (a torch checkpoint), which could run code and is never read; "
            "convert them with safetensors.torch.save_file."
        )
    if len(data) != card.size_bytes:
        amount = f"more than {card.size_bytes}" if len(data) > card.size_bytes else str(len(data))
        raise InputError(f"{subject} do not match its card: {amount} bytes where the card says {card.size_bytes}.")
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise InputError(f"{subject} do not match its card: their sha256 is another one.")


def _build(card: Card) -> Classifier:
    try:
        with torch.random.fork_rng(
            devices=[]
        ):  # the initial weights are thrown away, so they must not cost random numbers
            model = build_classifier(card.encoder, card.input_spec, len(card.class_names), pretrained=False)
    except InputError:
        raise
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"The encoder '{card.encoder}' cannot be built as the card of '{card.id}' says: {error}"
        ) from error
    if model.feature_dim != card.feature_dim:
        raise InputError(
            f"The encoder '{card.encoder}' has {model.feature_dim} features where the card of '{card.id}' "
            f"says {card.feature_dim}."
        )
    return model


def _check_tensors(tensors: dict[str, Tensor], expected: dict[str, Tensor], card: Card, subject: str) -> None:
    for name in [*expected, *tensors]:
        found, wanted = (_form(group.get(name)) for group in (tensors, expected))
        if found != wanted:
            raise InputError(f"{subject} do not fit encoder '{card.encoder}': '{name}' is {found} instead of {wanted}.")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise InputError(f"{subject} hold numbers that are not finite, the first in '{name}'.")


def _form(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
