"""Which encoders pictures have, and how pretrained weights want to see colours."""

from __future__ import annotations

import pytest

from hatlit.encoders.base import ENCODERS, InputSpec, build_encoder
from hatlit.encoders.blocks import SIZES
from hatlit.encoders.image import as_in_training
from hatlit.encoders.timm_models import Colours
from hatlit.zoo.train_source import default_encoders

IMAGENET = Colours(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def spec(channels: tuple[str, ...] = ("red", "green", "blue"), std: float | None = 60.0) -> InputSpec:
    scale = {} if std is None else {"mean": (90.0,) * len(channels), "std": (std,) * len(channels)}
    return InputSpec(modality="image", channels=channels, shape=(28, 28), **scale)


def test_names_and_turns() -> None:
    assert set(ENCODERS.names("image")) >= {f"{family}_{size}" for family in ("cnn", "mixer") for size in SIZES}
    assert all(entry.summary for entry in ENCODERS.entries("image"))
    assert default_encoders(spec()) == ["cnn_tiny", "mixer_tiny"]


@pytest.mark.parametrize(("std", "white"), [(0.3, 1.0), (60.0, 255.0), (9000.0, 65535.0), (None, 255.0)])
def test_white_is_told_from_the_spread_of_the_domain(std: float | None, white: float) -> None:
    wanted = as_in_training(spec(std=std), IMAGENET)
    assert wanted.mean == pytest.approx([white * value for value in IMAGENET.mean])
    assert wanted.std == pytest.approx([white * value for value in IMAGENET.std])


@pytest.mark.parametrize("colours", [IMAGENET, Colours((0.0,) * 3, (1.0,) * 3), Colours((0.5,) * 3, (0.5,) * 3)])
@pytest.mark.parametrize("std", [0.3, 60.0, 9000.0])
def test_asked_again_it_wants_the_same(colours: Colours, std: float) -> None:
    wanted = as_in_training(spec(std=std), colours)
    assert as_in_training(wanted, colours) == wanted


@pytest.mark.parametrize("channels", [("grey",), ("red", "green", "blue", "near_infrared")])
def test_other_channels_get_the_mean_over_the_colours(channels: tuple[str, ...]) -> None:
    wanted = as_in_training(spec(channels), IMAGENET)
    assert wanted.mean == pytest.approx([255 * 0.449] * len(channels))
    assert wanted.std == pytest.approx([255 * 0.226] * len(channels))


def test_untrained_models_keep_the_normalisation_of_the_domain() -> None:
    pytest.importorskip("timm", exc_type=(ImportError, RuntimeError))  # type: ignore[arg-type]
    encoder = build_encoder("timm:test_resnet", spec())
    assert encoder.input_spec == spec().with_(shape=(32, 32))
