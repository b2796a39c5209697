"""Views are built axis by axis: hand-computed cases, and what holds whatever the numbers are."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hatlit.datamodules.base import build_view
from hatlit.datamodules.views import (
    choose_channels,
    fit_length,
    fit_normalisation,
    normalisation,
    normalise,
    numeric_view,
    resample,
    spread,
    stretch,
)
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError

CHANNELS = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")
sizes = st.integers(1, 40)
few = settings(max_examples=50, deadline=None)


def spec(rate: float | None = 50.0, time: int = 128, channels: tuple[str, ...] = CHANNELS, **scale) -> InputSpec:
    return InputSpec(modality="imu", channels=channels, shape=(time,), rate=rate, **scale)


def radar(axes: tuple[str, ...], shape: tuple[int, ...], rate: float | None = None) -> InputSpec:
    return InputSpec(modality="radar", channels=("a",), shape=shape, axes=axes, rate=rate)


def tone(rate: float, time: int, frequency: float = 1.3) -> torch.Tensor:
    """A tone about the level of gravity, (1, 1, time), with time zero in the first sample."""
    return 9.81 + torch.sin(2 * math.pi * frequency * torch.arange(time) / rate)[None, None]


def test_same_spec_changes_nothing() -> None:
    samples = torch.randn(3, 6, 128)
    assert torch.equal(numeric_view(samples, spec(), spec()), samples)


def test_channels_are_found_by_name() -> None:
    samples = torch.randn(3, 6, 128)
    seen = numeric_view(samples, spec(), spec(channels=("gyro_z", "acc_x")))
    assert torch.equal(seen, samples[:, [5, 0]])


def test_missing_channels_are_named() -> None:
    with pytest.raises(InputError, match=r"no channel gyro_x, gyro_y, .* it has acc_x, acc_y, acc_z"):
        numeric_view(torch.randn(3, 3, 128), spec(channels=CHANNELS[:3]), spec(channels=("acc_x", "gyro_x", "gyro_y")))


def test_whole_numbers_become_float32() -> None:
    samples = torch.tensor([[[0, 255]], [[7, 8]]], dtype=torch.uint8)
    chosen = choose_channels(samples, radar(("time",), (2,)), radar(("time",), (2,)))
    assert chosen.dtype == torch.float32
    assert chosen.tolist() == [[[0, 255]], [[7, 8]]]


def test_other_axes_are_refused() -> None:
    cloud, grid = radar(("point",), (8,)), radar(("bin", "time"), (8, 8))
    with pytest.raises(InputError, match="expects samples over bin x time, and the recording is over point"):
        numeric_view(torch.zeros(1, 1, 8), cloud, grid)


def test_other_modality_is_refused() -> None:
    with pytest.raises(InputError, match="A model of imu samples cannot look at radar samples"):
        build_view(torch.randn(3, 6, 128), spec().with_(modality="radar"), spec())


@pytest.mark.parametrize("rate", [25.0, 50.0, 100.0])
def test_no_samples_make_no_views(rate: float) -> None:
    assert numeric_view(torch.randn(0, 6, 128), spec(rate), spec()).shape == (0, 6, 128)


@pytest.mark.parametrize(
    ("rate", "wanted_rate"), [(100.0, 50.0), (25.0, 50.0), (50.0, 32.0), (31.25, 50.0), (12.5, 100.0)]
)
def test_resampling_follows_the_signal_up_to_the_ends(rate: float, wanted_rate: float) -> None:
    seconds = 2.56
    time, wanted_time = round(seconds * rate), round(seconds * wanted_rate)
    one = ("acc_x",)
    seen = numeric_view(tone(rate, time), spec(rate, time, one), spec(wanted_rate, wanted_time, one))
    expected = tone(wanted_rate, wanted_time)
    assert seen.shape == expected.shape
    inner = slice(wanted_time // 8, -wanted_time // 8)
    torch.testing.assert_close(seen[..., inner], expected[..., inner], atol=0.03, rtol=0)
    # Held ends flatten the last few samples of the tone, but gravity must not fall off there.
    torch.testing.assert_close(seen, expected, atol=0.6, rtol=0)


def test_constant_stays_constant_through_resampling() -> None:
    seen = numeric_view(torch.full((2, 6, 64), 9.81), spec(25.0, 64), spec(100.0, 256))
    torch.testing.assert_close(seen, torch.full((2, 6, 256), 9.81), atol=0.01, rtol=0)


def test_rates_beyond_small_ratios() -> None:
    assert numeric_view(torch.randn(2, 6, 100), spec(100.0, 100), spec(99.9, 100)).shape == (2, 6, 100)
    assert numeric_view(torch.randn(2, 6, 1000), spec(1000.0, 1000), spec(3.7, 4)).shape == (2, 6, 4)
    assert numeric_view(torch.randn(2, 6, 4), spec(1.0, 4), spec(400.0, 1600)).shape == (2, 6, 1600)


def test_rates_that_differ_by_less_than_half_a_per_cent_count_as_equal() -> None:
    samples = torch.randn(1, 1, 20)
    assert torch.equal(resample(samples, 100.0, 99.7), samples)
    assert resample(samples, 100.0, 98.0).shape == (1, 1, 20)  # 19.6 samples, begun ones count
    assert resample(samples, 100.0, 50.0).shape == (1, 1, 10)


@pytest.mark.parametrize(("recorded", "wanted"), [(None, 25.0), (25.0, None)])
def test_unknown_rate_is_left_alone(recorded: float | None, wanted: float | None) -> None:
    samples = torch.randn(2, 6, 128)
    assert torch.equal(numeric_view(samples, spec(recorded), spec(wanted)), samples)


def test_crops_the_middle_and_pads_with_the_mean() -> None:
    samples = torch.arange(8.0).expand(1, 6, 8)
    scale = {"mean": (1.0,) * 6, "std": (2.0,) * 6}
    assert numeric_view(samples, spec(time=8), spec(time=4))[0, 0].tolist() == [2, 3, 4, 5]
    padded = numeric_view(samples, spec(time=8), spec(time=11, **scale))[0, 0]
    assert padded.tolist() == [0, *((samples[0, 0] - 1) / 2).tolist(), 0, 0]


def test_every_axis_is_fitted_by_what_it_is() -> None:
    """Bins are stretched, time is resampled and cropped, and neither touches the other."""
    bins = torch.tensor([0.0, 1.0, 2.0, 3.0])[:, None]
    samples = (bins + 10 * torch.arange(6.0)).expand(1, 1, 4, 6)
    seen = numeric_view(samples, radar(("bin", "time"), (4, 6), 10.0), radar(("bin", "time"), (2, 4), 10.0))
    torch.testing.assert_close(seen[0, 0, 1] - seen[0, 0, 0], torch.full((4,), seen[0, 0, 1, 0] - seen[0, 0, 0, 0]))
    torch.testing.assert_close(seen.mean(2)[0, 0], torch.tensor([11.5, 21.5, 31.5, 41.5]))
    halved = numeric_view(samples, radar(("bin", "time"), (4, 6), 10.0), radar(("bin", "time"), (4, 3), 5.0))
    torch.testing.assert_close(halved[0, 0, 1:] - halved[0, 0, :-1], torch.ones(3, 3), atol=0.01, rtol=0)


def test_points_are_thinned_out_or_repeated() -> None:
    samples = torch.arange(4.0).expand(1, 1, 4)
    view = {points: radar(("point",), (points,)) for points in (2, 4, 6)}
    assert numeric_view(samples, view[4], view[2])[0, 0].tolist() == [0, 2]
    assert numeric_view(samples, view[4], view[6])[0, 0].tolist() == [0, 1, 2, 3, 0, 1]


@pytest.mark.parametrize(
    ("length", "expected"),
    [(2, [2, 3]), (3, [2, 3, 4]), (4, [1, 2, 3, 4]), (5, [1, 2, 3, 4, 5]), (6, [1, 2, 3, 4, 5, 0])],
)
def test_a_length_is_fitted_around_the_middle(length: int, expected: list[int]) -> None:
    assert fit_length(torch.arange(1, 6), length).tolist() == expected


@few
@given(sizes, sizes)
def test_padding_loses_nothing_and_cropping_invents_nothing(size: int, length: int) -> None:
    samples = torch.arange(1.0, size + 1)
    fitted = fit_length(samples, length)
    kept = fitted[fitted != 0]
    assert len(fitted) == length
    assert len(kept) == min(size, length)
    assert (kept.diff() == 1).all()
    middle = (len(samples) + 1) / 2
    assert abs(kept.mean() - middle) <= 0.5
    assert abs((fitted != 0).nonzero().float().mean() - (length - 1) / 2) <= 0.5


@pytest.mark.parametrize(
    ("values", "size", "expected"),
    [([0.0, 1.0], 4, [0, 0.25, 0.75, 1]), ([1.0, 3.0], 1, [2]), ([5.0], 3, [5, 5, 5]), ([1.0, 2.0], 2, [1, 2])],
)
def test_stretching_by_hand(values: list[float], size: int, expected: list[float]) -> None:
    torch.testing.assert_close(stretch(torch.tensor(values), size), torch.tensor(expected, dtype=torch.float32))


@few
@given(sizes, sizes, st.integers(0, 99))
def test_stretching_keeps_level_and_limits_and_goes_both_ways(size: int, wanted: int, seed: int) -> None:
    samples = torch.randn(2, 3, size, generator=torch.Generator().manual_seed(seed))
    changed = stretch(samples, wanted)
    assert changed.shape == (2, 3, wanted)
    assert (changed <= samples.amax(-1, keepdim=True) + 1e-5).all()
    assert (changed >= samples.amin(-1, keepdim=True) - 1e-5).all()
    torch.testing.assert_close(stretch(samples.flip(-1), wanted), changed.flip(-1))
    torch.testing.assert_close(stretch(samples + 1, wanted), changed + 1)


def test_shrinking_averages_instead_of_leaving_out() -> None:
    alternating = torch.tensor([1.0, -1.0]).repeat(16)
    assert stretch(alternating, 8)[1:-1].abs().max() < 0.05


@pytest.mark.parametrize(
    ("count", "wanted", "expected"),
    [(10, 4, [0, 2, 5, 7]), (4, 4, [0, 1, 2, 3]), (3, 7, [0, 1, 2, 0, 1, 2, 0]), (1, 3, [0, 0, 0])],
)
def test_spreading_by_hand(count: int, wanted: int, expected: list[int]) -> None:
    assert spread(count, wanted).tolist() == expected


@few
@given(sizes, sizes)
def test_spreading_favours_nothing(count: int, wanted: int) -> None:
    chosen = np.bincount(spread(count, wanted).numpy(), minlength=count)
    assert len(chosen) == count
    assert chosen.sum() == wanted
    assert chosen.max() - chosen.min() <= 1
    if count >= wanted:
        gaps = spread(count, wanted).diff()
        assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_normalising_by_hand() -> None:
    wanted = spec(time=2, channels=("acc_x", "acc_y"), mean=(1.0, 10.0), std=(2.0, 5.0))
    samples = torch.tensor([[[1.0, 5.0], [0.0, 20.0]]])
    assert normalise(samples, wanted).tolist() == [[[0, 2], [-2, 2]]]
    grid = normalise(samples.unsqueeze(-1), wanted)
    assert grid.shape == (1, 2, 2, 1)
    assert torch.equal(grid.squeeze(-1), normalise(samples, wanted))
    assert normalise(samples, spec(time=2, channels=("acc_x", "acc_y"))) is samples


def test_fitted_numbers_by_hand() -> None:
    samples = np.array([[[1, 3], [7, 7]], [[1, 3], [7, 7]]], dtype=np.uint8)
    recorded = spec(time=2, channels=("acc_x", "acc_y"))
    fitted = fit_normalisation(samples, recorded)
    assert fitted.mean == (2.0, 7.0)
    assert fitted.std == (1.0, 1.0), "a channel that never changes keeps its unit"
    assert fitted.with_(mean=(), std=()) == recorded


def test_half_precision_does_not_overflow_while_fitting() -> None:
    samples = np.full((400, 1, 300), 30000, dtype=np.float16)
    samples[::2] = -30000
    fitted = fit_normalisation(samples, spec(time=300, channels=("acc_x",)))
    assert fitted.mean == (0.0,)
    assert fitted.std == (30000.0,)


def test_rounding_is_not_taken_for_a_signal() -> None:
    numbers = normalisation(np.array([9.81, 0.0, 1e-9]), np.array([1e-7, 0.0, 1e-9]))
    assert numbers == {"mean": (9.81, 0.0, 1e-9), "std": (1.0, 1.0, 1e-9)}


@few
@given(st.integers(2, 20), st.integers(1, 3), st.integers(2, 10), st.integers(0, 99))
def test_what_was_fitted_is_standard(rows: int, channels: int, time: int, seed: int) -> None:
    samples = np.random.default_rng(seed).normal(3, 5, (rows, channels, time))
    recorded = spec(time=time, channels=CHANNELS[:channels])
    view = numeric_view(torch.from_numpy(samples), recorded, fit_normalisation(samples, recorded))
    torch.testing.assert_close(view.mean((0, 2)), torch.zeros(channels), atol=1e-5, rtol=0)
    torch.testing.assert_close(view.std((0, 2), correction=0), torch.ones(channels), atol=1e-4, rtol=0)
