import math

import pytest
import torch

from hatlit.injection.losses.distillation import distillation


def test_by_hand():
    logits = torch.tensor([[0.0, math.log(3.0)]], dtype=torch.float64)
    taught = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    by_hand = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert distillation(logits, taught).tolist() == pytest.approx([by_hand])


def test_a_student_that_agrees_loses_nothing():
    logits = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for temperature in (1.0, 4.0):
        assert distillation(logits, logits.softmax(-1), temperature).abs().max() < 1e-9


def test_temperature_softens_both_sides_and_scales_by_its_square():
    generator = torch.Generator().manual_seed(1)
    logits, teacher = torch.randn(2, 3, 4, dtype=torch.float64, generator=generator)
    temperature = 3.0
    p, q = (teacher / temperature).softmax(-1), (logits / temperature).softmax(-1)
    reference = temperature**2 * (p * (p / q).log()).sum(-1)
    assert torch.allclose(distillation(logits, teacher.softmax(-1), temperature), reference)


def test_certain_teachers_are_fine():
    loss = distillation(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
    assert loss.tolist() == pytest.approx([math.log(2)])
