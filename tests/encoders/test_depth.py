"""Which encoders depth maps have."""

from __future__ import annotations

import pytest

from hatlit.encoders.base import ENCODERS, InputSpec, build_encoder
from hatlit.encoders.blocks import SIZES
from hatlit.zoo.train_source import default_encoders


def spec(channels: int) -> InputSpec:
    names = tuple(f"frame_{number}" for number in range(channels))
    return InputSpec(
        modality="depth", channels=names, shape=(40, 40), mean=(900.0,) * channels, std=(200.0,) * channels
    )


@pytest.mark.parametrize("channels", [1, 10])
def test_names_and_turns(channels: int) -> None:
    assert set(ENCODERS.names("depth")) >= {f"{family}_{size}" for family in ("cnn", "mixer") for size in SIZES}
    assert default_encoders(spec(channels)) == ["cnn_tiny", "mixer_tiny"]
    assert build_encoder("cnn_nano", spec(channels)).input_spec == spec(channels)


@pytest.mark.parametrize("channels", [1, 10])
def test_timm_looks_at_a_clip_as_one_picture_and_keeps_its_distances(channels: int) -> None:
    pytest.importorskip("timm", exc_type=(ImportError, RuntimeError))  # type: ignore[arg-type]
    encoder = build_encoder("timm:test_resnet", spec(channels))
    assert encoder.input_spec == spec(channels)
    assert encoder(spec(channels).blank(2)).shape == (2, encoder.feature_dim)
