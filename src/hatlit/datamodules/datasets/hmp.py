"""Activities of daily living recorded by an accelerometer on the wrist."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from hatlit.datamodules.base import DomainSet, register_dataset
from hatlit.datamodules.datasets.common import cut, find, part
from hatlit.datamodules.datasets.download import DOWNLOADS, Archive, Download
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError

PUBLISHED = "HMP_Dataset"
RATE = 32.0  # Hz
WINDOW = 96  # samples, three seconds
CHANNELS = ("acc_x", "acc_y", "acc_z")  # m/s²
#: The activities with about a hundred recordings each, and the volunteers who recorded most of them.
ACTIVITIES = ("Climb_stairs", "Drink_glass", "Getup_bed", "Pour_water", "Sitdown_chair", "Standup_chair", "Walk")
VOLUNTEERS = ("f1", "f2", "f3", "f4", "m1", "m2", "m3")

_FILE_NAME = re.compile(r"Accelerometer-[\d-]+-[a-z_]+-([fm]\d+)\.txt")
_CODES = {text: code for code in range(64) for text in (f"{code}", f"{code:02}")}  # six bits
_RANGE = 14.709  # m/s² at the ends of the scale, 1.5 g


DOWNLOADS.add(
    "hmp",
    Download(
        page="https://archive.ics.uci.edu/dataset/283",
        parts=(
            Archive(
                url="https://archive.ics.uci.edu/ml/machine-learning-databases/00283/ADL_Dataset.zip",
                path=PUBLISHED,
                inside=f"(?:.*/)?{PUBLISHED}/",
                members=rf"(?:{'|'.join(ACTIVITIES)})/{_FILE_NAME.pattern}",
                count=705,
                sha256="65bda161fb99e341d7d18a893b89f0f3bf0505e50c695c520076cdb5900ed875",
                size=2**24,
                text=True,
            ),
        ),
    ),
)


@register_dataset("hmp", "imu")
def hmp(root: Path | None, modality: str) -> DomainSet:
    """HMP: 7 volunteers x 7 activities of daily living, wrist accelerometer at 32 Hz, very unbalanced.

    Each recording is cut into windows of three seconds that do not overlap. Not every volunteer did everything.

    Licence: for research; commercial use and redistribution by arrangement with the authors (README.txt of the set).
    Citation: B. Bruno, F. Mastrogiovanni, A. Sgorbissa, T. Vernazza, R. Zaccaria, "Analysis of human behavior
        recognition algorithms based on acceleration data", International Conference on Robotics and Automation, 2013.
    Source: https://archive.ics.uci.edu/dataset/283

    Args:
        root: the folder that holds ``HMP_Dataset``, or that folder itself.
        modality: imu.

    Raises:
        InputError: no recording lies there, or a file has a malformed row.
    """
    folder = find(root, PUBLISHED, "hmp")
    windows, volunteer, activity = [], [], []
    for number, name in enumerate(ACTIVITIES):
        for file in sorted((folder / name).glob("*.txt")):
            match = _FILE_NAME.fullmatch(file.name)
            if match and match[1] in VOLUNTEERS:
                windows.append(cut(_read(file), WINDOW).astype(np.float16))
                volunteer.append(VOLUNTEERS.index(match[1]))
                activity.append(number)
    recording = np.repeat(np.arange(len(windows)), [len(own) for own in windows])
    if not len(recording):
        raise InputError(
            f"'{folder}' holds no recording of three seconds or more named like "
            f"{ACTIVITIES[0]}/Accelerometer-2011-03-24-10-24-39-climb_stairs-f1.txt; give the published folder."
        )
    domains = part(
        samples=np.concatenate(windows),
        labels=np.array(activity)[recording],
        groups=recording,
        domain=np.array(volunteer)[recording],
        domain_names=VOLUNTEERS,
        class_names=ACTIVITIES,
        recorded=InputSpec(modality=modality, channels=CHANNELS, shape=(WINDOW,), rate=RATE),
    )
    return DomainSet("hmp", modality, domains, ACTIVITIES)


def _read(file: Path) -> np.ndarray:
    """Reads one recording (time, 3) in m/s².

    Raises:
        InputError: a row is not three whole numbers from 0 to 63.
    """
    rows = []
    for number, line in enumerate(file.read_text(encoding="ascii", errors="replace").splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != len(CHANNELS) or not all(field in _CODES for field in fields):
            raise InputError(f"Line {number} of '{file}' is not three whole numbers from 0 to 63: '{line[:40]}'.")
        rows.append([_CODES[field] for field in fields])
    codes = np.array(rows, dtype=np.float64).reshape(-1, len(CHANNELS))
    return -_RANGE + codes / 63 * 2 * _RANGE
