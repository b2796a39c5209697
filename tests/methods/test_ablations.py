from dataclasses import asdict

import pytest
import torch

from hatlit.config import TrainConfig
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.experiments.fitting import fit, make_trainer
from hatlit.methods.base import METHODS
from hatlit.methods.hat import HaT
from hatlit.options import CONFIGS, parse

#: What each ablation changes against HaT, and nothing else.
CHANGES = {
    "hat_no_coarse": {"selection.keep": 1.0},
    "hat_random_sources": {"selection.keep": 1.0, "selection.fine": "random"},
    "hat_no_agreement": {"selection.fine": "centroid_accuracy", "selection.doubt": False},
    "hat_equal_weights": {"hat.mixer.weights": "prior", "hat.mixer.prior": "uniform"},
    "hat_no_attention": {"hat.mixer.weights": "prior"},
    "hat_no_consensus": {"hat.mixer.prior": "uniform"},
    "hat_no_experts": {"hat.experts.count": 0},
    "hat_no_discount": {"hat.mixer.discount_experts": False},
    "hat_no_foresight": {"hat.mixer.discount_sources": False},
    "hat_no_certainty": {"hat.mixer.discount_unsure": False},
    "hat_no_dictionary": {"hat.dictionary.when": "never"},
    "hat_no_gate": {"hat.dictionary.gate": False},
    "hat_convex": {"hat.injection.loss": "convex"},
    "hat_fixed_alpha": {"hat.injection.schedule": "full"},
    "hat_fixed_heads": {"adapt.steps": 0},
    "hat_labelled_adaptation": {"adapt.indecision": 0.0},
    "hat_no_hint": {"hat.injection.hint_weight": 0.0},
    "hat_no_blends": {"hat.injection.blends": 0},
    "hat_learning_heads": {"hat.mixer.train_heads": True},
}


def shipped(name):
    return parse(TrainConfig, "train", "", ["--method", name])


def flat(options, prefix=""):
    pairs = {}
    for name, value in options.items():
        pairs |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return pairs


def run(task, name):
    """Trains an ablation for one epoch with its shipped options, save that models learn for a few steps only."""
    config = shipped(name)
    config.hat.experts.steps = 5
    made = task(name, hat=config.hat, adapt__steps=min(5, config.adapt.steps), trainer__max_epochs=1)
    method = METHODS.get(name).build(made)
    data = TargetDataModule(method.rows(made), 16, 0)
    fit(method, data, make_trainer(made.config.trainer, [], []), 0, None)
    return made, method


def test_every_ablation_is_listed():
    assert {entry.name for entry in METHODS if entry.value.__module__ == "hatlit.methods.ablations"} == {*CHANGES}


@pytest.mark.parametrize("name", CHANGES)
def test_it_is_hat_with_no_code_of_its_own(name):
    kind = METHODS.get(name)
    assert kind.__bases__ == (HaT,)
    assert not [member for member in vars(kind) if not member.startswith("_")]
    assert (CONFIGS / "method" / f"{name}.yaml").is_file()


@pytest.mark.parametrize(("name", "changes"), CHANGES.items(), ids=CHANGES)
def test_it_changes_what_it_says_and_nothing_else(name, changes):
    ours, hat = (flat(asdict(shipped(one))) for one in (name, "hat"))
    assert ours.keys() == hat.keys()
    differing = {option: ours[option] for option in ours if ours[option] != hat[option]}
    assert differing == {"method": name, **changes}


@pytest.mark.parametrize("name", CHANGES)
def test_as_shipped_it_trains_and_gradient_reaches_every_parameter(task, name):
    made, method = run(task, name)
    reached = set()
    for batch in TargetDataModule(method.rows(made), 16, 0).train_dataloader():
        method.zero_grad()
        losses = method.losses(batch)
        assert losses.keys() == method.trained_parts().keys()
        torch.stack(list(losses.values())).sum().backward()
        reached |= {label for label, p in method.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    missed = {label for label, parameter in method.named_parameters() if parameter.requires_grad} - reached
    # A softmax does not care what is added to all its inputs: the bias of a key or query may stand still.
    assert not [label for label in missed if not label.endswith("bias")]
