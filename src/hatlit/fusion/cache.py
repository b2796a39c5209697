"""Outputs of frozen sources, kept on disk under a name made of everything they depend on."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import math
import os
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, load_file, save
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


def output_key(source: Classifier, recorded: InputSpec, rows_fingerprint: str, form: str = "") -> str:
    """Names the outputs of one source on given rows.

    It depends on the weights, the encoder's code, the view the source wants, the recorded form, the rows, and the form
    in which the outputs are kept. If any of them changes, so does the key, and the outputs are computed anew.
    """
    parts = (
        weights_hash(source),
        code_of(source.encoder),
        source.input_spec.model_dump_json(),
        recorded.model_dump_json(),
        rows_fingerprint,
        form,
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def cached_outputs(
    keys: Sequence[str],
    compute: Callable[[list[int]], list[dict[str, Tensor]]],
    folder: Path | None = None,
    map_above: float = math.inf,
) -> list[dict[str, Tensor]]:
    """Returns the tensors stored under each key; those that are not there are computed, all together, and stored.

    A file that cannot be read is computed again; a disk that cannot be written is no error, the outputs are then only
    in memory. Two processes that miss the same key both compute it; each writes a whole file, and the later one stays.

    Args:
        keys: names of what is wanted.
        compute: maps the places of the missing keys to their tensors.
        folder: where to; the user's cache unless told otherwise.
        map_above: bytes of a file above which it is mapped into memory, and read when looked at.
    """
    paths = [(folder or cache_folder() / "outputs") / f"{key}.safetensors" for key in keys]
    found = [_read(path, map_above) for path in paths]
    missing = [place for place, tensors in enumerate(found) if tensors is None]
    if missing:
        for place, tensors in zip(missing, compute(missing), strict=True):
            with contextlib.suppress(OSError, SafetensorError):
                write_atomically(paths[place], save(tensors))
            is_large = sum(tensor.nbytes for tensor in tensors.values()) > map_above
            found[place] = (_read(paths[place], map_above) if is_large else None) or tensors
    return [tensors for tensors in found if tensors is not None]


def _read(path: Path, map_above: float) -> dict[str, Tensor] | None:
    try:
        tensors = load_file(path) if path.stat().st_size > map_above else load(path.read_bytes())
    except (OSError, SafetensorError):
        return None
    with contextlib.suppress(OSError):  # somebody else's cache
        os.utime(path)  # used now, whether or not the file system notes it
    return tensors
