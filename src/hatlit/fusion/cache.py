"""Outputs of frozen sources, kept on disk under a name made of everything they depend on."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
from collections.abc import Callable
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


def cached_outputs(key: str, compute: Callable[[], dict[str, Tensor]], folder: Path | None = None) -> dict[str, Tensor]:
    """Returns the tensors stored under a key, computing and storing them first where they are not.

    The file is memory-mapped. A file that cannot be read is computed again; a disk that cannot be written is no error,
    the outputs are then only in memory.
    """
    path = (folder or cache_folder() / "outputs") / f"{key}.safetensors"
    try:
        return load_file(path)
    except (OSError, SafetensorError):
        tensors = compute()
    with contextlib.suppress(OSError, SafetensorError):
        write_atomically(path, save(tensors))
    return tensors
