from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hatlit.datamodules.augment import Chance
from hatlit.datamodules.base import MODALITIES
from hatlit.datamodules.imu import augment, rotate
from hatlit.encoders.base import InputSpec


def spec(channels: int = 6, time: int = 64) -> InputSpec:
    names = tuple(f"channel_{number}" for number in range(channels))
    return InputSpec(modality="imu", channels=names, shape=(time,), rate=50.0)


def change(views: Tensor, seed: int) -> Tensor:
    return augment(views, spec(views.shape[1], views.shape[2]), torch.Generator().manual_seed(seed))


def test_samples_are_series_over_time() -> None:
    modality = MODALITIES.get("imu")
    assert modality.layouts == (("time",),)
    assert modality.axes_of(2) is None
    assert modality.summary_view(spec()) == spec()


def test_augment_obeys_its_generator_alone() -> None:
    views = torch.randn(4, 6, 64)
    kept = views.clone()
    torch.manual_seed(1)
    first = change(views, 5)
    torch.manual_seed(2)
    second = change(views, 5)
    assert torch.equal(first, second)
    assert not torch.equal(first, change(views, 6))
    assert torch.equal(views, kept)


@pytest.mark.parametrize("channels", [1, 3, 4, 6, 9])
def test_augment_keeps_shape_and_most_of_the_signal(channels: int) -> None:
    views = torch.sin(torch.arange(128) / 8).expand(16, channels, 128)
    changed = change(views, 0)
    assert changed.shape == views.shape
    assert changed.std().item() == pytest.approx(views.std().item(), rel=0.25)
    assert not torch.equal(changed[0], changed[1])


def test_both_sensors_turn_alike() -> None:
    triple = torch.randn(5, 3, 32)
    views = torch.cat([triple, triple], dim=1)
    changed = rotate(views, Chance(views, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(changed[:, :3], changed[:, 3:])
    torch.testing.assert_close(changed[:, :3].norm(dim=1), triple.norm(dim=1))
    assert not torch.allclose(changed[:, :3], triple, atol=1e-3)


def test_every_row_turns_by_its_own_angle_and_by_a_little() -> None:
    upright = torch.tensor([0.0, 0.0, 1.0])[:, None].expand(500, 3, 8)
    changed = rotate(upright, Chance(upright, torch.Generator().manual_seed(0)))
    angle = changed[:, 2, 0].clamp(-1, 1).acos()
    assert angle.std() > 0.05
    assert angle.square().mean().sqrt().item() == pytest.approx(0.17 * 2**0.5, rel=0.1), "two of three axes tilt it"


def test_what_does_not_come_in_threes_is_not_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GAIN", "SHIFT", "WARP", "JITTER"):
        monkeypatch.setattr(f"hatlit.datamodules.imu.{name}", 0.0)
    pair, triple = torch.randn(3, 2, 16), torch.randn(3, 3, 16)
    torch.testing.assert_close(change(pair, 0), pair)
    assert not torch.allclose(change(triple, 0), triple, atol=1e-3)
