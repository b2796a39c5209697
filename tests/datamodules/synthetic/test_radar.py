from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.synthetic.radar import (
    GESTURES,
    MAPS,
    RATE,
    _echoes,
    _enter,
    _out_and_back,
    _perform,
    _Person,
)


def test_what_the_fleet_looks_like(demo: DomainSet) -> None:
    assert demo.class_names == GESTURES
    for domain in demo.domains:
        assert domain.samples.shape == (180, 4, 16, 24)
        assert domain.samples.dtype == np.uint8
        assert domain.recorded.channels == tuple(MAPS)
        assert (domain.recorded.axes, domain.recorded.shape) == (("bin", "time"), (16, 24))
        assert domain.recorded.rate == 10.0
        assert np.bincount(domain.labels).tolist() == [30] * 6
        assert all(len(set(domain.labels[domain.groups == group])) == 1 for group in set(domain.groups))


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


def blurred(domain: Domain, rows: np.ndarray) -> np.ndarray:
    """Square roots of the maps, averaged over two bins and three frames, (rows, 256)."""
    return np.sqrt(domain.samples[rows].reshape(len(rows), 4, 8, 2, 8, 3).mean((3, 5))).reshape(len(rows), -1)


def test_a_real_transfer_problem(demo: DomainSet, transfer, nearest_centroid) -> None:
    accuracy = transfer(demo.domains, blurred, nearest_centroid)
    others = np.ma.masked_array(accuracy, np.eye(len(accuracy), dtype=bool))
    assert accuracy.diagonal().mean() > 0.85
    assert others.mean() < 0.6
    assert others.max(0).mean() - others.mean() > 0.2, "it must matter whom one learns from"
