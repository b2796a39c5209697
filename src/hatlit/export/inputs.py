"""Reads files that a student is asked about, by what its modality records."""

from __future__ import annotations

import csv
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hatlit.datamodules.datasets.arrays import read_samples
from hatlit.datamodules.datasets.common import cut
from hatlit.datamodules.image import COLOURS, GREY
from hatlit.datamodules.text import common_length, pad_texts, recorded_form
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError, missing_library
from hatlit.export.artifact import Recording

#: Reads a file that was recorded at a rate (Hz, None where it is the usual one): samples (rows, channels, *shape), and
#: their form.
Reader = Callable[[Path, Recording, float | None], tuple[np.ndarray, InputSpec]]


def read_input(path: Path, recording: Recording, rate: float | None = None) -> tuple[np.ndarray, InputSpec]:
    """Reads one file as samples (rows, channels, *shape) with their form.

    A series that is longer than a sample is cut into samples side by side, and what is left at its end is not looked
    at; a shorter one is one sample.

    Args:
        path: an npz file with ``x``, or what the modality has files of: csv, wav, png, txt.
        recording: how samples are usually recorded.
        rate: samples per second (Hz) where the file does not say.

    Raises:
        InputError: the file is damaged, of another kind, or holds nothing that the modality can look at.
    """
    reader = _readers(recording).get(path.suffix.lower())
    if reader is None:
        raise InputError(f"'{path}' is no file of {recording.spec.modality} samples; {endings(recording)}.")
    try:
        return reader(path, recording, rate)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror or error}.") from error


def inputs_of(path: Path, recording: Recording) -> Sequence[Path]:
    """The files that a path stands for: itself, or all below a folder whose names end as those of the modality do."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in _readers(recording) and file.is_file())


def endings(recording: Recording) -> str:
    """How the names of the files end that a modality has, as it may stand in a sentence."""
    return f"those end in {', '.join(_readers(recording))}"


def _readers(recording: Recording) -> dict[str, Reader]:
    spec = recording.spec
    found: dict[str, Reader] = {".npz": _read_npz}
    if spec.modality == "text":
        found[".txt"] = _read_text
    elif spec.modality == "audio" and spec.axes == ("time",):
        found[".wav"] = _read_wave
    elif spec.axes == ("time",):
        found[".csv"] = _read_table
    elif spec.modality in ("image", "depth"):
        found |= dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp"), _read_picture)
    return found


def _read_npz(path: Path, recording: Recording, rate: float | None) -> tuple[np.ndarray, InputSpec]:
    usual = recording.spec
    return read_samples(path, usual if rate is None else usual.with_(rate=rate))


def _read_text(path: Path, recording: Recording, rate: float | None) -> tuple[np.ndarray, InputSpec]:
    """A text a line."""
    texts = [line.strip() for line in path.read_bytes().splitlines() if line.strip()]
    if not texts:
        raise InputError(f"'{path}' holds no text; each line is one.")
    samples = pad_texts(texts, common_length(texts))
    return samples, recorded_form(samples.shape[2])


def _read_wave(path: Path, recording: Recording, rate: float | None) -> tuple[np.ndarray, InputSpec]:
    """Sound of 8, 16 or 32 bits; as whole numbers of 16 bits or between -1 and 1, whichever the recordings are."""
    try:
        with wave.open(str(path)) as opened:
            channels, width, file_rate = opened.getnchannels(), opened.getsampwidth(), float(opened.getframerate())
            content = opened.readframes(opened.getnframes())
    except (wave.Error, EOFError) as error:
        raise InputError(f"'{path}' is not a readable wav file: {str(error) or 'it ends too early'}.") from error
    if width not in (1, 2, 4):
        raise InputError(f"'{path}' has {8 * width} bits a sample; save it with 8, 16 or 32.")
    whole = len(content) // (channels * width) * channels * width
    numbers = np.frombuffer(content[:whole], dtype={1: "<u1", 2: "<i2", 4: "<i4"}[width]).astype(np.float64)
    sound = ((numbers - 128) / 128 if width == 1 else numbers / 2.0 ** (8 * width - 1)).reshape(-1, channels)
    spec = recording.spec
    if channels != spec.num_channels:
        sound = np.repeat(sound.mean(axis=1, keepdims=True), spec.num_channels, axis=1)
    scale = 2**15 if recording.numbers == "integer" else 1
    return _windows(path, scale * sound, spec, file_rate)


def _read_table(path: Path, recording: Recording, rate: float | None) -> tuple[np.ndarray, InputSpec]:
    """Numbers parted by commas, a moment a row and a channel a column; a first row of names picks the channels."""
    spec = recording.spec
    with path.open(newline="", encoding="utf-8", errors="replace") as stream:
        rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if any(map(str.strip, row))]
    names = None if not rows or all(map(_is_number, rows[0])) else rows.pop(0)
    try:
        table = np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise InputError(f"'{path}' is not a table of numbers parted by commas: {error}.") from error
    if table.ndim != 2 or not np.isfinite(table).all():
        raise InputError(f"'{path}' is not a table of numbers, all of them finite, with a channel a column.")
    if names is not None and set(spec.channels) <= set(names):
        table = table[:, [names.index(name) for name in spec.channels]]
    if table.shape[1] != spec.num_channels:
        raise InputError(
            f"'{path}' has {table.shape[1]} columns; the student looks at {', '.join(spec.channels)}, in this order or "
            "named in the first row."
        )
    return _windows(path, table, spec, rate or spec.rate)


def _read_picture(path: Path, recording: Recording, rate: float | None) -> tuple[np.ndarray, InputSpec]:
    """A picture in the numbers of the file, usually 0 to 255; one of depth has a single channel."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise missing_library("pillow", "image") from error
    spec = recording.spec
    names: tuple[str, ...] = spec.channels
    try:
        with Image.open(path) as picture:
            if spec.modality == "image":
                is_grey = picture.mode in ("1", "L", "LA", "I", "F") or picture.mode.startswith("I;")
                names = (GREY,) if is_grey else COLOURS
                pixels = np.asarray(picture.convert("L" if is_grey else "RGB"))
            else:
                pixels = np.asarray(picture)
    except (UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"'{path}' is not a readable picture: {error}.") from error
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] != len(names):
        raise InputError(f"'{path}' has {pixels.shape[2]} channels, and {len(names)} are expected: {', '.join(names)}.")
    samples = pixels.transpose(2, 0, 1)[None]
    return samples, spec.with_(channels=names, shape=samples.shape[2:])


def _windows(path: Path, series: np.ndarray, spec: InputSpec, rate: float | None) -> tuple[np.ndarray, InputSpec]:
    """Cuts a series (time, channels) into samples (rows, channels, time) as long as those that were recorded."""
    if not len(series):
        raise InputError(f"'{path}' holds no samples.")
    longer = rate / spec.rate if rate and spec.rate else 1.0
    length = min(len(series), max(1, round(spec.shape[0] * longer)))
    samples = cut(series, length)
    return samples, spec.with_(shape=(length,), rate=rate)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
