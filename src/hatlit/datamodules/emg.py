"""Views and augmentation of electromyograms: the electric activity of muscles, an electrode a channel."""

from __future__ import annotations

import torch
from torch import Tensor

from hatlit.datamodules.augment import Chance, gain, jitter, shift
from hatlit.datamodules.base import MODALITIES, Modality
from hatlit.datamodules.views import fit_normalisation, numeric_view
from hatlit.encoders.base import InputSpec

#: How strongly ``augment`` changes a view. Electrodes do not turn into one another, so no channels are mixed.
CONTACT = 0.15  # relative gain of each electrode, standard deviation
SHIFT = 0.1  # of the window's length, largest
JITTER = 0.05  # of a channel's standard deviation


def augment(views: Tensor, spec: InputSpec, generator: torch.Generator) -> Tensor:
    """Returns copies of views (B, channels, time) as other contacts of the same electrodes might have recorded them."""
    chance = Chance(views, generator)
    contact = 1 + CONTACT * chance.normal(*views.shape[:2], 1)
    return jitter(shift(gain(views * contact, CONTACT, chance), 2, int(SHIFT * views.shape[2]), chance), JITTER, chance)


MODALITIES.add("emg", Modality(view=numeric_view, augment=augment, fit=fit_normalisation))
