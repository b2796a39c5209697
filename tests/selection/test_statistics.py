from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hatlit.datamodules.base import Domain
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.selection.statistics import (
    NUM_KERNELS,
    STATISTICS,
    band_energies,
    common_view,
    handcrafted,
    moments,
    profile,
    quantiles,
    random_kernels,
)

NAMES = ("moments", "quantiles", "band_energies", "handcrafted", "random_kernels")
SPEC = InputSpec(modality="imu", channels=("x", "y"), shape=(64,), rate=32.0)


NO_RATE = SPEC.with_(rate=None)


def at(rate: float) -> InputSpec:
    return SPEC.with_(rate=rate)


def windows(count: int = 5, channels: int = 2, time: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, channels, time, generator=torch.Generator().manual_seed(seed))


def sine(frequency: float, rate: float, time: int, amplitude: float = 1.0) -> torch.Tensor:
    return amplitude * torch.sin(2 * math.pi * frequency * torch.arange(time, dtype=torch.float64) / rate)[None, None]


def domain(name: str = "a", **recorded: object) -> Domain:
    spec = InputSpec(**{"modality": "imu", "channels": ("x", "y"), "shape": (64,), "rate": 32.0, **recorded})
    none = np.zeros(0, np.int64)
    return Domain(name, np.zeros((0, spec.num_channels, *spec.shape)), none, none, spec, ("sit", "walk"))


@pytest.mark.parametrize("name", NAMES)
def test_each_window_has_features_of_its_own(name: str) -> None:
    together = STATISTICS.get(name)(windows(), SPEC, 0)
    alone = torch.cat([STATISTICS.get(name)(window[None], SPEC, 0) for window in windows()])
    assert together.shape[0] == 5
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("time", [1, 2, 9, 33])
def test_short_and_constant_windows_stay_finite(name: str, time: int) -> None:
    spec = SPEC.with_(shape=(time,))
    for value in (0.0, 9.81, -1e4):
        assert STATISTICS.get(name)(torch.full((3, 2, time), value), spec, 0).isfinite().all()


def test_moments_by_hand() -> None:
    window = torch.tensor([[[0.0, 0.0, 0.0, 4.0], [-1.0, 1.0, -1.0, 1.0]]], dtype=torch.float64)
    # First channel: deviations -1, -1, -1, 3; variance 3; third moment 6; fourth moment 21.
    expected = [1, 0, math.sqrt(3), 1, 6 / 3**1.5, 0, 21 / 9, 1]
    torch.testing.assert_close(moments(window, NO_RATE, 0)[0], torch.tensor(expected, dtype=torch.float64))


def test_moments_of_a_constant_channel_are_its_mean_and_zeros() -> None:
    answer = moments(torch.full((1, 1, 50), 9.81), NO_RATE, 0)[0]
    assert answer[0] == pytest.approx(9.81)
    assert answer[2:].tolist() == [0.0, 0.0]


def test_quantiles_by_hand() -> None:
    window = torch.arange(21, dtype=torch.float64).flip(0)[None, None]
    torch.testing.assert_close(quantiles(window, NO_RATE, 0)[0], torch.tensor([1, 5, 10, 15, 19], dtype=torch.float64))


def test_band_energy_of_a_sine_is_half_its_amplitude_squared() -> None:
    energies = band_energies(5 + sine(3.0, 32.0, 256, amplitude=2.0), SPEC, 0).exp()[0]
    # Bands 0-1, 1-2, 2-4, 4-8 and 8-16 Hz.
    torch.testing.assert_close(energies, torch.tensor([0, 0, 2, 0, 0], dtype=torch.float64), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("time", [1, 2, 31, 64])
def test_band_energies_add_up_to_the_energy_of_the_tapered_window(time: int) -> None:
    window = windows(1, 1, time).double()
    hann = torch.hann_window(time, dtype=torch.float64)
    tapered = ((window - window.mean()) * hann).square().sum() / hann.square().sum()
    torch.testing.assert_close(band_energies(window, SPEC, 0).exp().sum(), tapered, atol=1e-10, rtol=1e-6)


def test_band_energies_do_not_depend_on_window_length_or_rate() -> None:
    reference = band_energies(sine(3.0, 32.0, 128), SPEC, 0).exp()
    longer = band_energies(sine(3.0, 32.0, 512), SPEC, 0).exp()
    faster = band_energies(sine(3.0, 64.0, 256), at(64.0), 0).exp()
    torch.testing.assert_close(longer, reference, atol=1e-6, rtol=1e-3)
    torch.testing.assert_close(faster[:, :5], reference, atol=1e-6, rtol=1e-3)


def test_band_energies_need_a_rate() -> None:
    with pytest.raises(InputError, match="sampling rate"):
        band_energies(windows(), NO_RATE, 0)


def test_handcrafted_is_the_other_three() -> None:
    parts = [moments(windows(), SPEC, 0), quantiles(windows(), SPEC, 0), band_energies(windows(), SPEC, 0)]
    assert torch.equal(handcrafted(windows(), SPEC, 0), torch.cat(parts, 1))


def test_random_kernels_depend_on_the_seed_alone() -> None:
    first = random_kernels(windows(), SPEC, 7)
    assert first.shape == (5, 2 * NUM_KERNELS)
    assert torch.equal(first, random_kernels(windows(), NO_RATE, 7))
    assert not torch.equal(first, random_kernels(windows(), SPEC, 8))


def test_random_kernels_are_those_that_published_profiles_were_made_with() -> None:
    impulse = torch.zeros(1, 1, 17)
    impulse[0, 0, 8] = 1.0
    answer = random_kernels(impulse, InputSpec(modality="imu", channels=("x",), shape=(17,)), 0)[0]
    # An impulse answers with the weights themselves: 9 of 17 positions may be positive, and the maximum is a weight.
    assert (answer[NUM_KERNELS:] * 17).round().max() <= 9
    random = np.random.RandomState(0)
    random.uniform()
    random.permutation(1)
    assert answer[0].item() == pytest.approx(random.standard_normal(9).max(), rel=1e-6)


def test_random_kernels_see_amplitude_in_the_maxima_and_not_in_the_shares() -> None:
    once, twice = random_kernels(windows().double(), NO_RATE, 0), random_kernels(2 * windows().double(), NO_RATE, 0)
    torch.testing.assert_close(twice[:, :NUM_KERNELS], 2 * once[:, :NUM_KERNELS])
    assert torch.equal(twice[:, NUM_KERNELS:], once[:, NUM_KERNELS:])


@pytest.mark.parametrize("name", NAMES)
def test_profile_is_mean_and_spread_over_windows(name: str) -> None:
    published = profile(name, windows(), SPEC, 0)
    features = STATISTICS.get(name)(windows(), SPEC, 0).numpy()
    assert published.mean.dtype == published.spread.dtype == np.float32
    np.testing.assert_allclose(published.mean, features.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(published.spread, features.std(0), rtol=1e-4, atol=1e-5)


def test_profile_in_chunks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = profile("handcrafted", windows(), SPEC, 0)
    monkeypatch.setattr("hatlit.selection.statistics._CHUNK", 300)
    np.testing.assert_allclose(profile("handcrafted", windows(), SPEC, 0).spread, whole.spread, rtol=1e-5, atol=1e-6)


def test_profile_of_one_window_has_no_spread() -> None:
    assert (profile("moments", windows(1), SPEC, 0).spread == 0).all()


@pytest.mark.parametrize("wrong", [windows(0), windows(channels=3), windows(time=65), windows()[0]])
def test_profile_refuses_windows_of_another_form(wrong: torch.Tensor) -> None:
    with pytest.raises(InputError, match="wants one or more samples"):
        profile("moments", wrong, SPEC, 0)


@pytest.mark.parametrize("name", NAMES)
def test_profile_refuses_what_is_not_finite(name: str) -> None:
    broken = windows()
    broken[2, 1, 3] = math.nan
    with pytest.raises(InputError, match="not finite"):
        profile(name, broken, SPEC, 0)


def test_unknown_statistic_names_the_nearest() -> None:
    with pytest.raises(InputError, match="quantiles"):
        profile("quantile", windows(), SPEC, 0)


def test_common_view_has_shared_channels_lowest_rate_and_shortest_duration() -> None:
    scaled = {"mean": (1.0, 2.0, 3.0), "std": (1.0, 1.0, 2.0)}
    view = common_view(
        [
            domain(channels=("z", "x", "y"), shape=(200,), rate=50.0, **scaled),
            domain(channels=("x", "w", "z"), shape=(96,), rate=32.0),
            domain(channels=("x", "z"), shape=(300,), rate=100.0),
        ]
    )
    assert view == InputSpec(modality="imu", channels=("z", "x"), shape=(96,), rate=32.0)


def test_common_view_without_rates_has_the_fewest_samples() -> None:
    view = common_view([domain(rate=None, shape=(55,)), domain(rate=None, shape=(40,))])
    assert (view.shape, view.rate) == ((40,), None)


@pytest.mark.parametrize(
    ("domains", "reason"),
    [
        ([], "at least one"),
        ([domain(), domain(modality="audio")], "one modality"),
        ([domain(), domain(channels=("z",))], "no channel"),
        ([domain(), domain(rate=None)], "sampling rate"),
        ([domain(), domain(shape=(8, 8))], "laid out alike"),
    ],
)
def test_common_view_refuses_what_cannot_be_compared(domains: list[Domain], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        common_view(domains)


GRID = InputSpec(modality="image", channels=("a", "b", "c"), shape=(12, 20))


@pytest.mark.parametrize("name", ["moments", "quantiles", "handcrafted", "random_kernels"])
def test_grids_have_the_same_statistics_and_no_bands(name: str) -> None:
    grids = torch.randn(4, 3, 12, 20, generator=torch.Generator().manual_seed(0))
    features = STATISTICS.get(name)(grids, GRID, 0)
    numbers = {"moments": 12, "quantiles": 15, "handcrafted": 27, "random_kernels": 2 * NUM_KERNELS}
    assert features.shape == (4, numbers[name])
    torch.testing.assert_close(features[2:3], STATISTICS.get(name)(grids[2:3], GRID, 0))


def test_bands_are_for_time_series_only() -> None:
    with pytest.raises(InputError, match="time series"):
        band_energies(torch.zeros(1, 3, 12, 20), GRID.with_(rate=10.0), 0)


def test_the_order_of_points_does_not_matter() -> None:
    spec = InputSpec(modality="radar", channels=("x", "y", "z"), shape=(40,), axes=("point",))
    cloud = torch.randn(3, 3, 40, generator=torch.Generator().manual_seed(0))
    shuffled = cloud[:, :, torch.randperm(40, generator=torch.Generator().manual_seed(1))]
    torch.testing.assert_close(random_kernels(cloud, spec, 0), random_kernels(shuffled, spec, 0))


def test_kernels_of_a_grid_answer_an_impulse_with_their_weights() -> None:
    spec = InputSpec(modality="image", channels=("x",), shape=(9, 9))
    impulse = torch.zeros(1, 1, 9, 9)
    impulse[0, 0, 4, 4] = 1.0
    answer = random_kernels(impulse, spec, 0)[0]
    random = np.random.RandomState(0)
    random.uniform()
    random.permutation(1)
    assert answer[0].item() == pytest.approx(random.standard_normal(9).max(), rel=1e-6)
    assert (answer[NUM_KERNELS:] * 81).round().max() <= 9


def test_random_kernels_refuse_more_axes_than_they_have() -> None:
    spec = InputSpec(modality="image", channels=("x",), shape=(4, 4, 4), axes=("time", "height", "width"))
    with pytest.raises(InputError, match="one or two axes, not time x height x width"):
        random_kernels(torch.zeros(1, 1, 4, 4, 4), spec, 0)


def test_common_view_of_grids_is_the_smallest() -> None:
    some = [domain(modality="depth", shape=shape, rate=None) for shape in ((30, 20), (16, 24))]
    assert common_view(some).shape == (16, 20)
