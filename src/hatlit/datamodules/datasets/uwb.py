"""Standing or walking, told by the ranging errors of ultra-wideband radios."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from hatlit.datamodules.base import DomainSet, register_dataset
from hatlit.datamodules.datasets.common import find, part
from hatlit.datamodules.datasets.download import DOWNLOADS, Archive, Download
from hatlit.datamodules.datasets.tables import read_table
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError

PUBLISHED = "uwb_dataset"
CLASSES = ("static", "walk")
PLACES = ("parking", "corridor", "room")
#: 50 ranging errors (ten seconds at 5 Hz) scaled to lie between 0 and 1; then their maximum, minimum, mean and standard
#: deviation in metres before they were scaled, and a count as a share of 50.
RECORD = 55

_FILE_NAME = re.compile(rf"({'|'.join(PLACES)})_(\d+)_({'|'.join(CLASSES)})_add\.txt")


DOWNLOADS.add(
    "uwb",
    Download(
        page="https://github.com/xmouyang/FL-Datasets-for-HAR",
        parts=(
            Archive(
                url="https://github.com/xmouyang/FL-Datasets-for-HAR/raw/7793f17/datasets/UWB/uwb_dataset.zip",
                path=PUBLISHED,
                inside="(?:.*/)?",
                members=r"(?:parking_[23]|(?:corridor|room)_[123])_(?:static|walk)_add\.txt",
                count=16,
                sha256="89bc94b2ba0b7f2e15fe90af48ad36a5bcefe6da15c74adfac456b3c61cb0124",
                size=2**24,
                text=True,
            ),
        ),
    ),
)


@register_dataset("uwb", "radar")
def uwb(root: Path | None, modality: str) -> DomainSet:
    """UWB: 8 sites in a car park, a corridor and a room x static or walking, ranging errors between radios.

    Each record is one series (1, 55): 50 errors and five numbers about them. It has no rate, for the last five are no
    moments.

    Licence: MIT.
    Citation: X. Ouyang, Z. Xie, J. Zhou, J. Huang, G. Xing, "ClusterFL: A Similarity-Aware Federated Learning System
        for Human Activity Recognition", International Conference on Mobile Systems, Applications, and Services, 2021.
    Source: https://github.com/xmouyang/FL-Datasets-for-HAR

    Args:
        root: the folder that holds ``uwb_dataset``, or that folder itself.
        modality: radar.

    Raises:
        InputError: no record lies there, or a row is not 55 numbers.
    """
    folder = find(root, PUBLISHED, "uwb")
    matches = [match for file in folder.iterdir() if (match := _FILE_NAME.fullmatch(file.name))]
    matches.sort(key=lambda match: (PLACES.index(match[1]), int(match[2]), match[3]))
    tables = [read_table(folder / match[0], RECORD).astype(np.float32) for match in matches]
    if not sum(map(len, tables)):
        raise InputError(f"'{folder}' holds no record named like parking_2_static_add.txt; give the published folder.")
    file = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    sites = list(dict.fromkeys(f"{match[1]}_{match[2]}" for match in matches))
    domains = part(
        samples=np.concatenate(tables)[:, None],
        labels=np.array([CLASSES.index(match[3]) for match in matches])[file],
        groups=np.arange(len(file)),
        domain=np.array([sites.index(f"{match[1]}_{match[2]}") for match in matches])[file],
        domain_names=sites,
        class_names=CLASSES,
        recorded=InputSpec(modality=modality, channels=("ranging_error",), shape=(RECORD,)),
    )
    return DomainSet("uwb", modality, domains, CLASSES)
