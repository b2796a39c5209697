from __future__ import annotations

import numpy as np

from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.synthetic.image import SIGNS, _distance


def features(domain: Domain, rows: np.ndarray) -> np.ndarray:
    """Brightness averaged over two by two pixels, (rows, 196), standardised picture by picture."""
    grey = domain.samples[rows].astype(np.float64).mean(1).reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(-1, 196)
    return (grey - grey.mean(1, keepdims=True)) / grey.std(1, keepdims=True)


def test_what_the_fleet_looks_like(demo: DomainSet) -> None:
    assert demo.class_names == SIGNS
    for domain in demo.domains:
        assert domain.samples.shape == (168, 3, 28, 28)
        assert domain.samples.dtype == np.uint8
        assert domain.recorded.channels == ("red", "green", "blue")
        assert np.bincount(domain.labels).tolist() == [24] * 7
        assert np.bincount(domain.groups).tolist() == [3] * 56
        assert all(len(set(domain.labels[domain.groups == group])) == 1 for group in set(domain.groups))


def test_distance_to_a_stroke() -> None:
    stroke = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    points = np.array([[0.5, 0.3], [-3.0, 4.0], [1.2, 0.5], [0.8, 0.9]])
    np.testing.assert_allclose(_distance(points, [stroke]), [0.3, 5.0, 0.2, 0.2], atol=1e-12)


def test_a_real_transfer_problem(demo: DomainSet, transfer) -> None:
    accuracy = transfer(demo.domains, features, lambda known, labels, seen: labels[(seen @ known.T).argmax(1)])
    others = np.ma.masked_array(accuracy, np.eye(len(accuracy), dtype=bool))
    assert accuracy.diagonal().mean() > others.mean() + 0.25
    assert others.max(0).mean() - others.mean() > 0.15, "it must matter whom one learns from"
