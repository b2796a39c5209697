"""A fleet of cameras that never took a picture: signs drawn, painted and photographed in many styles.

A sign is a few strokes. It is drawn by a hand of its own size, slant and tremor, with ink on paper, chalk on a board,
as an outline on a wall or in one colour before a motley background; then light, blur and noise of a camera follow.
Places that share a manner of drawing resemble one another, so it matters whom a newcomer learns from.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from hatlit.datamodules.base import Domain, DomainSet, register_dataset
from hatlit.datamodules.synthetic.common import refuse_root
from hatlit.encoders.base import InputSpec

CHANNELS = ("red", "green", "blue")
SIDE = 28  # pixels
SHEETS = 8  # of each place and sign: pictures taken one after the other, in one light, by one hand
PICTURES = 3  # of each sheet


def _arc(start: float, end: float, x: float = 0.0, y: float = 0.0, radius: float = 0.7, steps: int = 10) -> np.ndarray:
    """Corners (steps + 1, 2) along a circle, between two angles in turns, counted clockwise from the right."""
    angle = 2 * np.pi * np.linspace(start, end, steps + 1)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


#: Strokes of each sign as corners (x to the right, y down) within -1 .. 1.
_SIGNS: dict[str, list[np.ndarray]] = {
    "ring": [_arc(0, 1)],
    "hook": [np.concatenate([[[0.4, -0.8]], _arc(0, 0.5, y=0.2, radius=0.4, steps=6)])],
    "cross": [np.array([[-0.6, -0.6], [0.6, 0.6]]), np.array([[0.6, -0.6], [-0.6, 0.6]])],
    "arrow": [np.array([[0.0, 0.8], [0.0, -0.8]]), np.array([[-0.5, -0.2], [0.0, -0.8], [0.5, -0.2]])],
    "zigzag": [np.array([[-0.6, -0.7], [0.6, -0.7], [-0.6, 0.7], [0.6, 0.7]])],
    "gate": [np.array([[-0.5, 0.8], [-0.5, -0.6], [0.5, -0.6], [0.5, 0.8]])],
    "fork": [np.array([[0.0, 0.8], [0.0, 0.0]]), np.array([[-0.5, -0.8], [0.0, 0.0], [0.5, -0.8]])],
}
SIGNS = tuple(_SIGNS)


@dataclass(frozen=True)
class _Manner:
    """What places of one kind have in common.

    Attributes:
        ink, ground: red, green and blue of the strokes and of what they are on, 0 to 255.
        width: half the width of a stroke.
        outline: whether only the edges of a stroke are drawn.
        slant: shear of the signs.
        texture: contrast of what the ground looks like.
        grain: size of its spots, in pixels.
        rough: share of a stroke that its ink leaves out.
    """

    ink: tuple[float, float, float]
    ground: tuple[float, float, float]
    width: float
    outline: bool
    slant: float
    texture: float
    grain: int
    rough: float


_MANNERS = (
    _Manner((45, 45, 90), (225, 220, 205), 0.13, False, 0.10, 10, 14, 0.0),  # pen on paper
    _Manner((225, 225, 210), (45, 75, 60), 0.15, False, -0.15, 14, 7, 0.15),  # chalk on a board
    _Manner((225, 190, 70), (140, 50, 45), 0.22, True, -0.05, 14, 4, 0.0),  # outlined, on a wall
    _Manner((215, 150, 180), (100, 115, 100), 0.19, False, -0.20, 34, 5, 0.0),  # before a motley background
)


@dataclass(frozen=True)
class _Place:
    """One place: a manner of drawing and a camera."""

    manner: _Manner
    ink: np.ndarray  # (3,)
    ground: np.ndarray  # (3,)
    width: float
    slant: float
    turn: float  # rad
    size: float
    blur: float  # half the width of an edge
    noise: float  # standard deviation, of 255
    strokes: dict[str, list[np.ndarray]]  # the place's own way of drawing each sign


@register_dataset("demo", "image")
def demo(root: Path | None, modality: str) -> DomainSet:
    """Synthetic: 12 simulated places x 7 signs, colour pictures of 28 x 28 pixels.

    Licence: as the package itself; nothing here was photographed.
    Citation: none; the model stands in ``hatlit.datamodules.synthetic.image``.

    Raises:
        InputError: a root was given.
    """
    refuse_root(root)
    return DomainSet("demo", modality, build_fleet(), SIGNS, is_demo=True)


def build_fleet(num_domains: int = 12, seed: int = 0) -> tuple[Domain, ...]:
    """Draws a fleet. Domain number n is the same in fleets of any size with the same seed.

    Args:
        num_domains: how many places.
        seed: of everything random.

    Returns:
        Domains named ``demo-01`` and so on, of seven signs with 24 pictures each, (N, 3, 28, 28) uint8.
    """
    return tuple(_photograph(number, seed) for number in range(num_domains))


def _photograph(number: int, seed: int) -> Domain:
    rng = np.random.default_rng((seed, 2, number))
    place = _visit(number, rng)
    sheet = np.arange(len(SIGNS) * SHEETS)
    return Domain(
        name=f"demo-{number + 1:02d}",
        samples=np.concatenate([_pictures(place, place.strokes[sign], rng) for sign in SIGNS]),
        labels=np.repeat(sheet // SHEETS, PICTURES),
        groups=np.repeat(sheet, PICTURES),
        recorded=InputSpec(modality="image", channels=CHANNELS, shape=(SIDE, SIDE)),
        class_names=SIGNS,
    )


def _visit(number: int, rng: np.random.Generator) -> _Place:
    """Draws a place: its manner, shared with every fourth one, and what is its own."""
    manner = _MANNERS[number % len(_MANNERS)]
    return _Place(
        manner=manner,
        ink=np.array(manner.ink) + rng.normal(0, 10, 3),
        ground=np.array(manner.ground) + rng.normal(0, 10, 3),
        width=manner.width * np.exp(rng.normal(0, 0.15)),
        slant=manner.slant + rng.normal(0, 0.08),
        turn=rng.normal(0, 0.1),
        size=np.exp(rng.normal(-0.12, 0.1)),
        blur=rng.uniform(0.03, 0.09),
        noise=rng.uniform(3, 12),
        strokes={
            sign: [stroke + rng.normal(0, 0.05, stroke.shape) for stroke in strokes] for sign, strokes in _SIGNS.items()
        },
    )


def _pictures(place: _Place, strokes: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Draws and photographs one sign: (sheets * pictures, 3, side, side) uint8."""
    count = SHEETS * PICTURES
    distance = _distance(_on_the_sheet(place, rng), strokes)
    width = place.width * _by_sheet(0.12, rng)
    if place.manner.outline:
        distance, width = np.abs(distance - width), 0.55 * width
    ink = 1 / (1 + np.exp((distance - width) / (place.blur * _by_sheet(0.2, rng))))
    ink *= _spots(2, rng) > 2 * place.manner.rough - 1
    texture = place.manner.texture * np.stack([_spots(place.manner.grain, rng) for _ in CHANNELS], axis=1)
    ground = place.ground[:, None, None] + texture
    seen = ground + ink[:, None] * (place.ink[:, None, None] - ground)
    seen = seen * _by_sheet(0.12, rng)[:, None] + place.noise * rng.normal(size=(count, 3, SIDE, SIDE))
    return np.clip(np.round(seen), 0, 255).astype(np.uint8)


def _on_the_sheet(place: _Place, rng: np.random.Generator) -> np.ndarray:
    """Where each pixel lies in the sign's own plane: (pictures, side, side, 2)."""
    count = SHEETS * PICTURES
    across = (np.arange(SIDE) + 0.5) / SIDE * 2.6 - 1.3
    x, y = np.meshgrid(across, across)
    x = x - rng.normal(0, 0.08, (count, 1, 1))
    y = y - rng.normal(0, 0.08, (count, 1, 1))
    turn = place.turn + rng.normal(0, 0.08, (count, 1, 1))
    size = place.size * _by_sheet(0.08, rng) * np.exp(rng.normal(0, 0.08, (count, 1, 1)))
    turned = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    slant = place.slant + rng.normal(0, 0.06, (count, 1, 1))
    tremor = [0.04 * np.sin(3 * turned[1 - axis] + rng.uniform(0, 2 * np.pi, (count, 1, 1))) for axis in (0, 1)]
    return np.stack([turned[0] + slant * turned[1] + tremor[0], turned[1] + tremor[1]], axis=-1) / size[..., None]


def _distance(points: np.ndarray, strokes: list[np.ndarray]) -> np.ndarray:
    """Distance of points (..., 2) to the nearest place on any stroke."""
    nearest = np.full(points.shape[:-1], np.inf)
    for stroke in strokes:
        for start, end in pairwise(stroke):
            along = end - start
            share = np.clip((points - start) @ along / (along @ along), 0, 1)
            apart = points - start - share[..., None] * along
            nearest = np.minimum(nearest, np.hypot(apart[..., 0], apart[..., 1]))
    return nearest


def _spots(grain: int, rng: np.random.Generator) -> np.ndarray:
    """Spots of about ``grain`` pixels (pictures, side, side), of mean 0, between bounds of about one."""
    coarse = SIDE // grain + 3
    drawn = rng.uniform(-1, 1, (SHEETS * PICTURES, coarse, coarse))
    place = np.arange(SIDE) / grain + rng.random()
    before = place.astype(int)
    share = place - before
    for axis in (1, 2):
        low, high = drawn.take(before, axis), drawn.take(before + 1, axis)
        drawn = low + (high - low) * (share[:, None] if axis == 1 else share)
    return drawn


def _by_sheet(spread: float, rng: np.random.Generator) -> np.ndarray:
    """Factors (pictures, 1, 1) near one that the pictures of a sheet share."""
    return np.repeat(np.exp(rng.normal(0, spread, (SHEETS, 1, 1))), PICTURES, axis=0)
