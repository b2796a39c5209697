"""A fleet of depth cameras that never stood anywhere: hands that count, seen at different distances.

A hand is a palm and five fingers, each a row of balls. A camera sees the nearest surface in every direction, as far as
it reaches, and measures nothing beyond, at the edges of things and now and then by chance. People differ in their hands
and in which of the two they use; rooms differ in where the camera stands, how it is tilted and what lies behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hatlit.datamodules.base import Domain, DomainSet, register_dataset
from hatlit.datamodules.synthetic.common import refuse_root
from hatlit.encoders.base import InputSpec

SIDE = 32  # pixels
CLIPS = 8  # of each room and gesture: frames of one hand held up once
FRAMES = 3  # of each clip
VIEW = 0.24  # tangent of half the angle that a picture spans

#: Which of thumb, index, middle, ring and little finger are stretched.
_GESTURES: dict[str, tuple[int, ...]] = {
    "fist": (),
    "thumb": (0,),
    "point": (1,),
    "victory": (1, 2),
    "horns": (1, 4),
    "three": (0, 1, 2),
    "open": (0, 1, 2, 3, 4),
}
GESTURES = tuple(_GESTURES)

# Of a right hand that shows its palm, fingers up, in mm about the middle of the palm: to the right, down.
_KNUCKLES = np.array([[-38, 10], [-32, -42], [-11, -47], [11, -44], [32, -36]], dtype=float)
_DIRECTIONS = np.array([[-0.75, -0.66], [-0.17, -0.98], [-0.03, -1.0], [0.12, -0.99], [0.28, -0.96]])
_LENGTHS = np.array([58, 72, 80, 74, 58], dtype=float)
_PALM = np.array([[x, y] for x in (-26.0, 0.0, 26.0) for y in (-34.0, -6.0, 22.0)])
_BALLS = 5  # of each finger
_BENT = 0.1  # of its length that a finger keeps when it is bent over the palm


@dataclass(frozen=True)
class _Room:
    """One person before one camera."""

    distance: float  # mm
    tilt: np.ndarray  # (3,) turn of the hand about the axes to the right, down and away, rad
    size: float
    thickness: float  # mm, radius of a finger
    left: bool
    wall: float  # mm behind the hand; infinite where nothing is within reach
    lengths: np.ndarray  # (5,) mm
    spread: np.ndarray  # (5,) rad, added to the direction of each finger
    noise: float  # mm at one metre; it grows with the square of the distance
    loss: float  # share of the pixels that are lost by chance
    edge: float  # mm from one pixel to the next, from which on nothing is measured


@register_dataset("demo", "depth")
def demo(root: Path | None, modality: str) -> DomainSet:
    """Synthetic: 12 simulated rooms x 7 gestures of a hand, depth maps of 32 x 32 pixels in mm, 0 where unmeasured.

    Licence: as the package itself; nothing here was recorded.
    Citation: none; the model stands in ``hatlit.datamodules.synthetic.depth``.

    Raises:
        InputError: a root was given.
    """
    refuse_root(root)
    return DomainSet("demo", modality, build_fleet(), GESTURES, is_demo=True)


def build_fleet(num_domains: int = 12, seed: int = 0) -> tuple[Domain, ...]:
    """Simulates a fleet. Domain number n is the same in fleets of any size with the same seed.

    Args:
        num_domains: how many rooms.
        seed: of everything random.

    Returns:
        Domains named ``demo-01`` and so on, of seven gestures with 24 frames each, (N, 1, 32, 32) uint16 in mm.
    """
    return tuple(_record(number, seed) for number in range(num_domains))


def _record(number: int, seed: int) -> Domain:
    rng = np.random.default_rng((seed, 3, number))
    room = _enter(number, seed, rng)
    clip = np.arange(len(GESTURES) * CLIPS)
    return Domain(
        name=f"demo-{number + 1:02d}",
        samples=np.concatenate([_frames(room, stretched, rng) for stretched in _GESTURES.values()]),
        labels=np.repeat(clip // CLIPS, FRAMES),
        groups=np.repeat(clip, FRAMES),
        recorded=InputSpec(modality="depth", channels=("distance",), shape=(SIDE, SIDE)),
        class_names=GESTURES,
    )


def _enter(number: int, seed: int, rng: np.random.Generator) -> _Room:
    """Draws a room: the stand of its camera, shared with every fourth one, and what is its own."""
    stand = number % 4
    shared = np.random.default_rng((seed, 4, stand))
    return _Room(
        distance=(400, 480, 440, 520)[stand] * np.exp(rng.normal(0, 0.05)),
        tilt=shared.normal(0, 0.14, 3) + rng.normal(0, 0.08, 3),
        size=np.exp(rng.normal(0, 0.08)),
        thickness=rng.uniform(10, 13),
        left=stand == 2,
        wall=(np.inf, 90.0, 250.0, 160.0)[stand] * np.exp(rng.normal(0, 0.1)),
        lengths=_LENGTHS * np.exp(rng.normal(0, 0.07, 5)),
        spread=rng.normal(0, 0.06, 5),
        noise=rng.uniform(4, 10),
        loss=rng.uniform(0.0, 0.03),
        edge=rng.uniform(40, 120),
    )


def _frames(room: _Room, stretched: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Films one gesture: (clips * frames, 1, side, side) uint16."""
    centres, radii = _hand(room, stretched, rng)
    seen = np.minimum(_surface(centres, radii), _behind(room, rng))
    return _camera(seen, room, rng)[:, None]


def _hand(room: _Room, stretched: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Balls of the hand before the camera: centres (frames, balls, 3) in mm, and radii (balls,) in mm."""
    count = CLIPS * FRAMES
    angle = room.spread + _by_clip(0.05, (5,), rng)
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = _DIRECTIONS.T
    direction = np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
    share = np.where(np.isin(np.arange(5), stretched), 1.0, _BENT) * np.exp(_by_clip(0.06, (5,), rng))
    reach = (share * room.lengths)[..., None] * np.linspace(0.1, 1, _BALLS)
    fingers = _KNUCKLES[:, None] + reach[..., None] * direction[:, :, None]
    flat = np.concatenate([fingers.reshape(count, -1, 2), np.broadcast_to(_PALM, (count, *_PALM.shape))], axis=1)
    bent = np.repeat(np.where(np.isin(np.arange(5), stretched), 0.0, -18.0), _BALLS)  # curled before the palm
    away = np.broadcast_to(np.concatenate([bent, np.zeros(len(_PALM))]), flat.shape[:2])
    balls = room.size * np.concatenate([flat, away[..., None]], axis=2)
    balls[..., 0] *= -1 if room.left else 1
    balls = np.einsum("fij,fbj->fbi", _turns(room.tilt + _by_clip(0.06, (3,), rng)), balls)
    where = np.array([0.0, 38.0, room.distance]) + _by_clip(1.0, (3,), rng) * [5.0, 5.0, 9.0]
    radii = room.size * np.concatenate([np.full(5 * _BALLS, room.thickness), np.full(len(_PALM), 19.0)])
    return balls + where[:, None], radii


def _surface(centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Distance (frames, side, side) to the nearest of some balls along each pixel's line of sight; infinite beside."""
    across = ((np.arange(SIDE) + 0.5) / SIDE * 2 - 1) * VIEW
    nearest = np.full((len(centres), SIDE, SIDE), np.inf)
    for ball, radius in enumerate(radii):
        x, y, away = (centres[:, ball, axis, None, None] for axis in range(3))
        # Within a ball the line of sight hardly leaves the axis, so it is taken as parallel to it.
        inside = radius**2 - (across * away - x) ** 2 - (across[:, None] * away - y) ** 2
        nearest = np.minimum(nearest, np.where(inside > 0, away - np.sqrt(np.maximum(inside, 0)), np.inf))
    return nearest


def _behind(room: _Room, rng: np.random.Generator) -> np.ndarray:
    """Distance (frames, side, side) to what lies behind the hand: a wall that is not quite square to the camera."""
    across = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    lean = _by_clip(15.0, (2,), rng)
    wall = room.distance + room.wall + _by_clip(10.0, (1,), rng)
    return wall[:, :, None] + lean[:, :1, None] * across + lean[:, 1:, None] * across[:, None]


def _camera(seen: np.ndarray, room: _Room, rng: np.random.Generator) -> np.ndarray:
    """What a camera makes of distances (frames, side, side): noise, whole millimetres, and 0 where it fails."""
    reached = np.isfinite(seen)
    distance = np.where(reached, seen, 0.0)
    step = np.zeros_like(distance)
    for axis in (1, 2):
        step = np.maximum(step, np.abs(distance - np.roll(distance, 1, axis)))
    torn = (step > room.edge) & (rng.random(seen.shape) < 0.2)
    lost = torn | ~reached | (rng.random(seen.shape) < room.loss)
    measured = distance + room.noise * (distance / 1000) ** 2 * rng.normal(size=seen.shape)
    return np.where(lost, 0, np.clip(np.round(measured), 1, 65535)).astype(np.uint16)


def _by_clip(spread: float, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Numbers (frames, *shape) of mean 0; frames of one clip resemble one another."""
    clip = np.repeat(rng.normal(0, 0.5 * spread, (CLIPS, *shape)), FRAMES, axis=0)
    return clip + rng.normal(0, 0.7 * spread, clip.shape)


def _turns(angles: np.ndarray) -> np.ndarray:
    """Rotation matrices (frames, 3, 3) from angles (frames, 3) about the axes to the right, down and away."""
    turned = np.broadcast_to(np.eye(3), (len(angles), 3, 3))
    for axis in range(3):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        matrix = np.zeros((len(angles), 3, 3))
        matrix[:, axis, axis] = 1
        matrix[:, one, one] = matrix[:, other, other] = np.cos(angles[:, axis])
        matrix[:, other, one] = np.sin(angles[:, axis])
        matrix[:, one, other] = -matrix[:, other, one]
        turned = matrix @ turned
    return turned
