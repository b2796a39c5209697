from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hatlit.datamodules.base import MODALITIES
from hatlit.datamodules.emg import augment
from hatlit.encoders.base import InputSpec


def change(views: Tensor, seed: int = 0) -> Tensor:
    names = tuple(f"electrode_{number}" for number in range(views.shape[1]))
    spec = InputSpec(modality="emg", channels=names, shape=(views.shape[2],), rate=200.0)
    return augment(views, spec, torch.Generator().manual_seed(seed))


def test_samples_are_series_over_time() -> None:
    assert MODALITIES.get("emg").layouts == (("time",),)


def test_augment_obeys_its_generator_alone() -> None:
    views = torch.randn(4, 8, 64)
    kept = views.clone()
    assert torch.equal(change(views, 5), change(views, 5))
    assert not torch.equal(change(views, 5), change(views, 6))
    assert torch.equal(views, kept)


def test_each_electrode_has_a_contact_of_its_own_and_nothing_crosses_over(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHIFT", "JITTER"):
        monkeypatch.setattr(f"hatlit.datamodules.emg.{name}", 0.0)
    views = 1 + torch.rand(200, 8, 16)
    views[:, 3] = 0
    changed = change(views)
    assert not changed[:, 3].any()
    loud = [number for number in range(8) if number != 3]
    contact = changed[:, loud] / views[:, loud]
    torch.testing.assert_close(contact, contact[:, :, :1].expand_as(contact))
    assert contact.std(1).mean() > 0.05
    assert (contact > 0).all()
    assert contact.mean().item() == pytest.approx(1, abs=0.03)


def test_shift_is_the_same_for_all_electrodes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONTACT", "JITTER"):
        monkeypatch.setattr(f"hatlit.datamodules.emg.{name}", 0.0)
    changed = change(torch.arange(40.0).expand(50, 8, 40))
    assert torch.equal(changed, changed[:, :1].expand_as(changed))
    assert set((changed[:, 0, 20] - 20).tolist()) == set(range(-4, 5))
