"""Every family of time series keeps the contract, at any number of channels and any length; the smallest one learns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hatlit.encoders.base import InputSpec, build_encoder
from hatlit.encoders.blocks import SIZES
from hatlit.errors import InputError

FAMILIES = ("cnn", "tcn", "cnn_gru", "transformer")
NAMES = [f"{family}_{size}" for family in FAMILIES for size in SIZES]


def spec(channels: int = 6, time: int = 64) -> InputSpec:
    return InputSpec(modality="imu", channels=tuple(f"c{number}" for number in range(channels)), shape=(time,))


@pytest.mark.parametrize("name", NAMES)
# Of eight samples a GRU sees a single step, and its recurrent weights rest.
@pytest.mark.parametrize(("channels", "time"), [(3, 9), (6, 64)])
def test_keeps_the_contract(
    name: str, channels: int, time: int, check_contract: Callable[[str, InputSpec], None]
) -> None:
    check_contract(name, spec(channels, time))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("channels", "time"), [(1, 8), (9, 200)])
def test_shapes(family: str, channels: int, time: int) -> None:
    encoder = build_encoder(f"{family}_nano", spec(channels, time))
    assert encoder(torch.randn(2, channels, time)).shape == (2, encoder.feature_dim)


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_grow(family: str, num_parameters: Callable[..., int]) -> None:
    counts = [num_parameters(build_encoder(f"{family}_{size}", spec())) for size in SIZES]
    assert counts == sorted(set(counts))
    assert counts[0] < 20_000
    assert counts[-1] < 1_500_000


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("shape", "axes"), [((7,), ("time",)), ((64, 64), ("height", "width")), ((64,), ("point",))])
def test_a_view_that_is_no_time_series_is_refused(family: str, shape: tuple[int, ...], axes: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="samples over time with at least 8 of each, not"):
        build_encoder(f"{family}_nano", spec().with_(shape=shape, axes=axes))


def rhythms(rows_per_class: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sines of one of three frequencies at any phase, in noise: (B, 3, 64) and (B,)."""
    label = torch.arange(3).repeat_interleave(rows_per_class)
    phase = torch.rand(len(label), 3, 1, generator=generator) * 6.3
    angle = torch.arange(64) * (0.2 * 2.0 ** label[:, None, None]) + phase
    return angle.sin() + 0.3 * torch.randn(len(label), 3, 64, generator=generator), label


@pytest.mark.parametrize("family", FAMILIES)
def test_the_smallest_learns_rhythms_from_few_windows(
    family: str, accuracy_after_learning: Callable[..., float]
) -> None:
    generator = torch.Generator().manual_seed(0)
    seen, unseen = rhythms(32, generator), rhythms(32, generator)
    assert accuracy_after_learning(f"{family}_nano", spec(channels=3), seen, unseen) > 0.9
