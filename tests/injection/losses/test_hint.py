import pytest
import torch

from hatlit.injection.losses.hint import FeatureHint


def test_error_by_hand():
    hint = FeatureHint(2, [1, 2])
    torch.nn.init.zeros_(hint.project.weight)
    torch.nn.init.zeros_(hint.project.bias)
    loss = hint(torch.ones(1, 2), [torch.tensor([[1.0]]), torch.tensor([[2.0, 2.0]])])
    assert loss.tolist() == pytest.approx([(1 + 4 + 4) / 3])


def test_gradient_reaches_student_and_projection():
    hint = FeatureHint(2, [3])
    features = torch.randn(4, 2, requires_grad=True)
    hint(features, [torch.randn(4, 3)]).mean().backward()
    assert features.grad.abs().sum() > 0
    assert all(parameter.grad.abs().sum() > 0 for parameter in hint.parameters())
