"""Bring your own data: one npz file with samples, classes and domains."""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile
from pydantic import ValidationError

from hatlit.datamodules.base import MODALITIES, DomainSet, register_dataset
from hatlit.datamodules.datasets.common import part
from hatlit.datamodules.text import from_offsets, groups_of_texts, texts_of
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError, on_one_line
from hatlit.types import UNLABELLED

#: What the libraries that read a damaged archive raise.
_DAMAGED = (
    *(OSError, ValueError, TypeError, EOFError, KeyError, OverflowError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError, SyntaxError),
)


@register_dataset("arrays")
def arrays(root: Path | None, modality: str) -> DomainSet:
    """Your own data: one npz file with x, y and domain, for any modality.

    The arrays, N rows long and in time order inside a recording:

    - ``x`` (N, channels, ...) floats or integers, kept as they are; ``x_<modality>`` where modalities share rows;
    - ``y`` (N,) class numbers into ``class_names``, -1 where the class is not known;
    - ``domain`` (N,) numbers into ``domain_names``: who, or where;
    - ``group`` (N,) optional: the recording of each row, which no split tears apart; without it every row is its own,
      except that equal texts of a domain stand together;
    - ``sample_rate`` optional: Hz; ``channel_names`` optional. Both also with ``_<modality>`` behind.
    - ``axes`` optional: what the axes of ``x`` behind the channels are, such as ``point`` for clouds of points;
    - texts instead of ``x``: ``x_utf8``, the bytes of all texts one after another, and ``x_offsets`` (N+1), where each
      begins and the last one ends.

    Other arrays may stand beside them. Write it with ``numpy.savez_compressed``.

    Licence: your own.
    Citation: your own.

    Raises:
        InputError: there is no such file, or something in it is missing or contradicts the above.
    """
    file = _File(root, modality)
    samples = _texts(file) if modality == "text" else _samples(file)
    labels, domain = file.codes("y"), file.codes("domain")
    class_names, domain_names = file.names("class_names"), file.names("domain_names")
    _check_rows(file, {"x": samples, "y": labels, "domain": domain})
    _check_codes(file, "y", labels, "class_names", class_names, lowest=UNLABELLED)
    _check_codes(file, "domain", domain, "domain_names", domain_names, lowest=0)
    groups = _groups(file, domain, samples)
    domains = part(samples, labels, groups, domain, domain_names, class_names, _recorded(file, samples))
    return DomainSet("arrays", modality, domains, class_names)


def read_samples(path: Path, usual: InputSpec) -> tuple[np.ndarray, InputSpec]:
    """Reads the samples of an npz file and how they were recorded; labels and domains are not looked at.

    Args:
        path: the file.
        usual: what samples are like of which the file does not say it.

    Raises:
        InputError: there is no such file, or no samples are in it.
    """
    if not path.is_file():
        raise InputError(f"There is no file '{path}'.")
    file = _File(path, usual.modality)
    if usual.modality == "text":
        samples = _texts(file)
        return samples, _recorded(file, samples)
    samples = _samples(file)
    found = _recorded(file, samples)
    if found.num_channels == usual.num_channels and file.find("channel_names") is None:
        found = found.with_(channels=usual.channels)
    return samples, found.with_(rate=found.rate or usual.rate)


class _File:
    """An open npz file whose faults come out as one sentence.

    Args:
        path: the file.
        modality: arrays of the name ``<name>_<modality>`` stand in where ``<name>`` is absent.

    Raises:
        InputError: nothing readable lies there.
    """

    def __init__(self, path: Path | None, modality: str) -> None:
        if path is None:
            raise InputError("The data set 'arrays' reads your own npz file; give its path with --data.root.")
        if path.is_dir():
            raise InputError(f"'{path}' is a folder; --data.root wants the npz file itself.")
        if not path.is_file():
            raise InputError(f"There is no file '{path}'; give the path of an npz file with --data.root.")
        self.path = path
        self.modality = modality
        try:
            opened = np.load(path, allow_pickle=False)
        except _DAMAGED as error:
            raise self.fault("is not a readable npz file; write it with numpy.savez_compressed") from error
        if not isinstance(opened, NpzFile):
            raise self.fault("holds one array, not an npz of several; write it with numpy.savez_compressed")
        self._opened = opened

    def fault(self, what: str) -> InputError:
        """Builds the error for something wrong in this file."""
        return InputError(f"'{self.path}' {what}.")

    def find(self, name: str) -> np.ndarray | None:
        """Reads an array, or its ``_<modality>`` form; None where the file has neither."""
        for candidate in (name, f"{name}_{self.modality}"):
            if candidate in self._opened.files:
                return self._read(candidate)
        return None

    def need(self, name: str) -> np.ndarray:
        """Reads an array that must be there."""
        array = self.find(name)
        if array is None:
            present = on_one_line(", ".join(self._opened.files)) or "none"
            raise self.fault(f"has no array '{name}', add it (it has: {present})")
        return array

    def codes(self, name: str) -> np.ndarray:
        """Reads one whole number a row (N,)."""
        array = self.need(name)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise self.fault(
                f"has an array '{name}' ({array.dtype}, shape {array.shape}); it must be one whole number a row"
            )
        return array.astype(np.int64)

    def names(self, name: str) -> tuple[str, ...]:
        """Reads a list of different texts."""
        array = self.need(name)
        if array.ndim != 1 or array.dtype.kind != "U" or not len(array) or len(set(array.tolist())) < len(array):
            raise self.fault(
                f"has an array '{name}' that is not a list of texts that differ from one another; make it one"
            )
        return tuple(array.tolist())

    def _read(self, name: str) -> np.ndarray:
        try:
            return self._opened[name]
        except _DAMAGED as error:
            if "allow_pickle" not in str(error):
                raise self.fault(f"is damaged at array '{name}'; write it again") from error
            raise self.fault(
                f"holds Python objects in array '{name}', which are never loaded; store numbers or texts"
            ) from error


def _samples(file: _File) -> np.ndarray:
    samples = file.need("x")
    if samples.dtype.kind not in "fiu":
        raise file.fault(f"has an array 'x' of type {samples.dtype}; it must hold floats or integers")
    if samples.ndim < 3:
        raise file.fault(
            f"has an array 'x' of shape {samples.shape}; it needs three axes or more: rows, channels, time or space"
        )
    if not samples.size:
        raise file.fault(f"has an array 'x' of shape {samples.shape}, which is empty; put samples into it")
    if samples.dtype.kind == "f":
        # Models compute in float32, so a float64 that only overflows there is as useless as an infinity.
        with np.errstate(over="ignore"):
            broken = ~np.isfinite(samples.astype(np.float32, copy=False))
        if broken.any():
            row = int(np.argmax(broken.reshape(len(samples), -1).any(axis=1)))
            raise file.fault(
                f"has {int(broken.sum())} values in array 'x' that are NaN, infinite or beyond float32, "
                f"the first in row {row}; fill or leave out such rows"
            )
    return samples


def _texts(file: _File) -> np.ndarray:
    utf8, offsets = file.need("x_utf8"), file.need("x_offsets")
    try:
        return from_offsets(utf8, offsets)
    except InputError as error:
        raise file.fault(f"holds no texts in 'x_utf8' and 'x_offsets': {str(error).rstrip('.')}") from error


def _check_rows(file: _File, by_name: dict[str, np.ndarray]) -> None:
    if len({len(array) for array in by_name.values()}) > 1:
        lengths = ", ".join(f"{name} {len(array)}" for name, array in by_name.items())
        raise file.fault(f"has arrays of unequal length ({lengths}); they must share their rows")


def _check_codes(
    file: _File, name: str, codes: np.ndarray, names_name: str, names: tuple[str, ...], lowest: int
) -> None:
    wrong = np.flatnonzero((codes < lowest) | (codes >= len(names)))
    if len(wrong):
        row = int(wrong[0])
        raise file.fault(
            f"has {codes[row]} in row {row} of array '{name}', but '{names_name}' has {len(names)} names; "
            f"it must lie between {lowest} and {len(names) - 1}"
        )


def _groups(file: _File, domain: np.ndarray, samples: np.ndarray) -> np.ndarray:
    recording = file.find("group")
    if recording is None and file.modality == "text":
        return groups_of_texts(texts_of(samples), domain)
    if recording is None:
        return np.arange(len(domain))
    if recording.ndim != 1 or recording.dtype.kind not in "iuU":
        raise file.fault(
            f"has an array 'group' ({recording.dtype}, shape {recording.shape}); it must be one number or text a row"
        )
    _check_rows(file, {"group": recording, "domain": domain})
    names, first, groups = np.unique(recording, return_index=True, return_inverse=True)
    torn = np.flatnonzero(domain[first][groups] != domain)
    if len(torn):
        raise file.fault(
            f"has the group {names[groups[torn[0]]]} in more than one domain (row {int(torn[0])} of array 'group'); "
            "number the recordings of each domain apart"
        )
    return groups


def _recorded(file: _File, samples: np.ndarray) -> InputSpec:
    modality = MODALITIES.get(file.modality)
    count = samples.shape[1]
    channels = modality.usual_channels.get(count, tuple(f"channel_{number}" for number in range(count)))
    axes = modality.axes_of(samples.ndim - 2)
    if file.find("axes") is not None:
        axes = file.names("axes")
    if axes not in modality.layouts or len(axes) != samples.ndim - 2:
        known = " or ".join(" x ".join(("rows", "channels", *layout)) for layout in modality.layouts)
        raise file.fault(f"has an array 'x' of shape {samples.shape}; {file.modality} samples are {known}")
    if file.find("channel_names") is not None:
        channels = file.names("channel_names")
    if len(channels) != samples.shape[1]:
        raise file.fault(
            f"has {len(channels)} 'channel_names' for the {samples.shape[1]} channels of 'x'; give each channel one"
        )
    try:
        return InputSpec(
            modality=file.modality, channels=channels, shape=samples.shape[2:], axes=axes, rate=_rate(file)
        )
    except ValidationError as error:
        raise file.fault(f"has samples that no view can be built from ({error.errors()[0]['msg']})") from error


def _rate(file: _File) -> float | None:
    rate = file.find("sample_rate")
    if rate is None:
        return None
    if rate.size != 1 or rate.dtype.kind not in "fiu" or not 0 < rate.item() < np.inf:
        raise file.fault("has an array 'sample_rate' that is not one positive number; give it in Hz, or leave it out")
    return float(rate.item())
