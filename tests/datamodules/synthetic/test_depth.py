from __future__ import annotations

import numpy as np
import pytest

from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.synthetic.depth import GESTURES, VIEW, _surface, _turns


def features(domain: Domain, rows: np.ndarray) -> np.ndarray:
    """Where something lies near the nearest measured distance, averaged over two by two pixels, (rows, 256)."""
    samples = domain.samples[rows, 0].astype(np.float64)
    nearest = np.array([np.percentile(one[one > 0], 5) for one in samples])[:, None, None]
    near = ((samples > 0) & (samples < nearest + 70)).astype(np.float64)
    near = near.reshape(-1, 16, 2, 16, 2).mean((2, 4)).reshape(-1, 256)
    return near / (np.linalg.norm(near, axis=1, keepdims=True) + 1e-9)


def test_what_the_fleet_looks_like(demo: DomainSet) -> None:
    assert demo.class_names == GESTURES
    for domain in demo.domains:
        assert domain.samples.shape == (168, 1, 32, 32)
        assert domain.samples.dtype == np.uint16
        assert np.bincount(domain.labels).tolist() == [24] * 7
        assert np.bincount(domain.groups).tolist() == [3] * 56
        measured = domain.samples[domain.samples > 0]
        assert 250 < measured.min() < measured.max() < 1200, "millimetres"


def test_some_rooms_have_a_wall_and_every_camera_has_holes(demo: DomainSet) -> None:
    holes = np.array([(domain.samples == 0).mean() for domain in demo.domains])
    assert (holes > 0.6).any()
    assert (holes < 0.1).any()
    assert (holes > 0).all()


def test_a_ball_looks_like_one() -> None:
    seen = _surface(np.array([[[0.0, 0.0, 400.0]]]), np.array([20.0]))[0]
    middle = seen[15:17, 15:17]
    beside = VIEW * 400 / 32  # mm from the axis to the middle of the nearest pixels
    np.testing.assert_allclose(middle, 400 - np.sqrt(400 - 2 * beside**2))
    assert np.isinf(seen[0, 0])
    area = np.isfinite(seen).sum() * (2 * VIEW * 400 / 32) ** 2
    assert area == pytest.approx(np.pi * 400, rel=0.1)


def test_twice_as_far_is_half_as_large() -> None:
    sizes = [np.isfinite(_surface(np.array([[[0.0, 0.0, away]]]), np.array([40.0]))).sum() for away in (400.0, 800.0)]
    assert sizes[0] / sizes[1] == pytest.approx(4, rel=0.1)


def test_turns_are_rotations() -> None:
    turned = _turns(np.random.default_rng(0).normal(size=(5, 3)))
    np.testing.assert_allclose(turned @ turned.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (5, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turned), 1)
    quarter = _turns(np.array([[0.0, 0.0, np.pi / 2]]))[0]
    np.testing.assert_allclose(quarter @ [1, 0, 0], [0, 1, 0], atol=1e-12)  # what points right points down


def test_a_real_transfer_problem(demo: DomainSet, transfer) -> None:
    accuracy = transfer(demo.domains, features, lambda known, labels, seen: labels[(seen @ known.T).argmax(1)])
    others = np.ma.masked_array(accuracy, np.eye(len(accuracy), dtype=bool))
    assert accuracy.diagonal().mean() > others.mean() + 0.2
    assert others.max(0).mean() - others.mean() > 0.15, "it must matter whom one learns from"
