"""Outputs of frozen sources, kept on disk under a name made of everything they depend on."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import math
import os
import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, load_file, save
from torch import Tensor, nn

from hatlit.encoders.base import Classifier, InputSpec
from hatlit.files import cache_folder, file_hash, write_atomically

#: Files of hatlit whose code has a say in outputs and in adapted weights.
MAKE_OUTPUTS = (
    "datamodules/**/*.py",
    "encoders/**/*.py",
    "fusion/**/*.py",
    "methods/teachers.py",
    "selection/labels.py",
)


def weights_hash(source: Classifier) -> str:
    """A hash of every tensor of a source: encoder, head and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(source.state_dict().items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name}{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def code_of(encoder: nn.Module) -> str:
    """All that an encoder's outputs depend on beside its weights, as far as it can be read.

    The code of each class that it is made of, the settings that it prints (a dilation changes no weight), and hatlit's
    own code. Torch's is taken as given.
    """
    classes = {one for module in encoder.modules() for one in type(module).__mro__}
    foreign = [one for one in classes if one.__module__.partition(".")[0] not in ("builtins", "hatlit", "torch")]
    settings = re.sub(r" at 0x[0-9a-f]+", "", repr(encoder))  # an address is another one in each process
    return "\n".join([version("hatlit"), own_code(), settings, *sorted(_source_of(one) for one in foreign)])


@cache
def own_code(package: Path = Path(__file__).parents[1], patterns: tuple[str, ...] = MAKE_OUTPUTS) -> str:
    """A hash of files of hatlit: of those that have a say in what sources see, how they adapt and what they answer."""
    files = sorted(file for pattern in patterns for file in package.glob(pattern))
    contents = [f"{file.relative_to(package).as_posix()} {file_hash(file)}" for file in files]
    return hashlib.sha256("\n".join(contents).encode()).hexdigest()


@cache
def _source_of(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return f"{kind.__module__}.{kind.__qualname__}"


def output_key(source: Classifier, recorded: InputSpec, rows_fingerprint: str, form: str = "") -> str:
    """Names the outputs of one source on given rows.

    It depends on the weights, the code of all that the encoder is made of, the view the source wants, the recorded
    form, the rows, and the form in which the outputs are kept. If any of them changes, so does the key, and the outputs
    are computed anew.
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
    except (OSError, RuntimeError, SafetensorError):  # RuntimeError: torch maps a file that was removed just now
        return None
    with contextlib.suppress(OSError):  # somebody else's cache
        os.utime(path)  # used now, whether or not the file system notes it
    return tensors
