"""Actions recorded at once by a depth camera, its skeleton tracker and an inertial sensor."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hatlit.datamodules.base import DomainSet, register_dataset
from hatlit.datamodules.datasets.common import find, part
from hatlit.datamodules.datasets.download import DOWNLOADS, Archive, Download
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError, missing_library

PUBLISHED = "utd-mhad"
#: The first 13 of the 27 actions, in their published order: the ones performed with the arms, sensor on the wrist.
ACTIONS = (
    "swipe_left",
    "swipe_right",
    "wave",
    "clap",
    "throw",
    "arm_cross",
    "basketball_shoot",
    "draw_x",
    "draw_circle_cw",
    "draw_circle_ccw",
    "draw_triangle",
    "bowling",
    "boxing",
)
SUBJECTS = tuple(f"s{number}" for number in range(1, 9))
JOINTS = (
    "head",
    "shoulder_center",
    "spine",
    "hip_center",
    *(f"left_{joint}" for joint in ("shoulder", "elbow", "wrist", "hand")),
    *(f"right_{joint}" for joint in ("shoulder", "elbow", "wrist", "hand")),
    *(f"left_{joint}" for joint in ("hip", "knee", "ankle", "foot")),
    *(f"right_{joint}" for joint in ("hip", "knee", "ankle", "foot")),
)
FRAMES = 10  # of a clip, evenly spread
SIDE = 40  # pixels
REACH = 600.0  # mm before and behind the body that the scale of depth covers

_CLIP = re.compile(r"(a(\d+)_s(\d)_t\d)_[a-z]+\.mat")
_LARGEST = 2**28  # numbers in a file; a minute of depth frames is half of it


DOWNLOADS.add(
    "utd_mhad",
    Download(
        page="https://personal.utdallas.edu/~kehtar/UTD-MHAD.html",
        parts=(
            Archive(
                url="https://github.com/woo-chia-wei/kinect-sequence-classification/archive/"
                "65e9b13950d7971c8d1e49e960f6796bd0dc9257.tar.gz",
                path=PUBLISHED,
                inside="[^/]+/data/",
                members=r"(?:Depth|Inertial|Skeleton)/a(?:\d|1[0-3])_s\d_t\d_[a-z]+\.mat",
                count=3 * 415,
                known=r"[A-Za-z]+/a[346]_s\d_t1_[a-z]+\.mat",
                sha256="40da06d85cf1bf2f12a034bf27f285e87116e98fa082da9dcf374b11fa2a887d",
                size=2**30,
            ),
        ),
    ),
)


@register_dataset("utd_mhad", "depth")
@register_dataset("utd_mhad", "imu")
@register_dataset("utd_mhad", "skeleton")
def utd_mhad(root: Path | None, modality: str) -> DomainSet:
    """UTD-MHAD: 8 people x 13 arm actions, a clip each as depth video, wrist IMU and skeleton, row by row in step.

    Every clip is a row and a recording of its own, stretched to one length whatever its own, so the rate of the IMU is
    nominal. The rows are the same for each modality: the clips of which every folder that is there holds a file.

    - depth: 10 frames evenly spread over the clip as channels, cut to the square around everything that is seen in it,
      40 x 40 bytes: 255 is 0.6 m before the body's median depth, 1 is 0.6 m behind it, 0 is background;
    - imu: accelerometer (g) and gyroscope (degrees/s), 180 samples;
    - skeleton: 20 joints x 3 coordinates (m), 40 samples.

    Licence: for research, citing the paper.
    Citation: C. Chen, R. Jafari, N. Kehtarnavaz, "UTD-MHAD: A multimodal dataset for human action recognition utilizing
        a depth camera and a wearable inertial sensor", International Conference on Image Processing, 2015.
    Source: https://personal.utdallas.edu/~kehtar/UTD-MHAD.html; downloaded from the copy at
        https://github.com/woo-chia-wei/kinect-sequence-classification

    Args:
        root: the folder that holds ``utd-mhad``, or the one that holds ``Depth``, ``Inertial`` and ``Skeleton``.
        modality: depth, imu or skeleton.

    Raises:
        InputError: no clip lies there, a file is damaged or holds something else, or scipy or pillow is missing.
    """
    layout = LAYOUTS[modality]
    folder = find(root, f"{PUBLISHED}/{layout.folder}", "utd_mhad").parent
    clips = _clips(folder)
    if not clips:
        raise InputError(
            f"'{folder}' holds no clip named like {layout.file('a1_s1_t1')} of which every folder there has a file; "
            "give the published folder."
        )
    domains = part(
        samples=np.stack([_sample(layout, folder / layout.file(name)) for name, _, _ in clips]),
        labels=np.array([action for _, action, _ in clips]),
        groups=np.arange(len(clips)),
        domain=np.array([subject for _, _, subject in clips]),
        domain_names=SUBJECTS,
        class_names=ACTIONS,
        recorded=layout.recorded,
    )
    return DomainSet("utd_mhad", modality, domains, ACTIONS)


def depth_frames(clip: np.ndarray) -> np.ndarray:
    """Turns a depth video (height, width, time) in mm, 0 where nothing was seen, into frames (10, 40, 40) of bytes."""
    try:
        from PIL import Image
    except ImportError as error:
        raise missing_library("pillow", "depth") from error

    seen = np.greater(clip, 0)
    if not seen.any():
        raise ValueError("nothing seen")
    flat = clip.ravel(order="K")  # as it lies in memory, which is much faster than clip[seen]
    middle = np.median(flat[flat > 0])
    moments = np.linspace(0, clip.shape[2] - 1, FRAMES).round().astype(int)
    frames = _cut_square(clip[:, :, moments], seen.any(axis=2)).astype(np.float64)
    nearness = np.clip(255 - 254 * (frames - (middle - REACH)) / (2 * REACH), 1, 255)
    levels = np.where(frames > 0, nearness, 0).astype(np.float32)
    pictures = [Image.fromarray(level) for level in levels.transpose(2, 0, 1)]
    small = [np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX)) for picture in pictures]
    return np.stack(small).round().astype(np.uint8)


def _cut_square(frames: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Cuts frames (height, width, time) to the square around what is seen (height, width), with zeros beyond them."""
    spans = [np.flatnonzero(seen.any(axis=axis))[[0, -1]] + (0, 1) for axis in (1, 0)]
    side = int(max(end - start for start, end in spans))
    top, left = (int(start + end - side) // 2 + side for start, end in spans)
    return np.pad(frames, ((side, side), (side, side), (0, 0)))[top : top + side, left : left + side]


def _inertial(clip: np.ndarray) -> np.ndarray:
    return _stretch(clip.T, 180)


def _joints(clip: np.ndarray) -> np.ndarray:
    return _stretch(clip.reshape(-1, clip.shape[-1]), 40)


def _stretch(series: np.ndarray, length: int) -> np.ndarray:
    """Interpolates a recording (channels, time) between its first and last sample to (channels, length)."""
    moments = np.linspace(0, series.shape[1] - 1, length)
    return np.stack([np.interp(moments, np.arange(series.shape[1]), row) for row in series]).astype(np.float16)


@dataclass(frozen=True)
class _Layout:
    """How one modality is stored and what becomes of it.

    Attributes:
        folder: where its files lie.
        variable: what holds the recording in a file.
        axes: sizes of its axes, -1 where every clip has its own.
        build: makes a sample of a recording.
        recorded: the form of the sample.
    """

    folder: str
    variable: str
    axes: tuple[int, ...]
    build: Callable[[np.ndarray], np.ndarray]
    recorded: InputSpec

    def file(self, clip: str) -> str:
        """Path of a clip's file below the folder of the set."""
        return f"{self.folder}/{clip}_{self.folder.lower()}.mat"

    def fits(self, clip: np.ndarray) -> bool:
        """Whether a recording has the published axes and holds finite numbers."""
        fitting = clip.ndim == len(self.axes) and all(
            wanted in (-1, size) for size, wanted in zip(clip.shape, self.axes, strict=True)
        )
        return fitting and clip.dtype.kind in "fiu" and bool(np.isfinite(clip).all())


LAYOUTS = {
    "depth": _Layout(
        "Depth",
        "d_depth",
        (-1, -1, -1),
        depth_frames,
        InputSpec(modality="depth", channels=tuple(f"frame_{number}" for number in range(FRAMES)), shape=(SIDE, SIDE)),
    ),
    "imu": _Layout(
        "Inertial",
        "d_iner",
        (-1, 6),
        _inertial,
        InputSpec(
            modality="imu",
            channels=("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"),
            shape=(180,),
            rate=50.0,
        ),
    ),
    "skeleton": _Layout(
        "Skeleton",
        "d_skel",
        (len(JOINTS), 3, -1),
        _joints,
        InputSpec(
            modality="skeleton", channels=tuple(f"{joint}_{axis}" for joint in JOINTS for axis in "xyz"), shape=(40,)
        ),
    ),
}


def _clips(folder: Path) -> list[tuple[str, int, int]]:
    """Name, action and subject, both from 0, of each clip that all folders there hold, by action, subject and trial."""
    held = []
    for layout in LAYOUTS.values():
        if (folder / layout.folder).is_dir():
            matches = [_CLIP.fullmatch(file.name) for file in (folder / layout.folder).iterdir()]
            held.append({(int(m[2]), int(m[3]), m[1]) for m in matches if m})
    return [
        (name, action - 1, subject - 1)
        for action, subject, name in sorted(set.intersection(*held))
        if 1 <= action <= len(ACTIONS) and 1 <= subject <= len(SUBJECTS)
    ]


def _sample(layout: _Layout, path: Path) -> np.ndarray:
    """Reads the sample of one clip.

    Raises:
        InputError: the file is damaged, or does not hold the recording in its published form.
    """
    try:
        from scipy.io import loadmat, whosmat
    except ImportError as error:
        raise missing_library("scipy", "depth") from error

    try:
        shapes = {name: shape for name, shape, _ in whosmat(path)}
        if math.prod(shapes[layout.variable]) > _LARGEST:
            raise ValueError(f"shape {shapes[layout.variable]}")
        clip = loadmat(path, variable_names=[layout.variable])[layout.variable]
        if not layout.fits(clip):
            raise ValueError(f"{clip.dtype}, shape {clip.shape}")
        return layout.build(clip)
    except InputError:
        raise
    # A damaged MATLAB file can raise nearly anything.
    except Exception as error:
        raise InputError(
            f"'{path}' is damaged or holds no recording '{layout.variable}' of UTD-MHAD ({error}); get it anew."
        ) from error
