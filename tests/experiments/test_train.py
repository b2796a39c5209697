"""When a run looks at the test part, and what it makes of predictions that are no numbers."""

import json

import pytest
import torch

from hatlit.config import (
    AdaptConfig,
    DataConfig,
    ExpertsConfig,
    HaTConfig,
    LabelsConfig,
    OptimizerConfig,
    TrainConfig,
    TrainerConfig,
)
from hatlit.datamodules.target.data import TargetData
from hatlit.errors import InputError
from hatlit.experiments import train as train_module
from hatlit.experiments import tune as tune_module
from hatlit.experiments.pool import run_one
from hatlit.experiments.train import train
from hatlit.methods.base import METHODS


@pytest.fixture(scope="module")
def session_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def options(arrays, zoo_of_two, tmp_path, session_cache, monkeypatch):
    """Returns a function that makes the options of a quick run on ann."""
    monkeypatch.setenv("HATLIT_CACHE", str(session_cache))

    def make(method, **changes):
        quick = {
            "data": DataConfig("arrays", str(arrays)),
            "zoo": str(zoo_of_two),
            "target": "ann",
            "student": "cnn_nano",
            "labels": LabelsConfig(per_class=2),
            "adapt": AdaptConfig(steps=2),
            "hat": HaTConfig(experts=ExpertsConfig(steps=2)),
            "trainer": TrainerConfig(max_epochs=1, accelerator="cpu"),
            "out": str(tmp_path / "runs"),
            "wandb": "off",
        }
        return TrainConfig(method=method, **(quick | changes))

    return make


@pytest.fixture
def events(monkeypatch):
    """What happened, in order: ``fit`` for each training and ``test_rows`` for each look at the test part."""
    told = []

    def noted(name, honest):
        return lambda *arguments: told.append(name) or honest(*arguments)

    monkeypatch.setattr(TargetData, "test_rows", noted("test_rows", TargetData.test_rows))
    for module in (train_module, tune_module):
        monkeypatch.setattr(module, "fit", noted("fit", module.fit))
    return told


@pytest.mark.parametrize("method", METHODS.names())
def test_the_test_part_is_handed_out_once_when_all_training_is_over(options, display, events, method):
    train(options(method), display, one_of_many=True)
    assert events in (["fit", "test_rows"], ["test_rows"])


@pytest.mark.parametrize("method", ["hat", "kd", "best_source", "labels_only"])
def test_neither_tuning_nor_the_choice_of_a_student_sees_the_test_part(options, display, events, method):
    train(options(method, tune=2, student="auto"), display, one_of_many=True)
    assert events == ["fit"] * (2 * 2 + 1) + ["test_rows"], "two settings on two folds, and the run itself"


@pytest.mark.parametrize("method", ["weighted_ensemble", "kd"])
def test_a_run_that_diverged_has_failed(options, method):
    config = options(method, optimizer=OptimizerConfig(learning_rate=1e38))
    row = run_one(config)
    assert row["failed"].startswith(f"Training diverged: {method} predicts numbers that are not finite; lower --optim")
    assert row["accuracy"] is None


@pytest.mark.parametrize("place", [0, 1], ids=["the mixer's predictions", "its weights"])
def test_a_mixer_that_diverged_has_failed_too(options, display, tmp_path, monkeypatch, place):
    honest = METHODS.get("hat").explain

    def explain(self, rows):
        told = list(honest(self, rows))
        told[place] = torch.full_like(told[place], torch.nan)
        return tuple(told)

    monkeypatch.setattr(METHODS.get("hat"), "explain", explain)
    with pytest.raises(InputError, match="Training diverged: hat"):
        train(options("hat"), display, one_of_many=True)
    assert not list((tmp_path / "runs").glob("*/done"))


def test_a_run_that_went_well_has_finite_numbers_only(options, display, tmp_path):
    train(options("kd"), display, one_of_many=True)
    (result,) = (tmp_path / "runs").glob("*/result.json")
    json.loads(result.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
