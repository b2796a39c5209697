from __future__ import annotations

import numpy as np
import pytest

from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.synthetic.imu import ACTIVITIES, CHANNELS, RATES, _rotations, _sense


def features(domain: Domain, rows: np.ndarray) -> np.ndarray:
    """Mean, spread and roughness of each channel, (rows, 18); they do not depend on the rate."""
    samples = domain.samples[rows].astype(np.float64)
    change = np.abs(np.diff(samples, axis=2)).mean(2) * domain.recorded.rate
    return np.concatenate([samples.mean(2), np.log(samples.std(2)), np.log(change)], axis=1)


def test_what_the_fleet_looks_like(demo: DomainSet) -> None:
    assert demo.class_names == ACTIVITIES
    assert {domain.recorded.rate for domain in demo.domains} == set(RATES)
    for domain in demo.domains:
        assert domain.samples.shape == (216, 6, round(2.56 * domain.recorded.rate))
        assert domain.samples.dtype == np.float32
        assert np.isfinite(domain.samples).all()
        assert domain.recorded.channels == CHANNELS
        assert domain.recorded.shape == domain.samples.shape[2:]
        assert np.bincount(domain.labels).tolist() == [36] * 6
        assert all(len(set(domain.labels[domain.groups == group])) == 1 for group in set(domain.groups))


def test_gravity_is_felt_at_rest(demo: DomainSet) -> None:
    for domain in demo.domains:
        still = domain.samples[domain.labels == ACTIVITIES.index("rest"), :3].mean(2)
        assert np.linalg.norm(still, axis=1).mean() == pytest.approx(9.81, rel=0.1)


def test_accelerometer_and_gyroscope_feel_one_rigid_motion() -> None:
    clock = 100.0
    time = np.arange(400) / clock
    angles = np.stack([0.3 * np.sin(5 * time), 0.8 * np.cos(3 * time), 0.5 * np.sin(4 * time + 1)])
    acceleration = np.stack([np.sin(time), np.cos(2 * time), np.sin(7 * time)])
    force, turning = _sense(angles[None], acceleration[None])

    def turned(axis: int, angle: float) -> np.ndarray:
        return _rotations(angle * np.eye(3)[axis] + 1e-12)

    pose = np.stack([turned(2, yaw) @ turned(1, pitch) @ turned(0, roll) for roll, pitch, yaw in angles.T])
    felt = np.einsum("tji,jt->it", pose, acceleration + np.array([[0.0], [0.0], [9.81]]))
    np.testing.assert_allclose(force[0], felt, atol=1e-6)
    spin = np.einsum("tji,tjk->tik", pose, np.gradient(pose, 1 / clock, axis=0))  # skew matrix of the angular rate
    rate = np.stack([spin[:, 2, 1], spin[:, 0, 2], spin[:, 1, 0]])
    np.testing.assert_allclose(turning[0][:, 2:-2], rate[:, 2:-2], atol=0.01)


def test_some_samples_are_held(demo: DomainSet) -> None:
    held = [(np.diff(domain.samples, axis=2) == 0).all(1).mean() for domain in demo.domains]
    assert max(held) > 0.03
    assert max(held) < 0.12


def test_a_real_transfer_problem(demo: DomainSet, transfer, nearest_centroid) -> None:
    def scaled(known: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> np.ndarray:
        return nearest_centroid(known / known.std(0), labels, seen / known.std(0))

    accuracy = transfer(demo.domains[:12], features, scaled)
    others = np.ma.masked_array(accuracy, np.eye(len(accuracy), dtype=bool))
    assert accuracy.diagonal().mean() > 0.85
    assert others.mean() < 0.65
    assert others.max(0).mean() - others.mean() > 0.15, "it must matter whom one learns from"
