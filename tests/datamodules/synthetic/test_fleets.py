"""What holds for the demo fleet of every modality."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from hatlit.datamodules.base import DATASETS
from hatlit.errors import InputError

MODALITIES = ("image", "audio", "imu", "text", "depth", "radar")


@pytest.mark.parametrize("modality", MODALITIES)
def test_domains_are_named_balanced_and_grouped_by_label(modality: str) -> None:
    fleet = DATASETS.get("demo", modality)(None, modality)
    assert fleet.is_demo
    assert fleet.names == [f"demo-{number:02d}" for number in range(1, len(fleet.domains) + 1)]
    assert len(fleet.domains) >= 12
    for domain in fleet.domains:
        assert domain.class_names == fleet.class_names
        assert len(set(np.bincount(domain.labels))) == 1
        assert np.bincount(domain.groups).min() > 0


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_seed_says_who_is_in_the_fleet_however_many_are_asked_for(modality: str) -> None:
    build_fleet = import_module(f"hatlit.datamodules.synthetic.{modality}").build_fleet
    few, more = build_fleet(2, seed=3), build_fleet(4, seed=3)
    assert [domain.fingerprint for domain in few] == [domain.fingerprint for domain in more[:2]]
    assert few[0].fingerprint != build_fleet(1, seed=4)[0].fingerprint


@pytest.mark.parametrize("modality", MODALITIES)
def test_reads_no_files(tmp_path: Path, modality: str) -> None:
    with pytest.raises(InputError, match=r"simulated and reads no files.*--data\.name"):
        DATASETS.get("demo", modality)(tmp_path, modality)
