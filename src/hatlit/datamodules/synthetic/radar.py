"""A fleet of people who never lived, gesturing before a radar: maps simulated from an arm that scatters.

An arm is a row of scatterers between the shoulder and the hand, whose path depends on the gesture. The radar finds some
of them in each frame, the nearer and the faster the more likely, measures where they are (range well, angles badly) and
how fast they come closer, and finds things that are not there. What it finds is counted into maps of lateral place,
range, height and Doppler over time. People differ in their arms, their pace and in how they draw a gesture; distance
makes echoes fewer and angles worse; rooms add clutter. A domain is a person at a distance in a room, so those of the
same person, hand or distance resemble one another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hatlit.datamodules.base import Domain, DomainSet, register_dataset
from hatlit.datamodules.radar import MAP, rasterise
from hatlit.datamodules.synthetic.common import refuse_root
from hatlit.encoders.base import InputSpec

#: What each map shows, and the least and the largest value of its bins: metres, and metres a second.
MAPS = {"lateral": (-1.2, 1.2), "range": (-1.2, 1.2), "height": (-1.2, 1.2), "doppler": (-3.2, 3.2)}
BINS, FRAMES = 16, 24
RATE = 10.0  # frames a second
DISTANCES = (1.2, 2.1, 3.0)  # metres, given to each person in turn
RECORDINGS = 6  # of each person, distance and gesture
REPETITIONS = 5  # of a gesture in each recording

_LINKS = np.linspace(0.3, 1.0, 8)  # where on the arm the scatterers are: 0 is the shoulder, 1 the hand
_READY = np.array([0.1, 0.3, -0.3])  # where the hand is before and after a gesture, in arm's lengths from the shoulder
_GHOSTS = 3  # places in a room that send false echoes
_ANGLE_NOISE = 0.025, 0.04  # rad, sideways and in height
_RANGE_NOISE = 0.04  # m
_DOPPLER_NOISE = 0.15  # m/s


def _out_and_back(phase: np.ndarray, turning: float) -> np.ndarray:
    """Goes from 0 to 1 until the phase is ``turning``, and is back at 0 when it is 1."""
    share = np.where(phase < turning, phase / turning, (1 - phase) / (1 - turning))
    return np.sin(np.pi / 2 * share) ** 2


Way = Callable[[np.ndarray], tuple[np.ndarray | float, ...]]

#: The way of the hand, outward, towards the radar and up in arm's lengths, while a gesture's phase goes from 0 to 1.
_WAYS: dict[str, Way] = {
    "push": lambda phase: (0.0, 0.7 * _out_and_back(phase, 0.3), 0.0),
    "pull": lambda phase: (0.0, 0.7 * _out_and_back(phase, 0.7), 0.0),
    "swipe": lambda phase: (-0.9 * _out_and_back(phase, 0.5), 0.0, 0.0),
    "raise": lambda phase: (0.0, 0.0, 0.9 * _out_and_back(phase, 0.5)),
    "circle": lambda phase: (0.4 * np.sin(2 * np.pi * phase), 0.0, 0.4 - 0.4 * np.cos(2 * np.pi * phase)),
    "knock": lambda phase: (0.0, 0.4 * np.sin(3 * np.pi * phase) ** 2, 0.0),
}
GESTURES = tuple(_WAYS)


@dataclass(frozen=True)
class _Person:
    """One person."""

    hand: int  # 1 right, -1 left
    arm: float  # length, m
    shoulder: np.ndarray  # (3,) outward, towards the radar and up from where the radar looks, m
    pace: float  # seconds that a gesture takes
    drawing: np.ndarray  # (gestures, 3, 3) what becomes of the way of the hand
    detour: np.ndarray  # (gestures, 2, 3) half and whole wave added to it, in arm's lengths


@dataclass(frozen=True)
class _Site:
    """Where a person stands, and what else sends echoes there."""

    distance: float  # m
    facing: float  # rad, by which the person looks past the radar
    ghosts: np.ndarray  # (ghosts, 4) lateral, range from the person, height (m) and Doppler (m/s) of false echoes
    haunted: np.ndarray  # (ghosts,) share of the frames in which they are seen


@register_dataset("demo", "radar")
def demo(root: Path | None, modality: str) -> DomainSet:
    """Synthetic: 4 simulated people x 3 distances, 6 arm gestures, radar maps at 10 frames a second.

    Licence: as the package itself; nothing here was recorded.
    Citation: none; the model stands in ``hatlit.datamodules.synthetic.radar``.

    Raises:
        InputError: a root was given.
    """
    refuse_root(root)
    return DomainSet("demo", modality, build_fleet(), GESTURES, is_demo=True)


def build_fleet(num_domains: int = 12, seed: int = 0) -> tuple[Domain, ...]:
    """Simulates a fleet. Domain number n is the same in fleets of any size with the same seed.

    Args:
        num_domains: how many people at a distance; the first three are one person at all distances, and so on.
        seed: of everything random.

    Returns:
        Domains named ``demo-01`` and so on, of six gestures with 30 repetitions each, (180, 4, 16 bins, 24 frames)
        uint8.
    """
    return tuple(_record(number, seed) for number in range(num_domains))


def _record(number: int, seed: int) -> Domain:
    user, place = divmod(number, len(DISTANCES))
    person = _meet(user, np.random.default_rng((seed, 0, user)))
    rng = np.random.default_rng((seed, 1, number))
    site = _enter(DISTANCES[place], rng)
    samples = np.concatenate(
        [_perform(person, site, gesture, rng) for gesture in range(len(GESTURES)) for _ in range(RECORDINGS)]
    )
    recording = np.arange(len(GESTURES) * RECORDINGS)
    return Domain(
        name=f"demo-{number + 1:02d}",
        samples=samples,
        labels=np.repeat(recording // RECORDINGS, REPETITIONS),
        groups=np.repeat(recording, REPETITIONS),
        recorded=InputSpec(modality="radar", channels=tuple(MAPS), shape=(BINS, FRAMES), axes=MAP, rate=RATE),
        class_names=GESTURES,
    )


def _meet(user: int, rng: np.random.Generator) -> _Person:
    """Draws a person; every second one is left-handed."""
    gestures = len(GESTURES)
    return _Person(
        hand=1 - 2 * (user % 2),
        arm=rng.uniform(0.55, 0.75),
        shoulder=np.array([0.2, 0.0, 0.0]) + rng.normal(0, 0.1, 3),
        pace=rng.uniform(1.2, 2.0),
        drawing=np.eye(3) + rng.normal(0, 0.15, (gestures, 3, 3)),
        detour=rng.normal(0, 0.06, (gestures, 2, 3)),
    )


def _enter(distance: float, rng: np.random.Generator) -> _Site:
    """Draws a site at a distance."""
    return _Site(
        distance=distance,
        facing=rng.normal(0, 0.2),
        ghosts=rng.normal(0, 1, (_GHOSTS, 4)) * np.array([0.6, 0.6, 0.6, 0.5]),
        haunted=rng.uniform(0.02, 0.1, _GHOSTS),
    )


def _perform(person: _Person, site: _Site, gesture: int, rng: np.random.Generator) -> np.ndarray:
    """Simulates one recording: maps (repetitions, 4, bins, frames) uint8.

    From one repetition to the next a gesture begins earlier or later, is faster or slower, larger or smaller.
    """
    hand = person.arm * _move(person, gesture, rng)
    hand[..., 0] *= person.hand
    shoulder = person.shoulder * np.array([person.hand, 1, 1])
    sin, cos = np.sin(site.facing), np.cos(site.facing)
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    stand = rng.normal(0, 0.05, 3)
    arm = stand + (shoulder + _LINKS[:, None] * hand[:, :, None]) @ turn  # (repetitions, frames, links, 3)
    return _observe(arm, site, rng)


def _move(person: _Person, gesture: int, rng: np.random.Generator) -> np.ndarray:
    """Where the hand is (repetitions, frames, 3) from the shoulder, in arm's lengths outward, to the radar and up."""
    pace = person.pace * np.exp(rng.normal(0, 0.1, (REPETITIONS, 1)))
    begin = (FRAMES / RATE - pace) / 2 + rng.normal(0, 0.1, (REPETITIONS, 1))
    phase = ((np.arange(FRAMES) / RATE - begin) / pace).clip(0, 1)
    way = np.stack(np.broadcast_arrays(*_WAYS[GESTURES[gesture]](phase)), axis=-1) @ person.drawing[gesture]
    waves = np.sin(np.pi * phase[..., None] * np.array([1, 2])) @ person.detour[gesture]
    return _READY + np.exp(rng.normal(0, 0.15, (REPETITIONS, 1, 1))) * (way + waves)


def _observe(arm: np.ndarray, site: _Site, rng: np.random.Generator) -> np.ndarray:
    """What the radar makes of scatterers (repetitions, frames, links, 3): maps (repetitions, 4, bins, frames) uint8."""
    found, chance = _echoes(arm, site)
    ghosts = np.broadcast_to(site.ghosts, (*arm.shape[:2], *site.ghosts.shape))
    found = np.concatenate([found, ghosts], axis=2)
    chance = np.concatenate([chance, np.broadcast_to(site.haunted, ghosts.shape[:3])], axis=2)
    sideways, upward = (noise * site.distance for noise in _ANGLE_NOISE)
    found += rng.normal(size=found.shape) * np.array([sideways, _RANGE_NOISE, upward, _DOPPLER_NOISE])
    sample, frame, which = np.nonzero(rng.random(chance.shape) < chance)
    column, strength = sample * FRAMES + frame, rng.uniform(30, 70, len(sample))
    limits = tuple(MAPS.values())
    maps = rasterise(found[sample, frame, which], column, strength, limits, BINS, FRAMES * REPETITIONS)
    return maps.reshape(len(MAPS), BINS, REPETITIONS, FRAMES).transpose(2, 0, 1, 3).astype(np.uint8)


def _echoes(arm: np.ndarray, site: _Site) -> tuple[np.ndarray, np.ndarray]:
    """Where scatterers (..., frames, links, 3) are and how fast they come closer, and how likely they are found.

    Returns:
        (..., frames, links, 4) lateral place, range from where the person stands, height (m) and Doppler (m/s), and
        (..., frames, links) probabilities.
    """
    out, near, up = np.moveaxis(arm, -1, 0)
    distance = np.linalg.norm(np.stack([out, site.distance - near, up]), axis=0)
    doppler = -RATE * np.gradient(distance, axis=-2)
    # Echoes fade with distance, and what stands still is taken for a part of the room.
    chance = (0.2 + 0.8 * np.tanh(2 * np.abs(doppler))) * (DISTANCES[0] / site.distance) ** 0.25
    return np.stack([out, -near, up, doppler], axis=-1), chance
