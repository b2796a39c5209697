"""Radar encoders: maps, series and clouds each have theirs, and refuse the others'."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hatlit.encoders.base import ENCODERS, InputSpec, build_encoder, suits
from hatlit.encoders.blocks import SIZES
from hatlit.errors import InputError
from hatlit.zoo.train_source import default_encoders

FAMILIES = ("cnn", "cnn_gru", "tcn", "transformer")
NAMES = [f"{family}_{size}" for family in FAMILIES for size in SIZES]


def spec(shape: tuple[int, ...], axes: tuple[str, ...], channels: int = 4) -> InputSpec:
    names = tuple(f"c{number}" for number in range(channels))
    return InputSpec(modality="radar", channels=names, shape=shape, axes=axes, rate=10.0)


def maps(bins: int = 32, time: int = 24, channels: int = 4) -> InputSpec:
    return spec((bins, time), ("bin", "time"), channels)


SERIES = spec((55,), ("time",), channels=1)
CLOUD = spec((128,), ("point",), channels=6)
PICTURE = spec((32, 32), ("height", "width"))


@pytest.mark.parametrize("name", NAMES)
def test_keeps_the_contract_on_maps(name: str, check_contract: Callable[[str, InputSpec], None]) -> None:
    check_contract(name, maps(13, 17))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("view", [maps(8, 8, channels=1), maps(100, 9), SERIES], ids=["least", "tall", "series"])
def test_takes_maps_of_any_size_and_series(family: str, view: InputSpec) -> None:
    encoder = build_encoder(f"{family}_nano", view)
    assert encoder(view.blank(2)).shape == (2, encoder.feature_dim)
    assert encoder.input_spec == view


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_grow(family: str, num_parameters: Callable[..., int]) -> None:
    counts = [num_parameters(build_encoder(f"{family}_{size}", maps())) for size in SIZES]
    assert counts == sorted(set(counts))
    assert counts[0] < 20_000


def test_every_family_is_listed_with_what_it_is() -> None:
    assert set(ENCODERS.names("radar")) >= {*NAMES, *(f"pointnet_{size}" for size in SIZES)}
    assert all(entry.summary for entry in ENCODERS.entries("radar"))


@pytest.mark.parametrize(
    ("view", "student", "sources"),
    [
        (maps(), "cnn_nano", [f"{family}_tiny" for family in FAMILIES]),
        (SERIES, "cnn_nano", [f"{family}_tiny" for family in FAMILIES]),
        (CLOUD, "pointnet_nano", ["pointnet_tiny"]),
    ],
    ids=["maps", "series", "cloud"],
)
def test_what_a_view_gets_where_nothing_is_named(view: InputSpec, student: str, sources: list[str]) -> None:
    nano = [name for name in ENCODERS.names("radar") if name.endswith("_nano")]
    assert next(name for name in nano if suits(name, view)) == student
    assert default_encoders(view) == sources


@pytest.mark.parametrize("name", [f"{family}_nano" for family in FAMILIES])
@pytest.mark.parametrize("view", [CLOUD, PICTURE, maps(bins=7), maps(time=7)], ids=["cloud", "picture", "low", "short"])
def test_other_views_are_refused(name: str, view: InputSpec) -> None:
    with pytest.raises(InputError, match="with at least 8 of each, not"):
        build_encoder(name, view)


def streaks(rows_per_class: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A target that comes closer, goes away, or stays at any range, in noise: (B, 1, 16 bins, 12 frames) and (B,)."""
    label = torch.arange(3).repeat_interleave(rows_per_class)
    start = 5 + 6 * torch.rand(len(label), 1, generator=generator)
    at = start + 0.5 * (label[:, None] - 1) * (torch.arange(12) - 6)
    distance = torch.arange(16)[None, :, None] - at[:, None]
    noise = 0.3 * torch.randn(len(label), 1, 16, 12, generator=generator)
    return torch.exp(-distance.square()).unsqueeze(1) * 3 + noise, label


@pytest.mark.parametrize("family", FAMILIES)
def test_the_smallest_learns_motion_from_few_maps(family: str, accuracy_after_learning: Callable[..., float]) -> None:
    generator = torch.Generator().manual_seed(0)
    seen, unseen = streaks(40, generator), streaks(40, generator)
    assert accuracy_after_learning(f"{family}_nano", maps(16, 12, channels=1), seen, unseen) > 0.9


@pytest.mark.parametrize("family", ["cnn_gru", "tcn", "transformer"])
def test_a_frame_is_seen_as_a_whole(family: str) -> None:
    """Where along the bins an echo lies is plain to the families over frames; a picture network hardly sees it."""
    encoder = build_encoder(f"{family}_nano", maps())
    near, far = torch.zeros(1, 4, 32, 24), torch.zeros(1, 4, 32, 24)
    near[:, :, 10:12], far[:, :, 18:20] = 1, 1
    apart = (encoder(near) - encoder(far)).norm() / encoder(near).norm()
    picture = build_encoder("cnn_nano", maps())
    assert apart > 10 * (picture(near) - picture(far)).norm() / picture(near).norm()
