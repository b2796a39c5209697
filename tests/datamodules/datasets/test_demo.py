from __future__ import annotations

import pkgutil
from pathlib import Path

import pytest

from hatlit.datamodules import synthetic
from hatlit.datamodules.base import DATASETS, MODALITIES
from hatlit.errors import InputError

MODALITIES_WITH_DEMO = [
    module.name for module in pkgutil.iter_modules(synthetic.__path__) if module.name in MODALITIES.names()
]


def test_imu_has_a_demo() -> None:
    assert "imu" in MODALITIES_WITH_DEMO


@pytest.mark.parametrize("modality", MODALITIES_WITH_DEMO)
def test_each_simulated_modality_is_registered_and_reads_no_files(modality: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="simulated and reads no files"):
        DATASETS.get("demo", modality)(tmp_path, modality)
