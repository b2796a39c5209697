"""What tests of the demo fleets share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from hatlit.config import LabelsConfig
from hatlit.datamodules.base import DATASETS, Domain, DomainSet
from hatlit.datamodules.split import split_domain

Features = Callable[[Domain, np.ndarray], np.ndarray]
Classify = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def demo(request: pytest.FixtureRequest) -> DomainSet:
    """The fleet of the modality that the test file is named after."""
    modality = request.module.__name__.rpartition("test_")[2]
    return DATASETS.get("demo", modality)(None, modality)


def _transfer(domains: Sequence[Domain], features: Features, classify: Classify) -> np.ndarray:
    """Accuracy (sources, targets) on a target's test rows of what ``classify`` learns from a source's training rows.

    ``features(domain, rows)`` are (rows, F); ``classify(known, labels, seen)`` returns the labels of what is seen.
    """
    splits = [split_domain(domain, LabelsConfig(), 0) for domain in domains]
    known = [features(domain, split.train) for domain, split in zip(domains, splits, strict=True)]
    seen = [features(domain, split.test) for domain, split in zip(domains, splits, strict=True)]
    table = [
        [(classify(known[s], domains[s].labels[splits[s].train], seen[t]) == true).mean() for s in range(len(domains))]
        for t, true in enumerate(domain.labels[split.test] for domain, split in zip(domains, splits, strict=True))
    ]
    return np.array(table).T


@pytest.fixture(scope="session")
def transfer() -> Callable[[Sequence[Domain], Features, Classify], np.ndarray]:
    """Returns a function that measures how well each domain serves each other one."""
    return _transfer


def _nearest_centroid(known: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> np.ndarray:
    centroids = np.stack([known[labels == number].mean(0) for number in range(labels.max() + 1)])
    distance = ((seen**2).sum(1)[:, None] - 2 * seen @ centroids.T) + (centroids**2).sum(1)
    return distance.argmin(1)


@pytest.fixture(scope="session")
def nearest_centroid() -> Classify:
    """The class whose mean is nearest."""
    return _nearest_centroid
