import torch

from hatlit.config import TrainConfig
from hatlit.methods.base import METHODS
from hatlit.methods.hat import HaT
from hatlit.options import parse


def test_its_options_are_the_published_ones():
    config = parse(TrainConfig, "train", "", ["--method", "hat_paper"])
    assert issubclass(METHODS.get("hat_paper"), HaT)
    assert config.adapt.steps == 0
    assert config.hat.injection.loss == "convex"
    assert config.hat.dictionary.strict
    assert (config.selection.statistics, config.selection.similarity) == ("handcrafted", "cosine")
    assert config.selection.fine == "centroid_accuracy"


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
