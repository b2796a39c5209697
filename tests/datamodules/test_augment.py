"""Random changes of views: every row its own, nothing in place, and nothing but what each of them says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hatlit.datamodules.augment import Chance, cut_out, gain, jitter, mask_span, shift, warp_time

few = settings(max_examples=40, deadline=None)
Change = Callable[[Tensor, Chance], Tensor]

#: Each change with a strength that shows.
CHANGES: dict[str, Change] = {
    "gain": lambda views, chance: gain(views, 0.3, chance),
    "jitter": lambda views, chance: jitter(views, 0.3, chance),
    "shift": lambda views, chance: shift(views, 3, 5, chance),
    "warp_time": lambda views, chance: warp_time(views, 3, 0.2, chance),
    "mask_span": lambda views, chance: mask_span(views, 3, 8, chance),
    "cut_out": lambda views, chance: cut_out(views, 0.5, chance),
}
#: The same changes with a strength of nothing.
REST: dict[str, Change] = {
    "gain": lambda views, chance: gain(views, 0.0, chance),
    "jitter": lambda views, chance: jitter(views, 0.0, chance),
    "shift": lambda views, chance: shift(views, 3, 0, chance),
    "warp_time": lambda views, chance: warp_time(views, 3, 0.0, chance),
    "mask_span": lambda views, chance: mask_span(views, 3, 0, chance),
    "cut_out": lambda views, chance: cut_out(views, 0.0, chance),
}
every_change = pytest.mark.parametrize("name", CHANGES)


def chance_for(views: Tensor, seed: int = 0) -> Chance:
    return Chance(views, torch.Generator().manual_seed(seed))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def is_one_run(mask: Tensor) -> bool:
    """Whether the true places of (size,) stand side by side."""
    places = mask.nonzero().flatten()
    return len(places) == 0 or int(places[-1] - places[0]) + 1 == len(places)


@every_change
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_obeys_its_generator_alone_and_changes_nothing_in_place(name: str, dtype: torch.dtype) -> None:
    views = noise(6, 2, 10, 24).to(dtype)
    kept = views.clone()
    torch.manual_seed(1)
    first = CHANGES[name](views, chance_for(views, 5))
    torch.manual_seed(2)
    second = CHANGES[name](views, chance_for(views, 5))
    assert torch.equal(first, second)
    assert not torch.equal(first, CHANGES[name](views, chance_for(views, 6)))
    assert torch.equal(views, kept)
    assert first.shape == views.shape
    assert first.dtype == dtype


@every_change
def test_every_row_gets_its_own(name: str) -> None:
    row = noise(1, 2, 10, 24)
    changed = CHANGES[name](row.repeat(12, 1, 1, 1), chance_for(row))
    assert len(torch.unique(changed.flatten(1), dim=0)) > 6


@every_change
def test_no_strength_no_change(name: str) -> None:
    views = noise(6, 2, 10, 24)
    torch.testing.assert_close(REST[name](views, chance_for(views)), views)


@every_change
def test_no_rows_stay_none(name: str) -> None:
    assert CHANGES[name](torch.zeros(0, 2, 10, 24), chance_for(torch.zeros(0))).shape == (0, 2, 10, 24)


def test_chance_draws_what_it_says() -> None:
    chance = chance_for(torch.zeros(1, dtype=torch.float64))
    normal, uniform, whole = chance.normal(20_000), chance.uniform(-2, 5, 20_000), chance.whole(-1, 2, 2_000)
    assert normal.dtype == uniform.dtype == torch.float64
    assert normal.mean().item() == pytest.approx(0, abs=0.03)
    assert normal.std().item() == pytest.approx(1, abs=0.03)
    assert -2 <= uniform.min() < -1.99 < 4.99 < uniform.max() <= 5
    assert uniform.mean().item() == pytest.approx(1.5, abs=0.05)
    assert whole.dtype == torch.int64
    assert set(whole.tolist()) == {-1, 0, 1, 2}
    assert chance.normal(2, 3).shape == (2, 3)


def test_gain_is_one_number_a_row() -> None:
    views = 1 + noise(2000, 2, 5).abs()
    factor = gain(views, 0.2, chance_for(views)) / views
    torch.testing.assert_close(factor, factor[:, :1, :1].expand(views.shape))
    assert factor.mean().item() == pytest.approx(1, abs=0.02)
    assert factor[:, 0, 0].std().item() == pytest.approx(0.2, abs=0.02)


def test_jitter_is_one_number_a_place() -> None:
    views = noise(50, 2, 100)
    added = jitter(views, 0.2, chance_for(views)) - views
    assert added.std().item() == pytest.approx(0.2, abs=0.01)
    assert added.mean().item() == pytest.approx(0, abs=0.01)
    assert abs(torch.corrcoef(added.reshape(2, -1))[0, 1]) < 0.05


def moved(views: Tensor, by: int) -> Tensor:
    """Views (..., time) that come ``by`` samples earlier, the edge held: the slow way."""
    last = views.shape[-1] - 1
    return torch.stack([views[..., min(max(place + by, 0), last)] for place in range(last + 1)], dim=-1)


@few
@given(st.integers(1, 12), st.integers(0, 15), st.integers(2, 3), st.integers(0, 99))
def test_shift_holds_the_edge(size: int, reach: int, axis: int, seed: int) -> None:
    views = noise(4, 2, size, size, seed=seed)
    changed = shift(views, axis, reach, chance_for(views, seed)).movedim(axis, -1)
    for row, before in zip(changed, views.movedim(axis, -1), strict=True):
        assert any(torch.equal(row, moved(before, by)) for by in range(-reach, reach + 1))


def test_shift_goes_both_ways_and_all_the_way() -> None:
    views = torch.arange(20.0).expand(300, 1, 20)
    middle = shift(views, 2, 3, chance_for(views))[:, 0, 10]
    assert set(middle.tolist()) == {7, 8, 9, 10, 11, 12, 13}


def test_warped_time_keeps_its_ends_and_never_runs_backwards() -> None:
    views = torch.arange(50.0).expand(200, 1, 50)
    changed = warp_time(views, 2, 0.19, chance_for(views))
    torch.testing.assert_close(changed[..., [0, -1]], views[..., [0, -1]], atol=1e-4, rtol=0)
    assert (changed.diff(dim=-1) >= 0).all()
    assert 1 < (changed - views).abs().max() <= 0.19 * 50


@few
@given(st.integers(2, 3), st.integers(0, 99))
def test_warped_time_stays_between_its_neighbours(axis: int, seed: int) -> None:
    views = noise(4, 2, 9, 9, seed=seed)
    changed = warp_time(views, axis, 0.2, chance_for(views, seed))
    assert (changed <= views.amax(axis, keepdim=True) + 1e-6).all()
    assert (changed >= views.amin(axis, keepdim=True) - 1e-6).all()
    constant = torch.full((4, 2, 9, 9), 3.0)
    torch.testing.assert_close(warp_time(constant, axis, 0.2, chance_for(views, seed)), constant)


@few
@given(st.integers(2, 3), st.integers(0, 9), st.integers(0, 99))
def test_a_masked_span_is_one_run_in_all_channels(axis: int, longest: int, seed: int) -> None:
    views = noise(5, 2, 9, 9, seed=seed)
    changed = mask_span(views, axis, longest, chance_for(views, seed), fill=7.0)
    masked = changed == 7
    assert torch.equal(changed[~masked], views[~masked])
    along = masked.movedim(axis, -1).flatten(1, 2)  # (rows, what the span runs through, places)
    assert torch.equal(along.all(1), along.any(1))
    for run in along.all(1):
        assert is_one_run(run)
        assert run.sum() <= longest


def test_masked_spans_have_every_length_and_reach_both_ends() -> None:
    views = torch.ones(400, 1, 10)
    masked = mask_span(views, 2, 4, chance_for(views))[:, 0] == 0
    assert set(masked.sum(1).tolist()) == {0, 1, 2, 3, 4}
    assert masked[:, 0].any()
    assert masked[:, -1].any()
    whole = mask_span(views, 2, 10, chance_for(views))
    assert (whole == 0).all(2).any(), "a span may be as long as the view"


@few
@given(st.integers(3, 12), st.integers(3, 12), st.floats(0, 1), st.integers(0, 99))
def test_what_is_cut_out_is_a_rectangle(height: int, width: int, largest: float, seed: int) -> None:
    views = noise(5, 2, height, width, seed=seed)
    changed = cut_out(views, largest, chance_for(views, seed), fill=7.0)
    for before, after in zip(views, changed, strict=True):
        cut = after == 7
        assert torch.equal(after[~cut], before[~cut])
        assert torch.equal(cut[0], cut[1])
        down, across = cut[0].any(1), cut[0].any(0)
        assert torch.equal(cut[0], down[:, None] & across)
        assert is_one_run(down)
        assert is_one_run(across)
        assert down.sum() <= largest * height
        assert across.sum() <= largest * width
