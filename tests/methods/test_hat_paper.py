from dataclasses import asdict

import torch
import yaml

from hatlit.config import TrainConfig
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.experiments.fitting import fit, make_trainer
from hatlit.methods.base import METHODS
from hatlit.methods.hat import HaT
from hatlit.options import CONFIGS, as_words, option_names, parse

#: Every option of selection, adaptation and HaT that the literal reading depends on.
PAPER = {
    "selection": {
        "statistics": "handcrafted",
        "similarity": "cosine",
        "keep": 0.3,
        "fine": "centroid_accuracy",
        "doubt": False,
        "students": True,
    },
    "adapt": {"steps": 0},
    "hat": {
        "experts": {"count": 0},
        "mixer": {
            "weights": "attention",
            "prior": "uniform",
            "feature_width": 0,
            "dim": 32,
            "heads": 2,
            "learning_rate": 1e-3,
            "weight_decay": 1e-2,
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

#: All others, with other values: nothing is adapted, no expert asked, no consensus sought, and no head learns.
UNREAD = {
    **{"adapt.part": "head", "adapt.learning_rate": 1.0, "adapt.pull": 1.0, "adapt.indecision": 5.0},
    **{"hat.experts.steps": 1, "hat.experts.learning_rate": 1.0},
    **{f"hat.mixer.discount_{name}": name != "experts" for name in ("experts", "sources", "unsure")},
    "hat.mixer.head_pull": 9.0,
}


def test_its_options_are_the_published_ones_whatever_the_defaults_are():
    assert issubclass(METHODS.get("hat_paper"), HaT)
    assert yaml.safe_load((CONFIGS / "method" / "hat_paper.yaml").read_text()) == PAPER


def test_its_options_arrive():
    config = asdict(parse(TrainConfig, "train", "", ["--method", "hat_paper"]))
    assert config == merged(config, PAPER)


def test_every_option_is_given_or_makes_no_difference(task):
    given = {word.removeprefix("--").split("=")[0] for word in as_words(PAPER)}
    of_its_parts = {name for name in option_names(TrainConfig) if name.split(".")[0] in PAPER}
    assert given | UNREAD.keys() == of_its_parts and not given & UNREAD.keys()
    others = {name.replace(".", "__"): value for name, value in UNREAD.items()}
    usual, other = (trained(task("hat_paper", **changes)).state_dict() for changes in ({}, others))
    assert all(torch.equal(other[name], value) for name, value in usual.items())


def trained(task):
    method = METHODS.get("hat_paper").build(task)
    data = TargetDataModule(method.rows(task), task.config.trainer.batch_size, 0)
    fit(method, data, make_trainer(task.config.trainer, [], []), 0, None)
    return method


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
