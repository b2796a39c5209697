"""Benchmarks are programs beside the package, which import each other by their bare names."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Returns a function that imports a benchmark."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module
