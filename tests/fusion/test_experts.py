import torch

from hatlit.config import ExpertsConfig
from hatlit.encoders.base import InputSpec, build_classifier
from hatlit.fusion.experts import train_expert

SPEC = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(32,))


def untrained(seed=0):
    torch.manual_seed(seed)
    return build_classifier("cnn_nano", SPEC, 3)


def few(rows=3):
    view = torch.randn(rows, 3, 32, generator=torch.Generator().manual_seed(1))
    return view, torch.arange(rows) % 3


def test_an_expert_learns_the_labelled_few_and_is_frozen():
    view, label = few()
    expert = train_expert(untrained(), view, label, ExpertsConfig(steps=60), seed=0)
    assert torch.equal(expert(view).argmax(-1), label)
    assert not expert.training
    assert not any(parameter.requires_grad for parameter in expert.parameters())


def test_the_same_seed_gives_the_same_expert_and_another_seed_another():
    experts = [train_expert(untrained(), *few(), ExpertsConfig(steps=3), seed=seed) for seed in (5, 5, 6)]
    weights = [torch.cat([p.flatten() for p in expert.parameters()]) for expert in experts]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_single_labelled_row_is_enough():
    view, label = few(1)
    expert = train_expert(untrained(), view, label, ExpertsConfig(steps=2), seed=0)
    assert torch.isfinite(expert(view)).all()
