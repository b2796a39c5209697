"""Views and augmentation of depth maps: the distance to what a camera sees, 0 where it measured nothing.

A hole is no distance. Standardised along with the rest it would become a distance: that of something before everything
else, or, filled with the mean, that of the very thing that is looked at. So means are taken over measured pixels only,
and a hole gets a place of its own, behind the farthest that a view can show. Most holes are there for that reason: the
background lies beyond the camera's reach, or was cut away.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hatlit.datamodules.augment import Chance, cut_out, shift
from hatlit.datamodules.base import MODALITIES, Modality
from hatlit.datamodules.image import summary_view
from hatlit.datamodules.views import normalisation, normalise, numeric_view
from hatlit.encoders.base import InputSpec

#: Normalised distances are held within this many standard deviations of the mean.
FARTHEST = 2.5

#: Where pixels without a measurement lie in a normalised view. In one that is not normalised they stay 0, as recorded.
HOLE = 3.0

#: A pixel of a view is measured if at least this share of what it covers is.
MEASURED = 0.5

#: How strongly ``augment`` changes a view.
SHIFT = 0.03  # of the height and width, largest; more undoes what place tells
OFFSET = 0.15  # of a channel's standard deviation
GAIN = 0.1  # relative, standard deviation
DROPOUT = 0.3  # of the height and width of the rectangle that is lost, largest
SPECKLE = 0.05  # share of the pixels that are lost one by one, largest


def view(samples: Tensor, recorded: InputSpec, wanted: InputSpec) -> Tensor:
    """Shows recorded depth maps the way a model wants to see them.

    Channels are found by name. Height and width are stretched: a pixel of the view is the mean of the measured part of
    what it covers, or a hole where that is less than half. Then distances are normalised, and holes put behind them.

    Args:
        samples: (B, channels, height, width) as recorded, 0 where nothing was measured.
        recorded: how they were recorded.
        wanted: what the model expects.

    Returns:
        (B, wanted channels, wanted height, wanted width) float32.

    Raises:
        InputError: the recording lacks a channel, or has other axes than the model expects.
    """
    plain = wanted.model_copy(update={"mean": (), "std": ()})
    share = numeric_view((samples > 0).float(), recorded, plain)
    distance = numeric_view(samples.float().clamp(min=0), recorded, plain) / share.clamp(min=MEASURED)
    return _hold(normalise(distance, wanted), share < MEASURED, wanted)


def fit(samples: np.ndarray, recorded: InputSpec) -> InputSpec:
    """Returns the recorded form with mean and standard deviation of the measured pixels of each channel.

    A channel without any keeps its numbers.

    Args:
        samples: (N, channels, height, width) as recorded, 0 where nothing was measured.
        recorded: how they were recorded.
    """
    measured = samples > 0
    axes = (0, *range(2, samples.ndim))
    count = np.maximum(measured.sum(axes), 1)
    mean = samples.sum(axes, dtype=np.float64, where=measured) / count
    deviation = (samples - mean.reshape(-1, *[1] * (samples.ndim - 2))) ** 2
    return recorded.with_(**normalisation(mean, np.sqrt(deviation.sum(axes, where=measured) / count)))


def augment(views: Tensor, spec: InputSpec, generator: torch.Generator) -> Tensor:
    """Returns copies of views as another camera, or the same one step aside, might have recorded them.

    What is seen shifts in the plane (the border is held), lies a little nearer or farther and a little flatter or
    deeper, and a rectangle and single pixels are lost, in all channels alike. What was a hole is one afterwards, at its
    new place.

    Args:
        views: (B, channels, height, width), as ``view`` builds them.
        spec: their form.
        generator: the only source of randomness.
    """
    chance = Chance(views, generator)
    changed = views
    for axis in (2, 3):
        changed = shift(changed, axis, round(SHIFT * views.shape[axis]), chance)
    lost = chance.uniform(0, 1, len(views), 1, *views.shape[2:]) < chance.uniform(0, SPECKLE, len(views), 1, 1, 1)
    holes = (changed == hole(spec)) | lost
    depth, offset = 1 + GAIN * chance.normal(len(views), 1, 1, 1), OFFSET * chance.normal(len(views), 1, 1, 1)
    return cut_out(_hold(changed * depth + offset, holes, spec), DROPOUT, chance, fill=hole(spec))


def hole(spec: InputSpec) -> float:
    """The number that stands in a view for a pixel without a measurement."""
    return HOLE if spec.mean else 0.0


def _hold(distance: Tensor, holes: Tensor, spec: InputSpec) -> Tensor:
    """Keeps normalised distances before the place of holes, and puts the holes there."""
    within = distance.clamp(-FARTHEST, FARTHEST) if spec.mean else distance
    return within.masked_fill(holes, hole(spec))


MODALITIES.add(
    "depth", Modality(view=view, augment=augment, fit=fit, layouts=(("height", "width"),), summary_view=summary_view)
)
