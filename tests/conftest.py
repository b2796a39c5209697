"""What tests of every part share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data_root() -> Path:
    """The folder of real data sets: HATLIT_DATA, by default ``../shared/data`` beside the repository."""
    root = Path(os.environ.get("HATLIT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"no real data at {root}; set HATLIT_DATA to its folder")
    return root
