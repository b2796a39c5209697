"""Arm gestures in front of a millimetre-wave radar, as maps over time and as the points that were detected."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from hatlit.datamodules.base import DomainSet, register_dataset
from hatlit.datamodules.datasets.common import find, part
from hatlit.datamodules.datasets.download import DOWNLOADS, Archive, Download
from hatlit.datamodules.datasets.tables import read_table
from hatlit.datamodules.radar import CLOUD, MAP, rasterise
from hatlit.datamodules.views import fit_length, spread
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError

PUBLISHED = "experimental_scenario_without_reflectors"
GESTURES = ("CR", "KO", "PL", "PS", "UP")
RATE = 10.0  # frames a second
PAUSE = 6  # frames; a longer gap parts one gesture from the next
SHORTEST = 8  # frames; anything shorter is a stray echo between gestures
REPETITIONS = 12  # the first of each file, so that every person did each gesture equally often

#: What each map shows and the least and the largest value of its bins, metres and metres a second. What lies beyond
#: counts into the outermost bin.
MAPS = {
    "X(lateral m,-1.2..1.2)": (-1.2, 1.2),
    "Y-median(range m,-1..1)": (-1.0, 1.0),
    "Z(height m,-1.2..1.2)": (-1.2, 1.2),
    "Doppler(m/s,-3.5..3.5)": (-3.5, 3.5),
}
BINS, FRAMES = 32, 24

#: Of a point: seconds since the gesture began, metres sideways, ahead and up, metres a second, and the strength of the
#: echo in the radar's own unit.
CHANNELS = ("time", "x", "y", "z", "doppler", "intensity")
POINTS = 128

_FILE_NAME = re.compile(rf"(\d+)_(\d+\.\d+)m_({'|'.join(GESTURES)})\.csv")
_COLUMNS = 7  # frame, number of points in the frame, x, y, z, doppler, intensity


DOWNLOADS.add(
    "mtranssee",
    Download(
        page="https://github.com/mmTransGes/mTransSee_Dataset",
        parts=(
            # Five of the distances, which is a domain for every 60 cm.
            Archive(
                url="https://github.com/mmTransGes/mTransSee_Dataset/archive/fdd3f02.tar.gz",
                path=PUBLISHED,
                inside=f"[^/]+/{PUBLISHED}/",
                members=rf"\d+_positionFree/\d+_(?:1\.2|1\.8|2\.4|3\.0|3\.6)m_(?:{'|'.join(GESTURES)})\.csv",
                count=800,
                known=r"1_positionFree/1_(?:1\.2|3\.0)m_.*|[23]_positionFree/[23]_1\.2m_.*",
                sha256="d880e6e9c72bc73ad5f7343a4f62d0d5b9beb76fd40e7d2f220248c3272d2681",
                size=2**31,
                text=True,
            ),
        ),
    ),
)


@register_dataset("mtranssee", "radar")
def mtranssee(root: Path | None, modality: str) -> DomainSet:
    """mTransSee: 32 people x up to 13 distances, 5 arm gestures, millimetre-wave radar maps at 10 frames a second.

    A domain is a person at a distance. Each gesture becomes four maps (4, 32 bins, 24 frames) of lateral place, range,
    height and Doppler over time: a bin holds four times the sum of the square roots of the intensities that fell into
    it, at most 255. Range counts from the median of the file. The first 12 gestures of each kind are taken.

    Licence: MIT.
    Citation: H. Liu, K. Cui, K. Hu, Y. Wang, A. Zhou, L. Liu, H. Ma, "mTransSee: Enabling Environment-Independent
        mmWave Sensing Based Gesture Recognition via Transfer Learning", Proceedings of the ACM on Interactive, Mobile,
        Wearable and Ubiquitous Technologies 6(1), 2022.
    Source: https://github.com/mmTransGes/mTransSee_Dataset

    Args:
        root: the folder that holds ``experimental_scenario_without_reflectors``, or that folder itself.
        modality: radar.

    Raises:
        InputError: no recording lies there, or a file has a malformed row.
    """
    recorded = InputSpec(modality=modality, channels=tuple(MAPS), shape=(BINS, FRAMES), axes=MAP, rate=RATE)
    return _read(root, "mtranssee", recorded, draw_maps)


@register_dataset("mtranssee_points", "radar")
def mtranssee_points(root: Path | None, modality: str) -> DomainSet:
    """mTransSee, the detected points: 32 people x up to 13 distances, 5 arm gestures, millimetre-wave radar.

    The same gestures as in ``mtranssee``, each as a cloud (6, 128 points) with the channels time, x, y, z, doppler and
    intensity. Where a gesture has more points, they are taken evenly spread over it; where it has fewer, they come over
    and over. Range (y) counts from the median of the file.

    Licence: MIT.
    Citation: H. Liu, K. Cui, K. Hu, Y. Wang, A. Zhou, L. Liu, H. Ma, "mTransSee: Enabling Environment-Independent
        mmWave Sensing Based Gesture Recognition via Transfer Learning", Proceedings of the ACM on Interactive, Mobile,
        Wearable and Ubiquitous Technologies 6(1), 2022.

    Args:
        root: the folder that holds ``experimental_scenario_without_reflectors``, or that folder itself.
        modality: radar.

    Raises:
        InputError: no recording lies there, or a file has a malformed row.
    """
    recorded = InputSpec(modality=modality, channels=CHANNELS, shape=(POINTS,), axes=CLOUD)
    return _read(root, "mtranssee_points", recorded, gather_points)


def draw_maps(gesture: np.ndarray) -> np.ndarray:
    """Maps the detections of a gesture (D, 6), channels as in ``CHANNELS``, to maps (4, bins, frames) uint8.

    A gesture that lasts longer or shorter than the maps is cropped or padded around its middle.
    """
    frame = np.rint(gesture[:, 0] * RATE).astype(int)
    strength = 4 * np.sqrt(gesture[:, 5].clip(min=0))
    maps = rasterise(gesture[:, 1:5], frame, strength, tuple(MAPS.values()), BINS, int(frame[-1]) + 1)
    return fit_length(torch.from_numpy(maps), FRAMES).numpy().astype(np.uint8)


def gather_points(gesture: np.ndarray) -> np.ndarray:
    """Maps the detections of a gesture (D, 6) to a cloud of ``POINTS`` of them (6, points) float32."""
    return gesture[spread(len(gesture), POINTS).numpy()].T.astype(np.float32)


def _read(root: Path | None, name: str, recorded: InputSpec, build: Callable[[np.ndarray], np.ndarray]) -> DomainSet:
    folder = find(root, PUBLISHED, name)
    matches = [(file, match) for file in folder.glob("*/*.csv") if (match := _FILE_NAME.fullmatch(file.name))]
    matches.sort(key=lambda one: (int(one[1][1]), float(one[1][2]), GESTURES.index(one[1][3])))
    samples = [[build(gesture) for gesture in _gestures(file)] for file, _ in matches]
    row = np.repeat(np.arange(len(samples)), [len(own) for own in samples])
    if not len(row):
        raise InputError(
            f"'{folder}' holds no gesture named like 1_positionFree/1_1.2m_CR.csv; give the published folder."
        )
    place = [f"user{match[1]}@{match[2]}m" for _, match in matches]
    places = list(dict.fromkeys(place))
    domains = part(
        samples=np.concatenate([np.stack(own) for own in samples if own]),
        labels=np.array([GESTURES.index(match[3]) for _, match in matches])[row],
        groups=np.arange(len(row)),
        domain=np.array([places.index(one) for one in place])[row],
        domain_names=places,
        class_names=GESTURES,
        recorded=recorded,
    )
    return DomainSet(name, recorded.modality, domains, GESTURES)


def _gestures(file: Path) -> list[np.ndarray]:
    """Reads the first gestures of a file: detections (D, 6) each, with channels as in ``CHANNELS``."""
    table = read_table(file, _COLUMNS, header=1)
    frame, detections = table[:, 0], table[:, 2:]
    detections[:, 1] -= np.median(detections[:, 1]) if len(detections) else 0.0
    # The counter of frames starts anew now and then.
    gap = np.diff(frame)
    starts = np.flatnonzero((gap > PAUSE) | (gap < 0)) + 1
    gestures = []
    for own_frame, own in zip(np.split(frame, starts), np.split(detections, starts), strict=True):
        if len(own) and own_frame[-1] - own_frame[0] + 1 >= SHORTEST:
            gestures.append(np.column_stack([(own_frame - own_frame[0]) / RATE, own]))
    return gestures[:REPETITIONS]
