"""The weights of a source as bytes: safetensors, checked against the card before a model sees them. Never pickle."""

from __future__ import annotations

import hashlib

import torch
from safetensors.torch import load, save
from torch import Tensor

from hatlit.encoders.base import Classifier, InputSpec, build_classifier
from hatlit.errors import InputError, on_one_line
from hatlit.zoo.card import Card


def encode_weights(model: Classifier) -> bytes:
    """Returns the weights as a safetensors file; equal weights give equal bytes."""
    # A copy of each tensor, because safetensors refuses tensors that share memory.
    return save(
        {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in model.state_dict().items()}
    )


#: Bytes by which a model and its file may differ before anybody wonders.
_SLACK = 64 * 2**20


def check_size(card: Card) -> None:
    """Refuses a card whose encoder is far larger, or far smaller, than the file that it speaks of.

    Neither the file is read for it nor the model built.

    Raises:
        InputError: they differ, or the encoder cannot be built as the card says.
    """
    _outline(card.encoder, card.input_spec, len(card.class_names), card.size_bytes, f"the card of '{card.id}'")


def build_as_told(encoder: str, view: InputSpec, num_classes: int, size_bytes: int, told_by: str) -> Classifier:
    """Builds the untrained model that somebody else describes, if the file of its weights is as large as it must be.

    Args:
        encoder: name in the registry.
        view: what it sees.
        num_classes: outputs of its head.
        size_bytes: of its weights.
        told_by: who says so, for the error message.

    Raises:
        InputError: the encoder is not registered, cannot be built so, or is far larger than its weights.
    """
    _outline(encoder, view, num_classes, size_bytes, told_by)
    return _build(encoder, view, num_classes, told_by)


def parse_tensors(data: bytes, subject: str) -> dict[str, Tensor]:
    """Reads a safetensors file from bytes.

    Raises:
        InputError: it is none; the message begins with ``subject``.
    """
    try:
        return load(data)
    except Exception as error:  # beside its own error, the library lets through what wrong sizes and types raise
        reason = on_one_line(f"{type(error).__name__} {error}")
        raise InputError(f"{subject} are not a readable safetensors file: {reason}.") from error


def decode_weights(data: bytes, card: Card) -> Classifier:
    """Builds the model of a card and gives it the weights; a card of a stranger goes through ``check_size`` first.

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
    tensors = parse_tensors(data, subject)
    told_by = f"the card of '{card.id}'"
    model = _build(card.encoder, card.input_spec, len(card.class_names), told_by)
    if model.feature_dim != card.feature_dim:
        raise InputError(
            f"The encoder '{card.encoder}' has {model.feature_dim} features where {told_by} says {card.feature_dim}."
        )
    check_tensors(tensors, model.state_dict(), card.encoder, subject)
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


def _outline(encoder: str, view: InputSpec, num_classes: int, size_bytes: int, told_by: str) -> None:
    # On this device tensors have a shape and no memory, so that a lie costs nothing.
    with torch.device("meta"):
        model = _build(encoder, view, num_classes, told_by)
    size = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    if size > 2 * size_bytes + _SLACK or size_bytes > 2 * size + _SLACK:
        raise InputError(
            f"The encoder '{encoder}' takes {size:,} bytes as {told_by} describes it, not the {size_bytes:,} of its "
            "weights."
        )


def _build(encoder: str, view: InputSpec, num_classes: int, told_by: str) -> Classifier:
    try:
        # The initial weights are thrown away, so they must not cost random numbers.
        with torch.random.fork_rng(devices=[]):
            return build_classifier(encoder, view, num_classes, pretrained=False)
    except Exception as error:  # what a builder raises at a view that it was not made for is its own affair
        reason = on_one_line(str(error))
        named = on_one_line(encoder)
        raise InputError(f"The encoder '{named}' cannot be built as {told_by} says: {reason}.") from error


def check_tensors(tensors: dict[str, Tensor], expected: dict[str, Tensor], encoder: str, subject: str) -> None:
    """Refuses tensors that are others than a model has, or not finite.

    Raises:
        InputError: the first that differs; the message begins with ``subject``.
    """
    for name in [*expected, *tensors]:
        found, wanted = (_form(group.get(name)) for group in (tensors, expected))
        if found != wanted:
            raise InputError(f"{subject} do not fit encoder '{encoder}': '{name}' is {found} instead of {wanted}.")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise InputError(f"{subject} hold numbers that are not finite, the first in '{name}'.")


def _form(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
