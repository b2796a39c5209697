"""The families of a grid of two axes, whatever lies on it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import nn

from hatlit.encoders.base import InputSpec, build_encoder
from hatlit.encoders.blocks import SIZES
from hatlit.encoders.grid import CELLS, MIXER_SIDE, _Cells, cnn, mixer, picture_cnn
from hatlit.errors import InputError

BUILDERS = [cnn, picture_cnn, mixer]
every_builder = pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: builder.__name__)


def spec(channels: int = 3, shape: tuple[int, ...] = (28, 28), **changes: object) -> InputSpec:
    names = tuple(f"channel_{number}" for number in range(channels))
    return InputSpec.model_validate({"modality": "image", "channels": names, "shape": shape, **changes})


@pytest.mark.parametrize("family", ["cnn", "mixer"])
@pytest.mark.parametrize("size", SIZES)
def test_contract(family: str, size: str, check_contract: Callable[[str, InputSpec], None]) -> None:
    check_contract(f"{family}_{size}", spec())


@every_builder
@pytest.mark.parametrize(("channels", "shape"), [(1, (8, 8)), (10, (40, 40)), (2, (9, 33))])
def test_any_number_of_channels_and_any_size(builder: Callable, channels: int, shape: tuple[int, int]) -> None:
    wanted = spec(channels, shape)
    encoder = builder(wanted, "nano")
    assert encoder.input_spec == wanted
    assert encoder(wanted.blank(2).normal_()).shape == (2, encoder.feature_dim)


@every_builder
def test_sizes_grow(builder: Callable, num_parameters: Callable[[nn.Module], int]) -> None:
    counts = [num_parameters(builder(spec(), size)) for size in SIZES]
    assert all(one < other for one, other in pairwise(counts))
    assert counts[0] < 20_000
    assert counts[-1] < 1_500_000


@every_builder
@pytest.mark.parametrize("changes", [{"shape": (7, 28)}, {"shape": (28,), "axes": ("time",)}])
def test_what_is_no_grid_is_refused(builder: Callable, changes: dict[str, object]) -> None:
    with pytest.raises(InputError, match="at least 8 of each"):
        builder(spec(**changes), "nano")  # type: ignore[arg-type]


def test_a_mixer_asks_for_large_views_at_a_size_it_can_weigh(num_parameters: Callable[[nn.Module], int]) -> None:
    encoder = mixer(spec(shape=(240, 30)), "nano")
    assert encoder.input_spec == spec(shape=(MIXER_SIDE, 30))
    assert num_parameters(mixer(spec(shape=(2000, 2000)), "nano")) < 20_000
    assert mixer(encoder.input_spec, "nano").input_spec == encoder.input_spec


def test_a_cell_is_the_mean_of_the_places_in_it() -> None:
    grid = torch.arange(64.0).reshape(1, 1, 8, 8)
    assert _Cells((8, 8))(grid)[0, :2].tolist() == [4.5, 6.5]  # of 0, 1, 8, 9 and of 2, 3, 10, 11
    assert _Cells((8, 8))(grid)[0, -1].item() == 58.5


def test_a_place_on_the_border_counts_in_both_cells_by_its_share() -> None:
    line = torch.tensor([6.0, 0.0, 0.0, 0.0, 0.0, 12.0]).expand(1, 1, 4, 6)
    across = _Cells((4, 6))(line).reshape(CELLS, CELLS)
    # A cell is one and a half places wide: the first holds a whole 6 and half a 0.
    torch.testing.assert_close(across, torch.tensor([4.0, 0.0, 0.0, 8.0]).expand(CELLS, CELLS))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 30])
def test_cells_keep_the_mean(count: int) -> None:
    grid = torch.randn(2, 3, count, 5)
    means = _Cells((count, 5))(grid).reshape(2, 3, -1).mean(2)
    torch.testing.assert_close(means, grid.mean((2, 3)))


@torch.no_grad()
def test_pictures_keep_track_of_where_something_is() -> None:
    view = torch.zeros(1, 1, 64, 64)
    view[..., 24:28, 16:20] = 1
    moved = view.roll(16, dims=3)  # by one cell, far enough from the border on either side

    def change(builder: Callable) -> float:
        torch.manual_seed(0)
        encoder = builder(spec(1, (64, 64)), "nano")
        nothing, here, there = (encoder(one) for one in (torch.zeros_like(view), view, moved))
        return ((here - there).norm() / (here - nothing).norm()).item()

    assert change(cnn) < 0.05
    assert change(picture_cnn) > 0.5


@pytest.mark.parametrize("family", ["cnn", "mixer"])
def test_the_smallest_learns_where_from_few_views(family: str, accuracy_after_learning: Callable[..., float]) -> None:
    def spots(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        label = torch.arange(48) % 4
        views = 0.3 * torch.randn(48, 1, 16, 16, generator=generator)
        for row, number in enumerate(label.tolist()):
            views[row, 0, 8 * (number // 2) + 2 :, 8 * (number % 2) + 2 :][:4, :4] += 1
        return views, label

    assert accuracy_after_learning(f"{family}_nano", spec(1, (16, 16)), spots(0), spots(1)) > 0.9


def test_names_lead_to_the_families_of_pictures() -> None:
    assert [type(block).__name__ for block in build_encoder("cnn_tiny", spec()).children()][-1] == "_Cells"
