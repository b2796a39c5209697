"""Outputs of frozen sources, kept on disk under a name made of everything they depend on."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from hatlit.encoders.base import Classifier, InputSpec
from hatlit.files import cache_folder, write_atomically


def weights_hash(source: Classifier) -> str:
    """A hash of every tensor of a source: encoder, head and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(source.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name}{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def code_of(encoder: nn.Module) -> str:
    """The code of an encoder's class, as far as it can be read, and the version of hatlit for all that it calls."""
    try:
        source = inspect.getsource(type(encoder))
    except (OSError, TypeError):
        source = type(encoder).__qualname__
    return f"{version('hatlit')}\n{source}"


def output_key(source: Classifier, recorded: InputSpec, rows_fingerprint: str) -> str:
    """Names the outputs of one source on given rows.

    It depends on the weights, the encoder's code, the view the source wants, the recorded form and the rows. If any of
    them changes, so does the key, and the outputs are computed anew.
    """
    parts = (
        weights_hash(source),
        code_of(source.encoder),
        source.input_spec.model_dump_json(),
        recorded.model_dump_json(),
        rows_fingerprint,
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def cached_outputs(
    keys: Sequence[str], compute: Callable[[list[int]], list[dict[str, Tensor]]], folder: Path | None = None
) -> list[dict[str, Tensor]]:
    """Returns the tensors stored under each key; those that are not there are computed, all together, and stored.

    Files are memory-mapped. A file that cannot be read is computed again; a disk that cannot be written is no error,
    the outputs are then only in memory.

    Args:
        keys: names of what is wanted.
        compute: maps the places of the missing keys to their tensors.
        folder: where to; the user's cache unless told otherwise.
    """
    paths = [(folder or cache_folder() / "outputs") / f"{key}.safetensors" for key in keys]
    found = [_read(path) for path in paths]
    missing = [place for place, tensors in enumerate(found) if tensors is None]
    if missing:
        for place, tensors in zip(missing, compute(missing), strict=True):
            found[place] = tensors
            with contextlib.suppress(OSError, SafetensorError):
                write_atomically(paths[place], save(tensors))
    return [tensors for tensors in found if tensors is not None]


def _read(path: Path) -> dict[str, Tensor] | None:
    try:
        return load_file(path)
    except (OSError, SafetensorError):
        return None
