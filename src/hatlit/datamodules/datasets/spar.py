"""Shoulder physiotherapy exercises recorded by a smart watch."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from hatlit.datamodules.base import DomainSet, register_dataset
from hatlit.datamodules.datasets.common import cut, find, part
from hatlit.datamodules.datasets.download import DOWNLOADS, Download, Remote
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError

PUBLISHED = "seglearn/data/watch_dataset.npy"
RATE = 50.0  # Hz
WINDOW = 200  # samples, four seconds
CHANNELS = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")  # g, then rad/s
_SIDES = ("L", "R")  # as the file counts them


DOWNLOADS.add(
    "spar",
    Download(
        page="https://github.com/dmbee/seglearn",
        parts=(
            Remote(
                url="https://raw.githubusercontent.com/dmbee/seglearn/03f0990db9a88d03c61166cec92bbe8547691945/"
                + PUBLISHED,
                path=PUBLISHED,
                sha256="eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537",
                size=18118091,
            ),
        ),
    ),
)


@register_dataset("spar", "imu")
def spar(root: Path | None, modality: str) -> DomainSet:
    """SPAR: 10 people x left and right arm, 7 shoulder exercises, watch accelerometer and gyroscope at 50 Hz.

    One recording of each exercise and arm, cut into windows of four seconds that do not overlap. The file is a pickle;
    it is read by an unpickler that knows numeric arrays and plain containers and nothing else.

    Licence: BSD-3-Clause, as part of the seglearn package.
    Citation: D. M. Burns, N. Leung, M. Hardisty, C. M. Whyne, P. Henry, S. McLachlin, "Shoulder physiotherapy exercise
        recognition: machine learning the inertial signals from a smartwatch", Physiological Measurement 39(7), 2018.
    Source: https://github.com/dmbee/seglearn

    Args:
        root: the folder that holds ``seglearn``, any folder below it, or the file ``watch_dataset.npy`` itself.
        modality: imu.

    Raises:
        InputError: the file is not there, is damaged, or holds anything but the arrays it should.
    """
    path = find(root, PUBLISHED, "spar")
    content = _load(path)
    try:
        recordings = [np.asarray(recording, dtype=np.float64) for recording in content["X"]]
        subject, side, exercise = (np.asarray(content[name]).astype(np.int64) for name in ("subject", "side", "y"))
        class_names = tuple(str(name) for name in content["y_labels"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"'{path}' does not hold the arrays X, y, subject, side and y_labels of SPAR.") from error
    _check(path, recordings, subject, side, exercise, len(class_names))

    windows = [cut(recording, WINDOW).astype(np.float16) for recording in recordings]
    recording_of = np.repeat(np.arange(len(windows)), [len(own) for own in windows])
    people, person = np.unique(subject, return_inverse=True)
    domains = part(
        samples=np.concatenate(windows),
        labels=exercise[recording_of],
        groups=recording_of,
        domain=(len(_SIDES) * person + side)[recording_of],
        domain_names=[f"subj{number}_{letter}" for number in people for letter in _SIDES],
        class_names=class_names,
        recorded=InputSpec(modality=modality, channels=CHANNELS, shape=(WINDOW,), rate=RATE),
    )
    return DomainSet("spar", modality, domains, class_names)


def _check(
    path: Path,
    recordings: list[np.ndarray],
    subject: np.ndarray,
    side: np.ndarray,
    exercise: np.ndarray,
    num_classes: int,
) -> None:
    if not recordings or {len(subject), len(side), len(exercise)} != {len(recordings)}:
        raise InputError(f"'{path}' does not give one subject, side and exercise for each recording.")
    for number, recording in enumerate(recordings):
        if recording.ndim != 2 or recording.shape[1] != len(CHANNELS) or not np.isfinite(recording).all():
            raise InputError(f"Recording {number} in '{path}' is not an array (time, 6) of finite numbers.")
    if not np.isin(side, (0, 1)).all() or not np.isin(exercise, np.arange(num_classes)).all():
        raise InputError(f"'{path}' has a side other than 0 and 1, or an exercise that y_labels does not name.")


def _load(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            _skip_header(file)
            content = _ArrayUnpickler(file).load().item()
    except InputError:
        raise
    # A damaged pickle can raise nearly anything.
    except Exception as error:
        raise InputError(f"'{path}' is damaged, or is not the npy file of SPAR.") from error
    if not isinstance(content, dict):
        raise InputError(f"'{path}' does not hold the dictionary of SPAR.")
    return content


def _skip_header(file: BinaryIO) -> None:
    version = npy.read_magic(file)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
    shape, _, dtype = read(file)
    if shape != () or dtype != np.dtype(object):
        raise ValueError("not a single pickled object")


def _latin1(text: str, encoding: str) -> bytes:
    """Stands in for ``codecs.encode``, by which old pickles write bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding}")
    return text.encode("latin1")


#: All that a pickle of numeric arrays needs, under the names of old and new numpy.
_ADMITTED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("_codecs", "encode"): _latin1,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Builds numeric arrays and plain containers; refuses every other name before anything of it runs."""

    def find_class(self, module: str, name: str) -> Any:
        """Looks a name up among the few admitted ones.

        Raises:
            InputError: it is another.
        """
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise InputError(
                f"The file asks to load '{module}.{name}', which no array needs; get the published file anew."
            ) from None
