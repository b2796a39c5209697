"""Small sources for the tests of the zoo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hatlit.encoders.base import Classifier, InputSpec, build_classifier
from hatlit.zoo.card import Statistic, StatisticsSpec, Training, ZooInfo
from hatlit.zoo.store import Zoo

SPEC = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(16,), rate=20.0)


def _model(seed: int = 0) -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_classifier("cnn_nano", SPEC, 2)


def _source(seed: int = 0) -> dict[str, Any]:
    model = _model(seed)
    rng = np.random.default_rng(seed)
    centroid = tuple(rng.normal(size=model.feature_dim).tolist())
    return {
        "model": model,
        "domain": "kitchen",
        "dataset": "demo",
        "encoder": "cnn_nano",
        "class_names": ("sit", "walk"),
        "statistics": {"moments": Statistic.of(rng.normal(size=4), rng.random(4))},
        "centroids": (centroid, None),
        "accuracy": 0.75,
        "num_samples": 40,
        "training": Training(max_epochs=3, seed=seed, labels=40),
    }


@pytest.fixture
def info() -> ZooInfo:
    return ZooInfo(modality="imu", statistics=StatisticsSpec(names=("moments",), view=SPEC, seed=0))


@pytest.fixture
def make_source() -> Callable[..., dict[str, Any]]:
    """Everything that ``Zoo.add`` takes but the id, drawn from a seed."""
    return _source


@pytest.fixture
def zoo(tmp_path: Path, info: ZooInfo) -> Zoo:
    return Zoo.create(tmp_path / "zoo", info)


@pytest.fixture
def view() -> torch.Tensor:
    return torch.randn(5, 3, 16, generator=torch.Generator().manual_seed(0))
