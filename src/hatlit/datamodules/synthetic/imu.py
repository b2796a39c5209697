"""A fleet of people who never lived: inertial recordings simulated from a model of bodies, devices and wearers.

A place on the body (wrist, pocket, chest) turns and is shaken in a rhythm that depends on the activity. A rigid device
there feels the specific force Rᵀ(a - g) on its accelerometer and the rate of R on its gyroscope. People differ in pace,
vigour, gait and in how they wear the device; devices differ in rate, gain, bias, noise and in how many samples they
lose. People who wear theirs in the same place and manner resemble one another, so it matters whom a newcomer learns
from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hatlit.datamodules.base import Domain, DomainSet, register_dataset
from hatlit.datamodules.synthetic.common import refuse_root
from hatlit.encoders.base import InputSpec

CHANNELS = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")  # m/s², then rad/s
RATES = (50.0, 100.0, 25.0)  # Hz, given to the people in turn
WINDOW_SECONDS = 2.56
RECORDINGS = 6  # of each person and activity
WINDOWS = 6  # of each recording, each overlapping half of the one before

_GRAVITY = 9.81  # m/s²
_CLOCK = 100.0  # Hz, rate of the simulation
_HARMONICS = np.arange(1, 6)


@dataclass(frozen=True)
class Motion:
    """What one place on the body does during one activity, in the world's axes: forward, left, up.

    Attributes:
        cadence: strides, turns of the pedals, gestures or breaths a second (Hz).
        posture: mean roll and pitch (rad).
        swing: amplitudes of roll, pitch and yaw about it (rad).
        shake: amplitudes of the linear acceleration (m/s²).
        beat: the harmonic of the cadence that carries the shaking; 2 where two feet strike in a stride.
        sharpness: size of each harmonic relative to its neighbour nearer the main one.
    """

    cadence: float
    posture: tuple[float, float]
    swing: tuple[float, float, float]
    shake: tuple[float, float, float]
    beat: int
    sharpness: float


_MOTIONS: dict[str, dict[str, Motion]] = {
    "wrist": {
        "walk": Motion(0.95, (0.0, 0.0), (0.09, 0.40, 0.14), (1.6, 0.8, 2.2), 2, 0.40),
        "run": Motion(1.35, (0.1, -0.4), (0.18, 0.50, 0.30), (5.0, 2.4, 8.0), 2, 0.50),
        "stairs": Motion(0.72, (0.1, -0.2), (0.11, 0.30, 0.13), (1.6, 1.1, 2.8), 2, 0.60),
        "cycle": Motion(1.15, (0.3, -0.6), (0.06, 0.12, 0.06), (0.9, 0.7, 1.2), 1, 0.45),
        "gesture": Motion(1.20, (0.2, -0.7), (0.45, 0.30, 0.50), (1.6, 2.4, 1.2), 1, 0.30),
        "rest": Motion(0.25, (0.1, -0.7), (0.03, 0.04, 0.03), (0.1, 0.1, 0.1), 1, 0.30),
    },
    "pocket": {
        "walk": Motion(0.95, (0.0, 0.0), (0.09, 0.36, 0.12), (1.8, 0.9, 2.7), 2, 0.45),
        "run": Motion(1.35, (0.0, -0.2), (0.15, 0.55, 0.22), (5.4, 2.7, 9.0), 2, 0.55),
        "stairs": Motion(0.72, (0.0, -0.3), (0.10, 0.40, 0.12), (1.8, 1.2, 3.1), 2, 0.65),
        "cycle": Motion(1.15, (0.1, -0.6), (0.06, 0.30, 0.07), (1.0, 0.6, 1.2), 1, 0.30),
        "gesture": Motion(1.20, (0.0, -0.2), (0.14, 0.12, 0.25), (0.8, 1.3, 0.6), 1, 0.30),
        "rest": Motion(0.25, (0.0, -1.0), (0.02, 0.03, 0.02), (0.1, 0.1, 0.1), 1, 0.30),
    },
    "chest": {
        "walk": Motion(0.95, (0.0, 0.0), (0.08, 0.20, 0.12), (1.4, 0.8, 2.4), 2, 0.40),
        "run": Motion(1.35, (0.0, -0.1), (0.13, 0.28, 0.22), (4.0, 1.9, 9.0), 2, 0.50),
        "stairs": Motion(0.72, (0.0, -0.1), (0.09, 0.22, 0.11), (1.6, 1.1, 2.9), 2, 0.60),
        "cycle": Motion(1.15, (0.1, -0.3), (0.06, 0.10, 0.06), (0.9, 0.7, 1.1), 1, 0.40),
        "gesture": Motion(1.20, (0.0, -0.2), (0.18, 0.14, 0.35), (0.9, 1.5, 0.7), 1, 0.30),
        "rest": Motion(0.25, (0.0, -0.4), (0.02, 0.04, 0.02), (0.1, 0.1, 0.1), 1, 0.30),
    },
}
PLACES = tuple(_MOTIONS)
ACTIVITIES = tuple(_MOTIONS["wrist"])
_MANNERS = 2  # ways of wearing the device in each place: left or right, screen in or out


@dataclass(frozen=True)
class _Wearer:
    """One person with one device."""

    place: str
    rate: float  # Hz
    mounting: np.ndarray  # (3, 3) turns the body's axes into the device's
    pace: float  # factor on every cadence
    vigour: np.ndarray  # (activities,) factor on swing and shake
    posture: np.ndarray  # (activities, 3) added to roll, pitch and yaw, rad
    style: np.ndarray  # (activities, 6, harmonics) factor on each harmonic of swing and shake
    phase: np.ndarray  # (activities, 6, harmonics) rad
    asymmetry: float  # how far a left step differs from a right one
    gain: np.ndarray  # (6,)
    bias: np.ndarray  # (6,) m/s², rad/s
    noise: np.ndarray  # (6,) standard deviation, m/s², rad/s
    loss: float  # share of samples that never arrive


@register_dataset("demo", "imu")
def demo(root: Path | None, modality: str) -> DomainSet:
    """Synthetic: 24 simulated people x 6 activities, accelerometer and gyroscope at 25, 50 or 100 Hz.

    Licence: as the package itself; nothing here was recorded.
    Citation: none; the model stands in ``hatlit.datamodules.synthetic.imu``.

    Raises:
        InputError: a root was given.
    """
    refuse_root(root)
    return DomainSet("demo", modality, build_fleet(), ACTIVITIES, is_demo=True)


def build_fleet(num_domains: int = 24, seed: int = 0) -> tuple[Domain, ...]:
    """Simulates a fleet. Domain number n is the same in fleets of any size with the same seed.

    Args:
        num_domains: how many people.
        seed: of everything random.

    Returns:
        Domains named ``demo-01`` and so on, of six activities with 36 windows each, (N, 6, time) float32 over 2.56 s.
    """
    return tuple(_record(number, seed) for number in range(num_domains))


def _record(number: int, seed: int) -> Domain:
    rng = np.random.default_rng((seed, 1, number))
    wearer = _meet(number, seed, rng)
    samples = np.concatenate(
        [_windows(_recordings(wearer, activity, rng), wearer) for activity in range(len(ACTIVITIES))]
    )
    recording = np.arange(len(ACTIVITIES) * RECORDINGS)
    return Domain(
        name=f"demo-{number + 1:02d}",
        samples=samples,
        labels=np.repeat(recording // RECORDINGS, WINDOWS),
        groups=np.repeat(recording, WINDOWS),
        recorded=InputSpec(modality="imu", channels=CHANNELS, shape=samples.shape[2:], rate=wearer.rate),
        class_names=ACTIVITIES,
    )


def _meet(number: int, seed: int, rng: np.random.Generator) -> _Wearer:
    """Draws a person: first the manner of wearing, shared with others, then what is the person's own."""
    manner = number % (len(PLACES) * _MANNERS)
    shared = np.random.default_rng((seed, 0, manner))
    shape = (len(ACTIVITIES), 6, len(_HARMONICS))
    mounting = _rotations(shared.normal(0, 0.2, 3))
    style = shared.normal(0, 0.2, shape)
    phase = shared.normal(0, 0.3, shape)
    return _Wearer(
        place=PLACES[manner % len(PLACES)],
        rate=RATES[number // len(PLACES) % len(RATES)],
        mounting=_rotations(rng.normal(0, 0.1, 3)) @ mounting,
        pace=np.exp(rng.normal(0, 0.1)),
        vigour=np.exp(rng.normal(0, 0.15, len(ACTIVITIES))),
        posture=rng.normal(0, 0.08, (len(ACTIVITIES), 3)),
        style=np.exp(style + rng.normal(0, 0.2, shape)),
        phase=phase + rng.normal(0, 0.2, shape),
        asymmetry=rng.uniform(0, 0.4),
        gain=1 + rng.normal(0, 0.05, 6),
        bias=rng.normal(0, 1, 6) * np.repeat([0.2, 0.03], 3),
        noise=rng.uniform(0.5, 1.5, 6) * np.repeat([0.3, 0.08], 3),
        loss=rng.uniform(0, 0.08),
    )


def _recordings(wearer: _Wearer, activity: int, rng: np.random.Generator) -> np.ndarray:
    """Simulates the recordings of one activity as the device delivers them: (recordings, 6, time).

    From one recording to the next a person is faster or slower, more or less vigorous, and the device slips a little.
    """
    motion = _MOTIONS[wearer.place][ACTIVITIES[activity]]
    time = round(_CLOCK * WINDOW_SECONDS * (WINDOWS + 1) / 2)
    pace = wearer.pace * np.exp(rng.normal(0, 0.1, (RECORDINGS, 1)))
    drift = np.cumsum(rng.normal(0, 0.008, (RECORDINGS, time)), axis=1)
    phase = rng.uniform(0, 2 * np.pi, (RECORDINGS, 1)) + np.cumsum(
        2 * np.pi * motion.cadence * pace * (1 + drift) / _CLOCK, axis=1
    )
    vigour = wearer.vigour[activity] * np.exp(rng.normal(0, 0.25, (RECORDINGS, 1, 1)))
    waves = vigour * _waves(phase, motion, wearer, activity)
    posture = np.array([*motion.posture, 0.0]) + wearer.posture[activity] + rng.normal(0, 0.1, (RECORDINGS, 3))
    force, turning = _sense(posture[:, :, None] + waves[:, :3], waves[:, 3:])
    mounting = _rotations(rng.normal(0, 0.1, (RECORDINGS, 3))) @ wearer.mounting
    felt = np.concatenate([mounting @ force, mounting @ turning], axis=1)
    return _device(felt, wearer, rng)


def _waves(phase: np.ndarray, motion: Motion, wearer: _Wearer, activity: int) -> np.ndarray:
    """Maps the phase of the cadence (recordings, time) to harmonic series of swing and shake (recordings, 6, time)."""
    swing = motion.sharpness ** (_HARMONICS - 1.0)
    shake = motion.sharpness ** np.abs(_HARMONICS - motion.beat)
    if motion.beat == 2:
        shake[::2] *= wearer.asymmetry
    size = np.array([*motion.swing, *motion.shake])[:, None] * np.repeat([swing, shake], 3, axis=0)
    amplitude = size * wearer.style[activity]
    angle = _HARMONICS[:, None] * phase[:, None, None, :] + wearer.phase[activity][:, :, None]
    return np.einsum("ah,raht->rat", amplitude, np.sin(angle))


def _sense(angles: np.ndarray, acceleration: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns what a body feels in its own axes, specific force (m/s²) and angular rate (rad/s), shaped as the angles.

    Args:
        angles: (recordings, 3, time) roll, pitch and yaw, rad.
        acceleration: (recordings, 3, time) in the world's axes, m/s².
    """
    sin, cos = np.sin(angles), np.cos(angles)
    (sr, sp, sy), (cr, cp, cy) = (np.moveaxis(values, 1, 0) for values in (sin, cos))
    forward, left, up = np.moveaxis(acceleration, 1, 0)
    up = up + _GRAVITY
    ahead = cy * forward + sy * left
    aside = cy * left - sy * forward
    down_pitch = sp * ahead + cp * up
    force = np.stack([cp * ahead - sp * up, cr * aside + sr * down_pitch, cr * down_pitch - sr * aside], axis=1)
    roll, pitch, yaw = np.moveaxis(np.gradient(angles, 1 / _CLOCK, axis=2), 1, 0)
    turning = np.stack([roll - sp * yaw, cr * pitch + sr * cp * yaw, cr * cp * yaw - sr * pitch], axis=1)
    return force, turning


def _device(felt: np.ndarray, wearer: _Wearer, rng: np.random.Generator) -> np.ndarray:
    """Adds what the device does: it averages to its rate, scales, offsets, adds noise, and holds values at a loss."""
    block = round(_CLOCK / wearer.rate)
    recordings, channels, time = felt.shape
    sampled = felt[:, :, : time // block * block].reshape(recordings, channels, -1, block).mean(axis=3)
    sampled = wearer.gain[:, None] * sampled + wearer.bias[:, None]
    sampled += wearer.noise[:, None] * rng.normal(size=sampled.shape)
    steps = np.arange(sampled.shape[2])
    arrived = rng.random((recordings, len(steps))) >= wearer.loss
    arrived[:, 0] = True
    last = np.maximum.accumulate(np.where(arrived, steps, 0), axis=1)
    return np.take_along_axis(sampled, last[:, None], axis=2)


def _windows(recordings: np.ndarray, wearer: _Wearer) -> np.ndarray:
    """Cuts (recordings, 6, time) into half-overlapping windows (recordings * windows, 6, window) float32."""
    length = round(WINDOW_SECONDS * wearer.rate)
    windows = np.lib.stride_tricks.sliding_window_view(recordings, length, axis=2)[:, :, :: length // 2]
    return np.moveaxis(windows, 2, 1).reshape(-1, len(CHANNELS), length).astype(np.float32)


def _rotations(vectors: np.ndarray) -> np.ndarray:
    """Maps rotation vectors (..., 3), axis times angle in radians, to matrices (..., 3, 3) by Rodrigues' formula."""
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vectors / angle[..., 0], -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
