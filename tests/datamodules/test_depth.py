from __future__ import annotations

import numpy as np
import pytest
import torch

from hatlit.config import LabelsConfig, SourcesConfig
from hatlit.datamodules import depth
from hatlit.datamodules.base import DATASETS
from hatlit.datamodules.depth import FARTHEST, HOLE, augment, fit, hole, summary_view, view
from hatlit.datamodules.split import split_domain
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.zoo.train_source import train_source

CHANGES = ("SHIFT", "OFFSET", "GAIN", "DROPOUT", "SPECKLE")
SCALE = {"mean": (1000.0,), "std": (200.0,)}


def spec(shape: tuple[int, ...] = (4, 4), channels: tuple[str, ...] = ("distance",), **changes: object) -> InputSpec:
    return InputSpec.model_validate({"modality": "depth", "channels": channels, "shape": shape, **changes})


def only(monkeypatch: pytest.MonkeyPatch, *kept: str) -> None:
    """Switches every random change off but some."""
    for name in set(CHANGES) - set(kept):
        monkeypatch.setattr(depth, name, 0.0)


def normalised(rows: int = 8, side: int = 16) -> torch.Tensor:
    """A view with a hole in one corner."""
    views = torch.linspace(-1, 1, side).expand(rows, 1, side, side).clone()
    views[..., :4, :4] = HOLE
    return views


def changed_by(views: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return augment(views, spec(tuple(views.shape[2:]), **SCALE), torch.Generator().manual_seed(seed))


def test_fit_looks_at_measured_pixels_only() -> None:
    samples = np.array([[[[0, 10], [20, 0]]], [[[30, 0], [0, 40]]]], dtype=np.uint16)
    fitted = fit(samples, spec((2, 2)))
    assert fitted.mean == (25.0,)
    assert fitted.std == pytest.approx((np.std([10, 20, 30, 40]),))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_fit_takes_each_channel_alone_in_any_number_type(dtype: type) -> None:
    samples = np.zeros((1, 3, 1, 2), dtype=dtype)
    samples[0, 0, 0] = (100, 200)
    samples[0, 1, 0] = (0, 50)
    fitted = fit(samples, spec((1, 2), ("a", "b", "c")))
    assert fitted.mean == (150.0, 50.0, 0.0)
    assert fitted.std == (50.0, 1.0, 1.0)


def test_fit_does_not_overflow() -> None:
    samples = np.full((200, 1, 40, 40), 60_000, dtype=np.uint16)
    samples[::2] = 50_000
    assert fit(samples, spec((40, 40))).mean == (55_000.0,)


def test_holes_lie_behind_the_farthest() -> None:
    samples = torch.tensor([[0.0, 1000.0], [1200.0, 9000.0]]).reshape(1, 1, 2, 2)
    seen = view(samples, spec((2, 2)), spec((2, 2), **SCALE))
    assert seen.flatten().tolist() == [HOLE, 0.0, 1.0, FARTHEST]
    assert HOLE > FARTHEST


def test_without_normalisation_holes_stay_as_recorded() -> None:
    samples = torch.tensor([[0.0, 1000.0], [1200.0, 9000.0]]).reshape(1, 1, 2, 2)
    assert torch.equal(view(samples, spec((2, 2)), spec((2, 2))), samples)
    assert hole(spec()) == 0.0


def test_a_pixel_is_the_mean_of_what_was_measured_in_it() -> None:
    samples = torch.zeros(1, 1, 8, 8)
    samples[..., :4] = 800  # left of the middle, the rest is a hole
    small = view(samples, spec((8, 8)), spec((2, 2)))[0, 0]
    expected = torch.tensor([[800.0, 0.0], [800.0, 0.0]])
    torch.testing.assert_close(small, expected, msg="a border must not be mixed with the hole beside it")


@pytest.mark.parametrize(("measured", "seen"), [(0, 0.0), (1, 0.0), (3, 600.0), (4, 600.0)])
def test_half_of_a_pixel_must_be_measured(measured: int, seen: float) -> None:
    samples = torch.zeros(1, 1, 2, 2)
    samples.view(-1)[:measured] = 600
    assert view(samples, spec((2, 2)), spec((1, 1))).item() == pytest.approx(seen)


def test_enlarged_views_stay_within_what_was_measured() -> None:
    samples = torch.where(torch.rand(3, 1, 6, 6) < 0.3, 0.0, 500 + 100 * torch.rand(3, 1, 6, 6))
    large = view(samples, spec((6, 6)), spec((15, 20)))
    assert large[large > 0].min() >= samples[samples > 0].min() - 1e-3
    assert large.max() <= samples.max() + 1e-3
    assert (large == 0).any()


def test_channels_are_found_by_name_and_missing_ones_named() -> None:
    samples = torch.rand(2, 3, 4, 4) + 1
    recorded = spec(channels=("a", "b", "c"))
    assert torch.equal(view(samples, recorded, spec(channels=("c", "a"))), samples[:, [2, 0]])
    with pytest.raises(InputError, match="no channel d"):
        view(samples, recorded, spec(channels=("d",)))


def test_statistics_are_computed_on_small_maps() -> None:
    assert summary_view(spec((240, 320))).shape == (32, 32)


def test_augment_obeys_its_generator_alone() -> None:
    views = normalised()
    kept = views.clone()
    assert torch.equal(changed_by(views, 5), changed_by(views, 5))
    assert not torch.equal(changed_by(views, 5), changed_by(views, 6))
    assert torch.equal(views, kept)
    assert not torch.equal(changed_by(views)[0], changed_by(views)[1])


def test_without_changes_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch)
    torch.testing.assert_close(changed_by(normalised()), normalised())


@pytest.mark.parametrize("seed", range(3))
def test_holes_stay_holes_and_distances_stay_before_them(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    only(monkeypatch, "OFFSET", "GAIN", "DROPOUT", "SPECKLE")
    monkeypatch.setattr(depth, "OFFSET", 3.0)
    views = normalised()
    changed = changed_by(views, seed)
    assert (changed[views == HOLE] == HOLE).all()
    measured = changed[changed != HOLE]
    assert measured.abs().max() <= FARTHEST
    assert (changed == HOLE).sum() > (views == HOLE).sum()


def test_holes_move_along(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "SHIFT")
    monkeypatch.setattr(depth, "SHIFT", 0.2)
    views = torch.zeros(20, 1, 16, 16)
    views[..., 6:9, 6:9] = HOLE
    changed = changed_by(views)
    assert ((changed == HOLE).sum((1, 2, 3)) == 9).all()
    assert not torch.equal(changed, views)
    assert changed.unique().tolist() == [0.0, HOLE]


def test_a_small_part_of_what_was_measured_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "SPECKLE")
    views = torch.zeros(200, 1, 16, 16)
    lost = (changed_by(views) == HOLE).float().mean((1, 2, 3))
    assert 0.01 < lost.mean() < 0.04  # uniform up to SPECKLE
    assert lost.max() < 0.12


def test_views_that_are_not_normalised_have_their_holes_at_zero() -> None:
    views = torch.full((4, 1, 16, 16), 800.0)
    views[..., :4] = 0
    changed = augment(views, spec((16, 16)), torch.Generator().manual_seed(0))
    assert (changed == 0).sum() > 0
    assert changed[changed != 0].min() > 400


@pytest.mark.real_data
def test_a_small_source_learns_real_gestures(real_data_root) -> None:
    home = DATASETS.get("arrays", "depth")(real_data_root / "depth-utd.npz", "depth").domains[0]
    split = split_domain(home, LabelsConfig(), seed=0)
    source = train_source(home, split.train, split.test, "cnn_nano", SourcesConfig(max_epochs=15), seed=0)
    assert source.accuracy > 0.45  # of thirteen gestures, in single frames
