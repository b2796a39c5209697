import pytest
import torch

from hatlit.fusion.projection import narrowed


def features(rows=400, wide=600):
    return torch.randn(rows, wide, generator=torch.Generator().manual_seed(1))


def test_narrow_features_and_a_width_of_zero_change_nothing():
    few = features(wide=8)
    assert narrowed(few, 8) is few
    assert narrowed(few, 9) is few
    assert narrowed(few, 0) is few


def test_directions_are_at_right_angles_and_always_the_same():
    directions = narrowed(torch.eye(600), 128)
    assert directions.shape == (600, 128)
    torch.testing.assert_close(directions.T @ directions, torch.eye(128), atol=1e-5, rtol=0)
    assert torch.equal(directions, narrowed(torch.eye(600), 128))


def test_directions_first_wanted_without_gradients_serve_gradients_later():
    with torch.inference_mode():
        narrowed(torch.eye(601, dtype=torch.float64), 7)
    wide = torch.eye(601, dtype=torch.float64).requires_grad_()
    narrowed(wide, 7).sum().backward()
    assert wide.grad.shape == (601, 601)


def test_standardised_features_stay_standardised():
    narrow = narrowed(features(), 128)
    assert narrow.square().mean() == pytest.approx(1, abs=0.03)


def test_distances_stay_near_what_they_were_up_to_one_factor():
    wide = features(rows=40)
    ratio = torch.pdist(narrowed(wide, 128)) / torch.pdist(wide)
    assert ratio.mean() == pytest.approx((128 / 600) ** 0.5, rel=0.02)
    assert (ratio / ratio.mean() - 1).abs().max() < 0.25
