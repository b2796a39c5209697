from __future__ import annotations

import math

import pytest
import torch

from hatlit.datamodules.base import build_view
from hatlit.datamodules.imu import augment, view
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError

CHANNELS = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")


def spec(rate: float | None = 50.0, time: int = 128, channels: tuple[str, ...] = CHANNELS, **scale) -> InputSpec:
    return InputSpec(modality="imu", channels=channels, shape=(time,), rate=rate, **scale)


def tone(rate: float, time: int, frequency: float = 1.3) -> torch.Tensor:
    """A tone about the level of gravity, (1, 1, time), with time zero in the first sample."""
    return 9.81 + torch.sin(2 * math.pi * frequency * torch.arange(time) / rate)[None, None]


def test_same_spec_changes_nothing() -> None:
    samples = torch.randn(3, 6, 128)
    assert torch.equal(view(samples, spec(), spec()), samples)


def test_channels_are_found_by_name() -> None:
    samples = torch.randn(3, 6, 128)
    seen = view(samples, spec(), spec(channels=("gyro_z", "acc_x")))
    assert torch.equal(seen, samples[:, [5, 0]])


def test_missing_channels_are_named() -> None:
    with pytest.raises(InputError, match=r"no channel gyro_x, gyro_y, .* it has acc_x, acc_y, acc_z"):
        view(torch.randn(3, 3, 128), spec(channels=CHANNELS[:3]), spec(channels=("acc_x", "gyro_x", "gyro_y")))


def test_other_modality_is_refused() -> None:
    with pytest.raises(InputError, match="A model of imu samples cannot look at radar samples"):
        build_view(torch.randn(3, 6, 128), spec().model_copy(update={"modality": "radar"}), spec())


@pytest.mark.parametrize("rate", [25.0, 50.0, 100.0])
def test_no_samples_make_no_views(rate: float) -> None:
    assert view(torch.randn(0, 6, 128), spec().model_copy(update={"rate": rate}), spec()).shape == (0, 6, 128)


@pytest.mark.parametrize(
    ("rate", "wanted_rate"), [(100.0, 50.0), (25.0, 50.0), (50.0, 32.0), (31.25, 50.0), (12.5, 100.0)]
)
def test_resampling_follows_the_signal_up_to_the_ends(rate: float, wanted_rate: float) -> None:
    seconds = 2.56
    time, wanted_time = round(seconds * rate), round(seconds * wanted_rate)
    one = ("acc_x",)
    seen = view(tone(rate, time), spec(rate, time, one), spec(wanted_rate, wanted_time, one))
    expected = tone(wanted_rate, wanted_time)
    assert seen.shape == expected.shape
    inner = slice(wanted_time // 8, -wanted_time // 8)
    torch.testing.assert_close(seen[..., inner], expected[..., inner], atol=0.03, rtol=0)
    # Held ends flatten the last few samples of the tone, but gravity must not fall off there.
    torch.testing.assert_close(seen, expected, atol=0.6, rtol=0)


def test_constant_stays_constant_through_resampling() -> None:
    samples = torch.full((2, 6, 64), 9.81)
    seen = view(samples, spec(25.0, 64), spec(100.0, 256))
    torch.testing.assert_close(seen, torch.full((2, 6, 256), 9.81), atol=0.01, rtol=0)


def test_rates_beyond_small_ratios() -> None:
    assert view(torch.randn(2, 6, 100), spec(100.0, 100), spec(99.9, 100)).shape == (2, 6, 100)
    assert view(torch.randn(2, 6, 1000), spec(1000.0, 1000), spec(3.7, 4)).shape == (2, 6, 4)
    assert view(torch.randn(2, 6, 4), spec(1.0, 4), spec(400.0, 1600)).shape == (2, 6, 1600)


def test_unknown_rate_is_left_alone() -> None:
    samples = torch.randn(2, 6, 128)
    assert torch.equal(view(samples, spec(None), spec(25.0)), samples)


def test_crops_the_middle_and_pads_with_the_mean() -> None:
    samples = torch.arange(8.0).expand(1, 6, 8)
    scale = {"mean": (1.0,) * 6, "std": (2.0,) * 6}
    assert view(samples, spec(time=8), spec(time=4))[0, 0].tolist() == [2, 3, 4, 5]
    padded = view(samples, spec(time=8), spec(time=11, **scale))[0, 0]
    assert padded.tolist() == [0, *((samples[0, 0] - 1) / 2).tolist(), 0, 0]


def test_normalises_each_channel() -> None:
    samples = 3 + 2 * torch.randn(50, 6, 128)
    scale = {"mean": (3.0,) * 6, "std": (2.0,) * 6}
    seen = view(samples, spec(), spec(**scale))
    torch.testing.assert_close(seen, (samples - 3) / 2)


def test_augment_obeys_its_generator_alone() -> None:
    views = torch.randn(4, 6, 64)
    kept = views.clone()
    torch.manual_seed(1)
    first = augment(views, torch.Generator().manual_seed(5))
    torch.manual_seed(2)
    second = augment(views, torch.Generator().manual_seed(5))
    third = augment(views, torch.Generator().manual_seed(6))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert torch.equal(views, kept)


@pytest.mark.parametrize("channels", [1, 3, 4, 6, 9])
def test_augment_keeps_shape_and_most_of_the_signal(channels: int) -> None:
    views = torch.sin(torch.arange(128) / 8).expand(16, channels, 128)
    changed = augment(views, torch.Generator().manual_seed(0))
    assert changed.shape == views.shape
    assert changed.std().item() == pytest.approx(views.std().item(), rel=0.25)
    assert not torch.equal(changed[0], changed[1])


def test_augment_turns_both_sensors_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GAIN", "SHIFT", "JITTER"):
        monkeypatch.setattr(f"hatlit.datamodules.imu.{name}", 0.0)
    triple = torch.randn(5, 3, 32)
    changed = augment(torch.cat([triple, triple], dim=1), torch.Generator().manual_seed(0))
    torch.testing.assert_close(changed[:, :3], changed[:, 3:])
    torch.testing.assert_close(changed[:, :3].norm(dim=1), triple.norm(dim=1))
    assert not torch.allclose(changed[:, :3], triple, atol=1e-3)
