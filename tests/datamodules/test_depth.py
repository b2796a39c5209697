"""Views of depth maps: what was not measured is no distance, before and after every change."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hatlit.datamodules.depth import FARTHEST, HOLE, augment, fit, hole, view
from hatlit.encoders.base import InputSpec

RECORDED = InputSpec(modality="depth", channels=("distance",), shape=(4, 4))
SCALED = RECORDED.with_(mean=(1000.0,), std=(100.0,))


def test_holes_do_not_count_for_the_normalisation() -> None:
    samples = np.zeros((2, 1, 4, 4), dtype=np.uint16)
    samples[:, :, :2] = 900
    samples[:, :, 2] = 1200
    spec = fit(samples, RECORDED)
    assert spec.mean == pytest.approx((1000.0,))
    assert spec.std == pytest.approx((np.sqrt(20000.0),))
    assert fit(np.zeros((2, 1, 4, 4), dtype=np.uint16), RECORDED).std == (1.0,)


def test_holes_lie_behind_the_farthest_distance() -> None:
    samples = torch.full((1, 1, 4, 4), 1100.0)
    samples[0, 0, 0, 0] = 0
    samples[0, 0, 0, 1] = 9000
    shown = view(samples, RECORDED, SCALED)[0, 0]
    assert shown[0, 0] == HOLE > FARTHEST == shown[0, 1]
    assert (shown[1:] == 1.0).all()
    assert view(samples, RECORDED, RECORDED)[0, 0, 0, 0] == hole(RECORDED) == 0


def test_shrinking_averages_what_was_measured_and_half_is_enough() -> None:
    samples = torch.full((1, 1, 4, 4), 1100.0)
    samples[0, 0, :2, :2] = torch.tensor([[0.0, 0.0], [0.0, 1100.0]])
    shown = view(samples, RECORDED, RECORDED.with_(shape=(2, 2)))[0, 0]
    assert shown[0, 0] == 0
    torch.testing.assert_close(shown[1, 1], torch.tensor(1100.0))
    samples[0, 0, :2, :2] = torch.tensor([[1100.0, 1100.0], [1100.0, 0.0]])
    torch.testing.assert_close(
        view(samples, RECORDED, RECORDED.with_(shape=(2, 2)))[0, 0], torch.full((2, 2), 1100.0)
    )


def test_what_was_a_hole_is_one_afterwards_and_some_more_are() -> None:
    spec = SCALED.with_(shape=(16, 16))
    views = torch.zeros(50, 1, 16, 16)
    views[:, :, :8] = HOLE
    changed = augment(views, spec, torch.Generator().manual_seed(0))
    assert ((changed == HOLE) | (changed.abs() <= FARTHEST)).all()
    assert (changed[:, :, :6] == HOLE).all(), "a shift of two at the most moves the edge, not the rest"
    assert ((changed == HOLE).sum((1, 2, 3)) >= (views == HOLE).sum((1, 2, 3)) - 2 * 16).all()
    assert (changed == HOLE).float().mean() > (views == HOLE).float().mean()
