"""What the tests of all encoders share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from torch.nn import functional as F

from hatlit.encoders.base import InputSpec, build_classifier, build_encoder


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _check_contract(name: str, spec: InputSpec) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(name, spec)
    view = torch.randn(5, spec.num_channels, *spec.shape)
    features = encoder(view)
    assert features.shape == (5, encoder.feature_dim)
    assert features.isfinite().all()
    assert encoder.input_spec == spec

    features.square().sum().backward()
    unreached = [key for key, one in encoder.named_parameters() if one.grad is None or not one.grad.any()]
    assert unreached == [], "no gradient"

    alone = torch.cat([encoder(row.unsqueeze(0)) for row in view])
    torch.testing.assert_close(alone, features, rtol=1e-3, atol=1e-4, msg="a row must not depend on its neighbours")

    torch.manual_seed(1)
    other = build_encoder(name, encoder.input_spec).eval()
    assert not torch.equal(other(view), features)
    other.load_state_dict(load(save(encoder.state_dict())))
    torch.testing.assert_close(other(view), features, msg="stored weights must answer alike, in evaluation too")

    last_block = [child for child in encoder.children() if _num_parameters(child)][-1]
    share = _num_parameters(last_block) / _num_parameters(encoder)
    assert 0.1 < share < 0.95, "the last block must be a real part, but not the whole"


def _accuracy_after_learning(
    name: str, spec: InputSpec, seen: tuple[torch.Tensor, torch.Tensor], unseen: tuple[torch.Tensor, torch.Tensor]
) -> float:
    torch.manual_seed(0)
    classifier = build_classifier(name, spec, num_classes=int(seen[1].max()) + 1)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(classifier(seen[0]), seen[1]).backward()
        optimizer.step()
    return (classifier(unseen[0]).argmax(1) == unseen[1]).float().mean().item()


@pytest.fixture(scope="session")
def num_parameters() -> Callable[[nn.Module], int]:
    """Returns a function that counts the weights of a module."""
    return _num_parameters


@pytest.fixture(scope="session")
def check_contract() -> Callable[[str, InputSpec], None]:
    """Returns a function that checks all that is promised of an encoder that keeps the view it is built for.

    That is: finite features, a gradient in every weight, no look across rows, the same answer when rebuilt from stored
    weights, in training and evaluation, and a last block that is neither nothing nor everything.
    """
    return _check_contract


@pytest.fixture(scope="session")
def accuracy_after_learning() -> Callable[..., float]:
    """Returns a function that trains 40 steps on views and labels, and measures the accuracy on others."""
    return _accuracy_after_learning
