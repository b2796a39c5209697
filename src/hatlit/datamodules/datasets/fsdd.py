"""Spoken digits, one short recording a word."""

from __future__ import annotations

import re
import wave
from pathlib import Path

import numpy as np

from hatlit.datamodules.base import DomainSet, register_dataset
from hatlit.datamodules.datasets.common import find, part
from hatlit.datamodules.datasets.download import DOWNLOADS, Archive, Download
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError, reason_of

PUBLISHED = "free-spoken-digit-dataset/recordings"
RATE = 8000  # Hz
LENGTH = 8000  # samples, one second
DIGITS = tuple("0123456789")

_FILE_NAME = re.compile(r"(\d)_([a-z]+)_(\d+)\.wav")


DOWNLOADS.add(
    "fsdd",
    Download(
        page="https://github.com/Jakobovski/free-spoken-digit-dataset",
        parts=(
            Archive(
                url="https://github.com/Jakobovski/free-spoken-digit-dataset/archive/26eb9aa.tar.gz",
                path="recordings",
                inside="[^/]+/recordings/",
                members=_FILE_NAME.pattern,
                count=3000,
                known=r"\d_[a-z]+_(?:\d|1[0-4])\.wav",
                sha256="6d18dc4ae6c90316e0f0b25bdab74ffa8acdd67280e7fa9661cba4959f8ad643",
                size=2**27,
            ),
        ),
    ),
)


@register_dataset("fsdd", "audio")
def fsdd(root: Path | None, modality: str) -> DomainSet:
    """FSDD: the Free Spoken Digit Dataset, 6 speakers x 10 digits, microphone at 8 kHz, a second a word.

    Words are brought to one second: silence is put around shorter ones, and of longer ones the first second is kept.
    Takes 0 to 4 of each speaker and digit are the published test part; they are read like all others.

    Licence: CC BY-SA 4.0.
    Citation: Z. Jackson, C. Souza, J. Flaks, Y. Pan, H. Nicolas, A. Thite, "Free Spoken Digit Dataset", Zenodo, 2018,
        doi:10.5281/zenodo.1342401.
    Source: https://github.com/Jakobovski/free-spoken-digit-dataset

    Args:
        root: the folder that holds ``recordings``, or that folder itself.
        modality: audio.

    Raises:
        InputError: no recording lies there, or a file is no mono 16-bit recording at 8 kHz.
    """
    folder = find(root, PUBLISHED, "fsdd")
    names = (_FILE_NAME.fullmatch(file.name) for file in sorted(folder.glob("*.wav")))
    takes = sorted((match for match in names if match), key=lambda match: (match[2], match[1], match[0]))
    if not takes:
        raise InputError(f"'{folder}' holds no recording named like 7_jackson_32.wav; give the published folder.")
    speakers = sorted({take[2] for take in takes})
    domains = part(
        samples=np.stack([_read(folder / take[0]) for take in takes])[:, None],
        labels=np.array([DIGITS.index(take[1]) for take in takes]),
        groups=np.arange(len(takes)),
        domain=np.array([speakers.index(take[2]) for take in takes]),
        domain_names=speakers,
        class_names=DIGITS,
        recorded=InputSpec(modality=modality, channels=("microphone",), shape=(LENGTH,), rate=float(RATE)),
    )
    return DomainSet("fsdd", modality, domains, DIGITS)


def _read(file: Path) -> np.ndarray:
    """Reads one word (LENGTH,) int16.

    Raises:
        InputError: the file is damaged, or recorded in another way.
    """
    try:
        with wave.open(str(file)) as opened:
            form = (opened.getnchannels(), 8 * opened.getsampwidth(), opened.getframerate())
            content = opened.readframes(opened.getnframes())
    except (wave.Error, EOFError, OSError) as error:
        raise InputError(
            f"'{file}' is not a readable wav file: {reason_of(error) if str(error) else 'it ends too early'}."
        ) from error
    if form != (1, 16, RATE):
        raise InputError(
            f"'{file}' has {form[0]} channels of {form[1]} bits at {form[2]} Hz; "
            f"this data set is one channel of 16 bits at {RATE} Hz."
        )
    if not content:
        raise InputError(f"'{file}' holds no sound; download it again.")
    return _one_second(np.frombuffer(content[: len(content) // 2 * 2], dtype="<i2").astype(np.int16))


def _one_second(word: np.ndarray) -> np.ndarray:
    """Cuts a word (time,) off at ``LENGTH`` samples, or puts zeros around it."""
    missing = max(0, LENGTH - len(word))
    return np.pad(word[:LENGTH], (missing // 2, missing - missing // 2))
