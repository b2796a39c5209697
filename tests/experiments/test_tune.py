"""Choosing settings by cross-validation on the labelled few."""

import json

import numpy as np
import pytest
import torch

from hatlit.config import DataConfig, LabelsConfig, SourcesConfig, TrainConfig, TrainerConfig
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.target.data import TargetData
from hatlit.errors import InputError
from hatlit.experiments import tune as module
from hatlit.experiments.folder import RunFolder
from hatlit.experiments.train import train
from hatlit.experiments.tune import left_alone, scaled, tuned
from hatlit.methods.base import TransferTask
from hatlit.methods.labels_only import LabelsOnly


@pytest.fixture
def task(make_domain):
    """Returns a function that makes a task with so many labels a class."""

    def make(per_class=4, **options):
        domain = make_domain("ann", 0, rows=90)
        target = TargetData(domain, split_domain(domain, LabelsConfig(per_class=per_class), seed=0))
        usual = {"method": "labels_only", "trainer": TrainerConfig(max_epochs=1), "tune": 3}
        config = TrainConfig(**{**usual, "labels": LabelsConfig(per_class=2), **options})
        return TransferTask(target, target.spec, (), config)

    return make


def test_folds_part_the_labelled_few_class_by_class(task):
    target = task().target
    folds = list(module._folds(target, seed=0))
    assert len(folds) == 3
    assert sorted(np.concatenate(folds)) == target.split.labelled.tolist()
    for held_out in folds:
        assert set(target.domain.labels[held_out]) == {0, 1, 2}
    assert all(np.array_equal(a, b) for a, b in zip(folds, module._folds(target, seed=0), strict=True))
    assert len(list(module._folds(task(per_class=2).target, seed=0))) == 2


def test_one_label_a_class_cannot_be_parted(task, tmp_path, display):
    with pytest.raises(InputError, match="--tune needs two labels of each class, and 'slow' has one"):
        tuned(task(per_class=1), RunFolder(tmp_path), display)


def test_one_label_a_class_is_refused_at_once():
    with pytest.raises(InputError, match="--tune needs two labels of each class to hold some out"):
        TrainConfig(tune=1)
    with pytest.raises(InputError, match="--tune needs two labels of each class to hold some out"):
        TrainConfig(tune=1, labels=LabelsConfig(per_class=0))


def test_how_many_labels_a_file_adds_is_not_known_at_once():
    labels = LabelsConfig(per_class=1, also="next.csv")
    assert TrainConfig(tune=1, labels=labels).labels == labels


def test_a_fold_is_trained_without_what_it_holds_out(task, tmp_path, display, monkeypatch):
    seen = []
    honest = module._right

    def right(fold, held_out):
        seen.append((set(fold.target.split.labelled), set(held_out)))
        return honest(fold, held_out)

    monkeypatch.setattr(module, "_right", right)
    made = task()
    tuned(made, RunFolder(tmp_path), display)
    assert len(seen) == 9, "three settings on three folds"
    test = set(made.target.split.test.tolist())
    assert all(not held_out & test for _, held_out in seen)


@pytest.mark.parametrize(
    ("method", "why"),
    [("all_labels", "an oracle learns from the held-out labels"), ("concat_probe", "no learning rate or weight")],
)
def test_what_tuning_cannot_judge_or_change_is_left_alone(task, tmp_path, display, monkeypatch, method, why):
    monkeypatch.setattr(module, "_score", lambda *arguments: pytest.fail("it was tried"))
    made = task(method=method)
    assert tuned(made, RunFolder(tmp_path), display) is made.config
    assert f"--tune leaves alone {method} ({why}" in display.shown()
    assert not (tmp_path / "tuning.json").exists()


def test_who_is_left_alone_is_told_in_one_line():
    assert left_alone(["hat", "kd", "labels_only"]) == ""
    assert left_alone(["hat", "all_labels", "uniform_ensemble", "concat_probe"]) == (
        "--tune leaves alone all_labels (an oracle learns from the held-out labels, too); uniform_ensemble, "
        "concat_probe (no learning rate or weight of distillation changes it)."
    )


def test_predictions_that_are_no_numbers_are_wrong(task, monkeypatch):
    made = task()
    monkeypatch.setattr(LabelsOnly, "predict", lambda self, rows: torch.full((len(rows), 3), torch.nan))
    assert not module._right(made, next(module._folds(made.target, 0))).any()


def test_the_best_on_the_folds_is_chosen_and_a_tie_leaves_things_as_they_are(task, tmp_path, display, monkeypatch):
    made = task()
    for scores, chosen in (([0.5, 0.9, 0.7], 1), ([0.5, 0.5, 0.5], 0)):
        left = iter(scores)
        monkeypatch.setattr(module, "_score", lambda task, folds, left=left: next(left))
        config = tuned(made, RunFolder(tmp_path), display)
        told = json.loads((tmp_path / "tuning.json").read_text())
        assert told["chosen"] == chosen
        assert [one["accuracy"] for one in told["tried"]] == scores
        factor = told["tried"][chosen]["learning_rate_factor"]
        assert config.optimizer.learning_rate == pytest.approx(factor * made.config.optimizer.learning_rate)
        assert 0.25 <= factor <= 4
    assert config == made.config


def test_settings_are_multiplied_and_nothing_else_changes():
    config = TrainConfig()
    changed = scaled(config, 2.0, 3.0)
    assert changed.optimizer.learning_rate == 2 * config.optimizer.learning_rate
    assert changed.hat.injection.weight == 3 * config.hat.injection.weight
    assert changed.distillation.weight == 3 * config.distillation.weight
    assert scaled(changed, 0.5, 1 / 3) == config


def test_a_run_is_tuned_before_it_begins(arrays, tmp_path, display):
    config = TrainConfig(
        data=DataConfig("arrays", str(arrays)),
        method="labels_only",
        labels=LabelsConfig(per_class=3),
        trainer=TrainerConfig(max_epochs=1, accelerator="cpu"),
        sources=SourcesConfig("cnn_nano"),
        tune=2,
        out=str(tmp_path),
        wandb="off",
    )
    result = train(config, display, one_of_many=True)
    assert result["seconds"]["tuning"] > 0
    assert len(json.loads((tmp_path / result["run"] / "tuning.json").read_text())["tried"]) == 2
