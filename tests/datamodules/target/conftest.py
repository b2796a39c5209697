"""What tests of a target share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hatlit.config import LabelsConfig
from hatlit.datamodules.base import Domain
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.target.data import TargetData
from hatlit.encoders.base import InputSpec


def _make_target(seed=0, per_class=2, classes=(0, 2)):
    rng = np.random.default_rng(seed)
    rows = 60
    labels = np.array(classes)[np.arange(rows) % len(classes)]
    recorded = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(16,), rate=20.0)
    samples = rng.normal(size=(rows, 3, 16)).astype(np.float32)
    domain = Domain("someone", samples, labels, np.arange(rows), recorded, ("walk", "run", "sit"))
    return TargetData(domain, split_domain(domain, LabelsConfig(per_class=per_class), seed))


@pytest.fixture(scope="session")
def make_target() -> Callable[..., TargetData]:
    """Returns a function that makes a target of noise with a few labels a class."""
    return _make_target
