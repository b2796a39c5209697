"""The modalities that are plain time series have all families of them, in all sizes."""

from __future__ import annotations

import pytest

from hatlit.encoders.base import ENCODERS, InputSpec, build_encoder
from hatlit.encoders.blocks import SIZES
from hatlit.zoo.train_source import default_encoders

FAMILIES = ("cnn", "tcn", "cnn_gru", "transformer")
every_modality = pytest.mark.parametrize("modality", ["imu", "emg", "skeleton"])


@every_modality
def test_every_family_and_size_is_registered(modality: str) -> None:
    assert set(ENCODERS.names(modality)) >= {f"{family}_{size}" for family in FAMILIES for size in SIZES}
    assert all(entry.summary for entry in ENCODERS.entries(modality))


@every_modality
def test_sources_take_turns_with_the_tiny_ones(modality: str) -> None:
    spec = InputSpec(modality=modality, channels=("x", "y", "z"), shape=(64,), rate=50.0)
    assert default_encoders(spec) == [f"{family}_tiny" for family in FAMILIES]
    assert build_encoder("cnn_nano", spec).input_spec == spec
