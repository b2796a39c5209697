from __future__ import annotations

import pytest
import torch

from hatlit.datamodules.base import MODALITIES, build_view
from hatlit.encoders.base import InputSpec

JOINTS = tuple(f"{joint}_{axis}" for joint in ("head", "hand", "foot") for axis in "xyz")
SPEC = InputSpec(modality="skeleton", channels=JOINTS, shape=(40,), rate=20.0)


def test_a_device_may_see_fewer_joints_at_a_lower_rate() -> None:
    body = torch.randn(2, 9, 40)
    hand = SPEC.with_(channels=JOINTS[3:6], shape=(20,), rate=10.0)
    assert MODALITIES.get("skeleton").layouts == (("time",),)
    assert build_view(body, SPEC, hand).shape == (2, 3, 20)
    assert torch.equal(build_view(body, SPEC, SPEC.with_(channels=JOINTS[3:6])), body[:, 3:6])


def test_a_body_turns_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GAIN", "SHIFT", "WARP", "JITTER"):
        monkeypatch.setattr(f"hatlit.datamodules.imu.{name}", 0.0)
    body = torch.randn(6, 9, 40)
    changed = MODALITIES.get("skeleton").augment(body, SPEC, torch.Generator().manual_seed(0))
    before, after = (joints.unflatten(1, (3, 3)) for joints in (body, changed))
    torch.testing.assert_close((after[:, 0] - after[:, 1]).norm(dim=1), (before[:, 0] - before[:, 1]).norm(dim=1))
    assert not torch.allclose(changed, body, atol=1e-3)
    assert torch.equal(changed, MODALITIES.get("skeleton").augment(body, SPEC, torch.Generator().manual_seed(0)))
