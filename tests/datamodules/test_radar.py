"""Radar samples in their three forms: views, what augmentation may change, and how detections become maps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hatlit.datamodules.base import MODALITIES, build_view
from hatlit.datamodules.radar import augment, rasterise, turn
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError

MAPS = InputSpec(
    modality="radar", channels=("Range (m)", "Doppler (m/s)"), shape=(32, 24), axes=("bin", "time"), rate=10.0
)
SERIES = InputSpec(modality="radar", channels=("error",), shape=(40,), rate=5.0)
FEATURES = SERIES.with_(rate=None)
CLOUD = InputSpec(modality="radar", channels=("time", "x", "y", "z", "doppler"), shape=(64,), axes=("point",))
forms = pytest.mark.parametrize("spec", [MAPS, SERIES, FEATURES, CLOUD], ids=["maps", "series", "features", "cloud"])


def change(views: Tensor, spec: InputSpec, seed: int = 0) -> Tensor:
    return augment(views, spec, torch.Generator().manual_seed(seed))


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch):
    """Returns a function that switches some of the changes off."""

    def switch_off(*names: str) -> None:
        for name in names:
            monkeypatch.setattr(f"hatlit.datamodules.radar.{name}", 0.0)

    return switch_off


def test_unnamed_axes_are_maps_or_series() -> None:
    modality = MODALITIES.get("radar")
    assert modality.axes_of(1) == ("time",)
    assert modality.axes_of(2) == ("bin", "time")
    assert modality.axes_of(3) is None
    assert ("point",) in modality.layouts


@pytest.mark.parametrize(
    ("recorded", "wanted"),
    [
        (MAPS, MAPS.with_(shape=(16, 12), rate=5.0)),
        (SERIES, SERIES.with_(shape=(20,), rate=2.5)),
        (CLOUD, CLOUD.with_(shape=(100,), channels=("x", "y"))),
    ],
    ids=["maps", "series", "cloud"],
)
def test_views_of_every_form(recorded: InputSpec, wanted: InputSpec) -> None:
    samples = torch.randint(0, 256, (3, recorded.num_channels, *recorded.shape), dtype=torch.uint8)
    seen = build_view(samples, recorded, wanted)
    assert seen.shape == (3, wanted.num_channels, *wanted.shape)
    assert seen.dtype == torch.float32


def test_one_form_is_not_shown_as_another() -> None:
    with pytest.raises(InputError, match="expects samples over bin x time, and the recording is over point"):
        build_view(torch.zeros(1, 5, 64), CLOUD, MAPS)


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        (MAPS, (32, 24)),
        (MAPS.with_(shape=(256, 100)), (32, 100)),
        (MAPS.with_(shape=(16, 300)), (16, 300)),
        (SERIES, (40,)),
        (CLOUD, (64,)),
        (CLOUD.with_(shape=(1024,)), (128,)),
    ],
)
def test_statistics_see_no_more_than_they_need(spec: InputSpec, shape: tuple[int, ...]) -> None:
    assert MODALITIES.get("radar").summary_view(spec) == spec.with_(shape=shape)


@forms
def test_augment_obeys_its_generator_alone(spec: InputSpec) -> None:
    views = torch.randn(4, spec.num_channels, *spec.shape)
    kept = views.clone()
    torch.manual_seed(1)
    first = change(views, spec, 5)
    torch.manual_seed(2)
    assert torch.equal(first, change(views, spec, 5))
    assert not torch.equal(first, change(views, spec, 6))
    assert torch.equal(views, kept)
    assert first.shape == views.shape
    assert change(views[:0], spec).shape == (0, *views.shape[1:])


@forms
def test_every_row_is_changed_its_own_way_and_stays_much_the_same(spec: InputSpec) -> None:
    row = torch.randn(1, spec.num_channels, *spec.shape)
    changed = change(row.repeat(30, *[1] * (row.ndim - 1)), spec)
    assert len(torch.unique(changed.flatten(1), dim=0)) == 30
    assert changed.std().item() == pytest.approx(row.std().item(), rel=0.15)


def test_places_shift_along_the_bins_and_doppler_stays(without) -> None:
    without("TIME_SHIFT", "BLIND", "GAIN", "JITTER")
    two = MAPS.with_(channels=("Range (m)", "Height (m)", "Doppler (m/s)"))
    ramp = torch.arange(32.0)[:, None].expand(200, 3, 32, 24)
    changed = change(ramp, two)
    assert torch.equal(changed[:, 2], ramp[:, 2])
    moves = changed[:, :2, 16, 0] - 16
    assert set(moves.flatten().tolist()) == {-1, 0, 1}
    assert not torch.equal(moves[:, 0], moves[:, 1]), "somebody may stand further back and no higher"


def test_maps_shift_in_time_all_together(without) -> None:
    without("RANGE_SHIFT", "BLIND", "GAIN", "JITTER")
    changed = change(torch.arange(24.0).expand(100, 2, 32, 24), MAPS)
    assert torch.equal(changed, changed[:, :1, :1].expand_as(changed))
    assert set((changed[:, 0, 0, 12] - 12).tolist()) == {-1, 0, 1}


def test_a_blind_moment_is_the_mean_in_all_maps(without) -> None:
    without("RANGE_SHIFT", "TIME_SHIFT", "GAIN", "JITTER")
    blind = (change(torch.ones(200, 2, 32, 24), MAPS) == 0).flatten(1, 2)
    assert torch.equal(blind.all(1), blind.any(1))
    assert set(blind.all(1).sum(1).tolist()) == {0, 1, 2}


def test_a_series_without_a_rate_keeps_its_order(without) -> None:
    without("GAIN", "JITTER")
    ramp = torch.arange(40.0).expand(50, 1, 40)
    assert torch.equal(change(ramp, FEATURES), ramp)
    assert set((change(ramp, SERIES)[:, 0, 20] - 20).tolist()) == set(range(-3, 4))


def test_a_lost_point_is_replaced_by_another(without) -> None:
    without("JITTER", "TURN")
    points = torch.arange(64.0).expand(100, 5, 64)
    changed = change(points, CLOUD)
    assert torch.equal(changed, changed[:, :1].expand_as(changed)), "a point stays whole"
    assert set(changed.flatten().tolist()) <= set(range(64))
    lost = (changed != points)[:, 0].float().mean(1)
    assert lost.max() < 0.4
    assert lost.mean().item() == pytest.approx(0.1, abs=0.03)


def test_a_turn_by_hand() -> None:
    plain = InputSpec(modality="radar", channels=("x", "z", "y"), shape=(2,), axes=("point",))
    points = torch.tensor([[[1.0, 0.0], [5.0, 6.0], [0.0, 2.0]]])  # (1, 5, 0) and (0, 6, 2) as x, z, y
    quarter = torch.tensor([[math.pi / 2]])
    expected = torch.tensor([[[0.0, -2.0], [5.0, 6.0], [1.0, 0.0]]])
    torch.testing.assert_close(turn(points, plain, quarter), expected, atol=1e-6, rtol=0)
    scaled = plain.with_(mean=(3.0, 0.0, 7.0), std=(0.5, 1.0, 4.0))
    metres = torch.tensor([0.5, 1.0, 4.0])[:, None]
    torch.testing.assert_close(turn(points / metres, scaled, quarter) * metres, expected, atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(st.floats(-3, 3), st.floats(0.1, 10), st.floats(0.1, 10))
def test_a_turn_keeps_distances_and_can_be_undone(angle: float, wide: float, deep: float) -> None:
    spec = CLOUD.with_(mean=(0.0,) * 5, std=(1.0, wide, deep, 1.0, 1.0))
    points = torch.randn(3, 5, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    angles = torch.full((3, 1), angle, dtype=torch.float64)
    turned = turn(points, spec, angles)
    metres = torch.tensor([wide, deep], dtype=torch.float64)[:, None]
    torch.testing.assert_close((turned[:, 1:3] * metres).norm(dim=1), (points[:, 1:3] * metres).norm(dim=1))
    assert torch.equal(turned[:, [0, 3, 4]], points[:, [0, 3, 4]])
    torch.testing.assert_close(turn(turned, spec, -angles), points)


def test_a_cloud_without_a_floor_plan_is_not_turned() -> None:
    flat = CLOUD.with_(channels=("range", "doppler"))
    points = torch.randn(2, 2, 64)
    assert torch.equal(turn(points, flat, torch.ones(2, 1)), points)


def test_detections_are_counted_by_hand() -> None:
    values = np.array([[-1.0, 0.0], [-0.51, 9.0], [-0.5, -9.0], [0.99, 1.9], [7.0, 1.9]])
    frame = np.array([0, 0, 1, 1, 1])
    strength = np.array([1.0, 2.0, 4.0, 8.0, 300.0])
    maps = rasterise(values, frame, strength, [(-1.0, 1.0), (0.0, 2.0)], bins=4, columns=3)
    assert maps[0].tolist() == [[3, 0, 0], [0, 4, 0], [0, 0, 0], [0, 255, 0]]
    assert maps[1].tolist() == [[1, 4, 0], [0, 0, 0], [0, 0, 0], [2, 255, 0]]


def test_no_detection_makes_empty_maps() -> None:
    nothing = np.empty(0)
    assert not rasterise(np.empty((0, 1)), nothing.astype(int), nothing, [(0.0, 1.0)], bins=4, columns=3).any()
