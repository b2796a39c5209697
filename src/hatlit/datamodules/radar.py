"""Views and augmentation of radar recordings, in three forms that their axes tell apart.

- A map over ``bin`` and ``time``: how much came back from each bin of range, height, angle or Doppler in each frame.
- A series over ``time``: a number a moment, such as the error of a range.
- A cloud over ``point``: the detections themselves, with channels such as time, x, y, z, doppler and intensity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hatlit.datamodules.augment import Chance, gain, jitter, mask_span, shift
from hatlit.datamodules.base import MODALITIES, Modality
from hatlit.datamodules.views import fit_normalisation, numeric_view
from hatlit.encoders.base import InputSpec

SERIES, MAP, CLOUD = ("time",), ("bin", "time"), ("point",)

#: Statistics are computed on maps of at most this many bins, and on clouds of at most this many points.
SUMMARY_BINS = 32
SUMMARY_POINTS = 128

#: How strongly ``augment`` changes a view.
RANGE_SHIFT = 0.06  # of the bins, largest
TIME_SHIFT = 0.08  # of the frames or samples, largest
BLIND = 0.1  # of the frames, longest span without an echo
GAIN = 0.1  # relative, standard deviation
JITTER = 0.05  # of a channel's standard deviation
TURN = 0.09  # radians about the vertical, standard deviation; about five degrees
LOSS = 0.2  # of the points, largest


def augment(views: Tensor, spec: InputSpec, generator: torch.Generator) -> Tensor:
    """Returns copies of views as another recording of the same gesture might have come out.

    Args:
        views: (B, channels, *shape), normalised.
        spec: their form, which decides what may change; see ``augment_map``, ``augment_series`` and ``augment_cloud``.
        generator: the only source of randomness.
    """
    change = {MAP: augment_map, SERIES: augment_series, CLOUD: augment_cloud}[spec.axes]
    return change(views, spec, Chance(views, generator))


def augment_map(views: Tensor, spec: InputSpec, chance: Chance) -> Tensor:
    """Changes maps (B, channels, bins, time): where things are, when, how strong the echo is, and a blind moment.

    Each channel moves along its bins by itself, because somebody may stand further back and no higher. Doppler stays:
    moved, it would be another speed.
    """
    changed = views.clone()
    places = [number for number, name in enumerate(spec.channels) if "doppler" not in name.lower()]
    for number in places:
        changed[:, [number]] = shift(views[:, [number]], 2, int(RANGE_SHIFT * views.shape[2]), chance)
    changed = gain(shift(changed, 3, int(TIME_SHIFT * views.shape[3]), chance), GAIN, chance)
    return jitter(mask_span(changed, 3, int(BLIND * views.shape[3]), chance), JITTER, chance)


def augment_series(views: Tensor, spec: InputSpec, chance: Chance) -> Tensor:
    """Changes series (B, channels, time): when things happen, how strongly, and noise.

    A series without a rate keeps its order: its numbers may be features, not moments.
    """
    reach = int(TIME_SHIFT * views.shape[2]) if spec.rate is not None else 0
    return jitter(gain(shift(views, 2, reach, chance), GAIN, chance), JITTER, chance)


def augment_cloud(views: Tensor, spec: InputSpec, chance: Chance) -> Tensor:
    """Changes clouds (B, channels, points): a small turn about the vertical, lost points, and noise on what is left.

    In the place of a lost point stands a copy of another.
    """
    batch, _, points = views.shape
    lost = chance.uniform(0, 1, batch, points) < chance.uniform(0, LOSS, batch, 1)
    stand_in = chance.whole(0, points - 1, batch, points)
    kept = torch.where(lost, stand_in, torch.arange(points, device=views.device))
    changed = turn(views, spec, TURN * chance.normal(batch, 1))
    return jitter(changed.gather(2, kept.unsqueeze(1).expand(views.shape)), JITTER, chance)


def turn(views: Tensor, spec: InputSpec, angle: Tensor) -> Tensor:
    """Turns clouds (B, channels, points) about the vertical through their usual middle, by angles (B, 1) in radians.

    A cloud without the channels x and y is left as it is.
    """
    if not {"x", "y"} <= set(spec.channels):
        return views
    x, y = spec.channels.index("x"), spec.channels.index("y")
    # An angle is one in metres; in standard deviations it would be bent.
    wide, deep = (spec.std[x], spec.std[y]) if spec.std else (1.0, 1.0)
    changed = views.clone()
    changed[:, x] = angle.cos() * views[:, x] - angle.sin() * views[:, y] * (deep / wide)
    changed[:, y] = angle.sin() * views[:, x] * (wide / deep) + angle.cos() * views[:, y]
    return changed


def rasterise(
    values: np.ndarray,
    column: np.ndarray,
    strength: np.ndarray,
    limits: Sequence[tuple[float, float]],
    bins: int,
    columns: int,
) -> np.ndarray:
    """Counts detections into maps, one a quantity: the strengths of those that share a bin and a frame add up.

    Args:
        values: (D, quantities) such as lateral place, range, height and Doppler of each detection.
        column: (D,) the frame that each was made in.
        strength: (D,) what each adds.
        limits: of each quantity, the least and the largest value of its bins; beyond lies the outermost bin.
        bins: how many a quantity has.
        columns: how many frames there are.

    Returns:
        (quantities, bins, columns) at most 255, the largest number of a byte.
    """
    low, high = np.array(limits).T
    place = ((values - low) / (high - low) * bins).astype(int).clip(0, bins - 1)
    maps = np.zeros((len(low), bins, columns))
    np.add.at(maps, (np.arange(len(low)), place, column[:, None]), strength[:, None])
    return maps.clip(max=255)


def summary_view(spec: InputSpec) -> InputSpec:
    """The same view with no more bins or points than statistics need; time stays as it is."""
    most = {"bin": SUMMARY_BINS, "point": SUMMARY_POINTS}
    shape = tuple(min(size, most.get(axis, size)) for size, axis in zip(spec.shape, spec.axes, strict=True))
    return spec.with_(shape=shape)


MODALITIES.add(
    "radar",
    Modality(
        view=numeric_view,
        augment=augment,
        fit=fit_normalisation,
        layouts=(SERIES, MAP, CLOUD),
        summary_view=summary_view,
    ),
)
