from __future__ import annotations

import time

import numpy as np
import pytest

from hatlit.config import LabelsConfig
from hatlit.datamodules.base import DATASETS, Domain, DomainSet
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.synthetic.imu import ACTIVITIES, CHANNELS, RATES, _rotations, _sense, build_fleet
from hatlit.errors import InputError


@pytest.fixture(scope="module")
def demo() -> DomainSet:
    return DATASETS.get("demo", "imu")(None, "imu")


def features(domain: Domain, rows: np.ndarray) -> np.ndarray:
    """Mean, spread and roughness of each channel, (rows, 18); they do not depend on the rate."""
    samples = domain.samples[rows].astype(np.float64)
    change = np.abs(np.diff(samples, axis=2)).mean(2) * domain.recorded.rate
    return np.concatenate([samples.mean(2), np.log(samples.std(2)), np.log(change)], axis=1)


def nearest_centroid(source: Domain, target: Domain) -> float:
    """Accuracy on the target's test rows of a nearest-centroid classifier fitted on the source's training rows."""
    train, test = split_domain(source, LabelsConfig(), 0).train, split_domain(target, LabelsConfig(), 0).test
    known, seen = features(source, train), features(target, test)
    centroids = np.stack([known[source.labels[train] == number].mean(0) for number in range(len(ACTIVITIES))])
    spread = known.std(0)
    distance = (((seen[:, None] - centroids) / spread) ** 2).sum(2)
    return float((distance.argmin(1) == target.labels[test]).mean())


def test_what_the_fleet_looks_like(demo: DomainSet) -> None:
    assert demo.is_demo
    assert demo.names == [f"demo-{number:02d}" for number in range(1, 25)]
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


def test_same_seed_same_fleet() -> None:
    few, more = build_fleet(2, seed=3), build_fleet(4, seed=3)
    assert [domain.fingerprint for domain in few] == [domain.fingerprint for domain in more[:2]]
    assert few[0].fingerprint != build_fleet(1, seed=4)[0].fingerprint


def test_is_quick_to_build() -> None:
    start = time.process_time()
    build_fleet()
    assert time.process_time() - start < 3


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


def test_a_real_transfer_problem(demo: DomainSet) -> None:
    accuracy = np.array(
        [[nearest_centroid(source, target) for target in demo.domains[:12]] for source in demo.domains[:12]]
    )
    own = np.eye(len(accuracy), dtype=bool)
    others = np.ma.masked_array(accuracy, own)
    assert accuracy[own].mean() > 0.85
    assert others.mean() < 0.65
    assert others.max(0).mean() - others.mean() > 0.15, "it must matter whom one learns from"


def test_reads_no_files(tmp_path) -> None:
    with pytest.raises(InputError, match=r"--data\.name"):
        DATASETS.get("demo", "imu")(tmp_path, "imu")
