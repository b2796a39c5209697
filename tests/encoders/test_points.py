"""PointNet: any order of points, points that come twice, its sizes, and what it learns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hatlit.datamodules.views import spread
from hatlit.encoders.base import InputSpec, build_encoder
from hatlit.encoders.blocks import SIZES
from hatlit.errors import InputError


def spec(points: int = 48, channels: int = 6) -> InputSpec:
    names = tuple(f"c{number}" for number in range(channels))
    return InputSpec(modality="radar", channels=names, shape=(points,), axes=("point",))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("points", "channels"), [(8, 1), (48, 6)])
def test_keeps_the_contract(
    size: str, points: int, channels: int, check_contract: Callable[[str, InputSpec], None]
) -> None:
    check_contract(f"pointnet_{size}", spec(points, channels))


def test_sizes_grow(num_parameters: Callable[..., int]) -> None:
    counts = [num_parameters(build_encoder(f"pointnet_{size}", spec())) for size in SIZES]
    assert counts == sorted(set(counts))
    assert counts[0] < 20_000
    assert counts[-1] < 1_500_000


def test_the_order_of_points_does_not_matter() -> None:
    encoder = build_encoder("pointnet_nano", spec())
    cloud = torch.randn(3, 6, 48)
    torch.testing.assert_close(encoder(cloud[:, :, torch.randperm(48)]), encoder(cloud))


@pytest.mark.parametrize(("points", "even"), [(12, True), (20, False)])
def test_points_that_come_over_and_over_are_the_same_cloud(points: int, even: bool) -> None:
    encoder = build_encoder("pointnet_nano", spec())
    cloud = torch.randn(3, 6, points)
    once, repeated = encoder(cloud), encoder(cloud[:, :, spread(points, 48)])
    mean, largest = slice(0, encoder.feature_dim // 2), slice(encoder.feature_dim // 2, None)
    torch.testing.assert_close(repeated[:, largest], once[:, largest])
    assert torch.allclose(repeated[:, mean], once[:, mean], atol=1e-5) == even


@pytest.mark.parametrize(("shape", "axes"), [((7,), ("point",)), ((64,), ("time",)), ((32, 24), ("bin", "time"))])
def test_a_view_that_is_no_cloud_is_refused(shape: tuple[int, ...], axes: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="samples over point with at least 8 of each, not"):
        build_encoder("pointnet_nano", spec().with_(shape=shape, axes=axes))


def bodies(rows_per_class: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points on a sphere, in a ball or on a ring of the same size, each turned about: (B, 3, 48) and (B,)."""
    label = torch.arange(3).repeat_interleave(rows_per_class)
    direction = torch.randn(len(label), 3, 48, generator=generator)
    direction[label == 2, 2] = 0
    sphere = direction / direction.norm(dim=1, keepdim=True)
    radius = torch.where(label[:, None, None] == 1, torch.rand(len(label), 1, 48, generator=generator), 1.0)
    return sphere * radius + 0.02 * torch.randn(len(label), 3, 48, generator=generator), label


def test_the_smallest_learns_shapes_from_few_clouds(accuracy_after_learning: Callable[..., float]) -> None:
    generator = torch.Generator().manual_seed(0)
    seen, unseen = bodies(32, generator), bodies(32, generator)
    assert accuracy_after_learning("pointnet_nano", spec(channels=3), seen, unseen) > 0.9
