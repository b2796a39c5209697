"""Views and augmentation of skeletons: joints of a body over time, three coordinates each."""

from __future__ import annotations

from hatlit.datamodules.base import MODALITIES, Modality
from hatlit.datamodules.imu import augment
from hatlit.datamodules.views import fit_normalisation, numeric_view

# A body that stands a little turned before the camera is to its joints what a turned strap is to an IMU's axes.
MODALITIES.add("skeleton", Modality(view=numeric_view, augment=augment, fit=fit_normalisation))
