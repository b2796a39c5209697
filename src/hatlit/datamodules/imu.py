"""Views and augmentation of inertial recordings: accelerometers, gyroscopes and their like."""

from __future__ import annotations

import torch
from torch import Tensor

from hatlit.datamodules.augment import Chance, gain, jitter, shift, warp_time
from hatlit.datamodules.base import MODALITIES, Modality
from hatlit.datamodules.views import fit_normalisation, numeric_view
from hatlit.encoders.base import InputSpec

#: How strongly ``augment`` changes a view. A strap that sits a little differently turns by about ten degrees.
ROTATION = 0.17  # radians, standard deviation
GAIN = 0.1  # relative, standard deviation
SHIFT = 0.1  # of the window's length, largest
WARP = 0.05  # of the window's length, largest
JITTER = 0.05  # of a channel's standard deviation


def augment(views: Tensor, spec: InputSpec, generator: torch.Generator) -> Tensor:
    """Returns copies of views as another wearing of the same device might have recorded them.

    A small rotation, the same for every triple of axes (left out where channels do not come in threes), a gain, a shift
    in time that holds the first or last value, a warp of time, and noise. Each sample gets its own.

    Args:
        views: (B, channels, time), normalised.
        spec: their form.
        generator: the only source of randomness.
    """
    chance = Chance(views, generator)
    changed = rotate(views, chance) if views.shape[1] % 3 == 0 else views
    changed = shift(gain(changed, GAIN, chance), 2, int(SHIFT * views.shape[2]), chance)
    return jitter(warp_time(changed, 2, WARP, chance), JITTER, chance)


def rotate(views: Tensor, chance: Chance) -> Tensor:
    """Turns each row of (B, 3 x devices, time) a little; all devices of a row alike."""
    batch, channels, time = views.shape
    triples = views.reshape(batch, channels // 3, 3, time)
    return torch.einsum("bij,bajt->bait", _rotation(ROTATION * chance.normal(batch, 3)), triples).reshape(views.shape)


def _rotation(turns: Tensor) -> Tensor:
    """Maps rotation vectors (B, 3), axis times angle in radians, to rotation matrices (B, 3, 3)."""
    x, y, z = turns.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(-1, 3, 3)
    return torch.linalg.matrix_exp(cross)


MODALITIES.add("imu", Modality(view=numeric_view, augment=augment, fit=fit_normalisation))
