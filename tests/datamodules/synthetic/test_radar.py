from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from hatlit.config import LabelsConfig
from hatlit.datamodules.base import DATASETS, Domain, DomainSet
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.synthetic.radar import (
    GESTURES,
    MAPS,
    RATE,
    _echoes,
    _enter,
    _out_and_back,
    _perform,
    _Person,
    build_fleet,
)
from hatlit.errors import InputError


@pytest.fixture(scope="module")
def demo() -> DomainSet:
    return DATASETS.get("demo", "radar")(None, "radar")


def nearest_centroid(source: Domain, target: Domain) -> float:
    """Accuracy on the target's test rows of the nearest centroid of the source's training rows; maps are blurred."""
    train, test = split_domain(source, LabelsConfig(), 0).train, split_domain(target, LabelsConfig(), 0).test
    known, seen = (
        np.sqrt(domain.samples[rows].reshape(len(rows), 4, 8, 2, 8, 3).mean((3, 5))).reshape(len(rows), -1)
        for domain, rows in ((source, train), (target, test))
    )
    centroids = np.stack([known[source.labels[train] == number].mean(0) for number in range(len(GESTURES))])
    distance = ((seen[:, None] - centroids) ** 2).sum(2)
    return float((distance.argmin(1) == target.labels[test]).mean())


def test_what_the_fleet_looks_like(demo: DomainSet) -> None:
    assert demo.is_demo
    assert demo.names == [f"demo-{number:02d}" for number in range(1, 13)]
    assert demo.class_names == GESTURES
    for domain in demo.domains:
        assert domain.samples.shape == (180, 4, 16, 24)
        assert domain.samples.dtype == np.uint8
        assert domain.recorded.channels == tuple(MAPS)
        assert (domain.recorded.axes, domain.recorded.shape) == (("bin", "time"), (16, 24))
        assert domain.recorded.rate == 10.0
        assert np.bincount(domain.labels).tolist() == [30] * 6
        assert all(len(set(domain.labels[domain.groups == group])) == 1 for group in set(domain.groups))


def test_same_seed_same_fleet() -> None:
    few, more = build_fleet(2, seed=3), build_fleet(4, seed=3)
    assert [domain.fingerprint for domain in few] == [domain.fingerprint for domain in more[:2]]
    assert few[0].fingerprint != build_fleet(1, seed=4)[0].fingerprint


def test_is_quick_to_build() -> None:
    start = time.process_time()
    build_fleet()
    assert time.process_time() - start < 3


def test_there_and_back_again() -> None:
    phase = np.linspace(0, 1, 101)
    way = _out_and_back(phase, 0.3)
    assert way[[0, 30, 100]] == pytest.approx([0, 1, 0])
    assert (np.diff(way[:31]) > 0).all()
    assert (np.diff(way[30:]) < 0).all()


def test_doppler_is_the_speed_at_which_an_arm_comes_closer() -> None:
    site = replace(_enter(2.0, np.random.default_rng(0)), facing=0.0)
    seconds = np.arange(10) / RATE
    towards, aside = np.zeros((10, 1, 3)), np.zeros((10, 1, 3))
    towards[:, 0, 1] = 0.5 * seconds
    aside[:, 0, 0] = 0.5 * (seconds - seconds.mean())
    found, chance = _echoes(towards, site)
    np.testing.assert_allclose(found[:, 0], np.stack([0 * seconds, -0.5 * seconds, 0 * seconds, 0 * seconds + 0.5], 1))
    across, rarely = _echoes(aside, site)
    assert np.abs(across[..., 3]).max() < 0.06, "what moves across the line of sight has no Doppler"
    assert rarely.max() < chance.min(), "and is found less often"


def test_a_left_hand_mirrors_a_right_one() -> None:
    gestures = len(GESTURES)
    person = _Person(
        1, 0.7, np.array([0.3, 0.0, 0.0]), 1.5, np.stack([np.eye(3)] * gestures), np.zeros((gestures, 2, 3))
    )
    site = replace(_enter(1.2, np.random.default_rng(0)), facing=0.0, haunted=np.zeros(3))
    right, left = (
        _perform(replace(person, hand=hand), site, GESTURES.index("swipe"), np.random.default_rng(1)).mean((0, 3))[0]
        for hand in (1, -1)
    )
    middle = np.arange(16) - 7.5
    assert (right * middle).sum() / right.sum() == pytest.approx(-(left * middle).sum() / left.sum(), abs=0.5)
    assert (right * middle).sum() / right.sum() > 0.5


def test_echoes_grow_fewer_with_distance(demo: DomainSet) -> None:
    filled = np.array([(domain.samples > 0).mean() for domain in demo.domains]).reshape(-1, 3)
    assert (filled[:, 0] > filled[:, 2]).all()
    assert 0.05 < filled.min() < filled.max() < 0.25


def test_a_real_transfer_problem(demo: DomainSet) -> None:
    accuracy = np.array([[nearest_centroid(source, target) for target in demo.domains] for source in demo.domains])
    own = np.eye(len(accuracy), dtype=bool)
    others = np.ma.masked_array(accuracy, own)
    assert accuracy[own].mean() > 0.85
    assert others.mean() < 0.6
    assert others.max(0).mean() - others.mean() > 0.2, "it must matter whom one learns from"


def test_reads_no_files(tmp_path) -> None:
    with pytest.raises(InputError, match=r"--data\.name"):
        DATASETS.get("demo", "radar")(tmp_path, "radar")
