from dataclasses import asdict

import torch
import yaml

from hatlit.config import TrainConfig
from hatlit.methods.base import METHODS
from hatlit.methods.hat import HaT
from hatlit.options import CONFIGS, parse

#: Every option that the literal reading depends on.
PAPER = {
    "selection": {
        "statistics": "handcrafted",
        "similarity": "cosine",
        "keep": 0.3,
        "fine": "centroid_accuracy",
        "doubt": False,
    },
    "adapt": {"steps": 0},
    "hat": {
        "experts": {"count": 0},
        "mixer": {
            "weights": "attention",
            "prior": "uniform",
            "prior_weight": 0.0,
            "detach_query": True,
            "train_heads": False,
        },
        "dictionary": {"when": "epoch", "gate": True, "strict": True, "threshold": 0.0},
        "injection": {
            "loss": "convex",
            "schedule": "accuracy",
            "weight": 1.0,
            "temperature": 1.0,
            "sharpen": 1.0,
            "hint_weight": 0.0,
            "blends": 0,
        },
    },
}


def test_its_options_are_the_published_ones_whatever_the_defaults_are():
    assert issubclass(METHODS.get("hat_paper"), HaT)
    assert yaml.safe_load((CONFIGS / "method" / "hat_paper.yaml").read_text()) == PAPER


def test_its_options_arrive():
    config = asdict(parse(TrainConfig, "train", "", ["--method", "hat_paper"]))
    assert config == merged(config, PAPER)


def merged(options, others):
    """Options with others in their place."""
    inner = {name: merged(options[name], value) for name, value in others.items() if isinstance(value, dict)}
    return {**options, **others, **inner}


def test_at_full_accuracy_the_labels_are_silent(task):
    """The literal reading's weakness: a mixer that knows the labelled few by heart drowns them."""
    made = task("hat_paper", adapt__steps=0, hat__injection__loss="convex", hat__injection__hint_weight=0.0)
    method = METHODS.get("hat_paper").build(made)
    rows = made.target.rows(method.student.input_spec)
    method.dictionary.write(1.0, torch.full_like(method.dictionary.entries, 1 / 3))
    method.alpha.fill_(1.0)
    from hatlit.types import Batch

    few = rows.labelled
    losses = [
        method.losses(Batch(few, rows.source, rows.target[few], label))["student"]
        for label in (rows.label[few], rows.label[few].flip(0))
    ]
    assert torch.equal(losses[0], losses[1])
