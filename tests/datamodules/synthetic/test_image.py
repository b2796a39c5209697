from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hatlit.config import LabelsConfig
from hatlit.datamodules.base import DATASETS, Domain, DomainSet
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.synthetic.image import SIGNS, _distance, build_fleet
from hatlit.errors import InputError


@pytest.fixture(scope="module")
def demo() -> DomainSet:
    return DATASETS.get("demo", "image")(None, "image")


def features(domain: Domain, rows: np.ndarray) -> np.ndarray:
    """Brightness averaged over two by two pixels, (rows, 196), standardised picture by picture."""
    grey = domain.samples[rows].astype(np.float64).mean(1).reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(-1, 196)
    return (grey - grey.mean(1, keepdims=True)) / grey.std(1, keepdims=True)


def nearest_neighbours(domains: Sequence[Domain]) -> np.ndarray:
    """Accuracy (sources, targets) on a target's test rows of the nearest of a source's training rows."""
    splits = [split_domain(domain, LabelsConfig(), 0) for domain in domains]
    known = [features(domain, split.train) for domain, split in zip(domains, splits, strict=True)]
    asked = [features(domain, split.test) for domain, split in zip(domains, splits, strict=True)]
    learned = [domain.labels[split.train] for domain, split in zip(domains, splits, strict=True)]
    true = [domain.labels[split.test] for domain, split in zip(domains, splits, strict=True)]
    fleet = range(len(domains))
    return np.array([[(learned[s][(asked[t] @ known[s].T).argmax(1)] == true[t]).mean() for t in fleet] for s in fleet])


def test_what_the_fleet_looks_like(demo: DomainSet) -> None:
    assert demo.is_demo
    assert demo.names == [f"demo-{number:02d}" for number in range(1, 13)]
    assert demo.class_names == SIGNS
    for domain in demo.domains:
        assert domain.samples.shape == (168, 3, 28, 28)
        assert domain.samples.dtype == np.uint8
        assert domain.recorded.channels == ("red", "green", "blue")
        assert np.bincount(domain.labels).tolist() == [24] * 7
        assert np.bincount(domain.groups).tolist() == [3] * 56
        assert all(len(set(domain.labels[domain.groups == group])) == 1 for group in set(domain.groups))


def test_same_seed_same_fleet() -> None:
    few, more = build_fleet(1, seed=3), build_fleet(2, seed=3)
    assert few[0].fingerprint == more[0].fingerprint
    assert few[0].fingerprint != build_fleet(1, seed=4)[0].fingerprint


def test_is_quick_to_build() -> None:
    start = time.process_time()
    build_fleet()
    assert time.process_time() - start < 4


def test_distance_to_a_stroke() -> None:
    stroke = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    points = np.array([[0.5, 0.3], [-3.0, 4.0], [1.2, 0.5], [0.8, 0.9]])
    np.testing.assert_allclose(_distance(points, [stroke]), [0.3, 5.0, 0.2, 0.2], atol=1e-12)


def test_a_real_transfer_problem(demo: DomainSet) -> None:
    accuracy = nearest_neighbours(demo.domains)
    others = np.ma.masked_array(accuracy, np.eye(len(accuracy), dtype=bool))
    assert accuracy.diagonal().mean() > others.mean() + 0.25
    assert others.max(0).mean() - others.mean() > 0.15, "it must matter whom one learns from"


def test_reads_no_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data\.name"):
        DATASETS.get("demo", "image")(tmp_path, "image")
