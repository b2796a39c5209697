import os

import pytest
import torch

from hatlit.config import AdaptConfig, ExpertsConfig, OptimizerConfig, SourcesConfig
from hatlit.cuda_check import VARIABLE, ask_briefly
from hatlit.encoders.base import InputSpec, build_classifier
from hatlit.fusion.adapt import adapt
from hatlit.fusion.experts import train_expert
from hatlit.methods.base import StudentMethod
from hatlit.zoo.fit import fit

SPEC = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(32,))
VIEW, LABEL = torch.zeros(4, 3, 32), torch.tensor([0, 1, 0, 1])

#: Everything that trains, by what it is.
TRAININGS = {
    "a source": lambda model: fit(model, VIEW, LABEL, SourcesConfig(max_epochs=1), seed=0),
    "an adapted source": lambda model: adapt(model, VIEW, LABEL, AdaptConfig(steps=1), seed=0),
    "an expert": lambda model: train_expert(model, VIEW, LABEL, ExpertsConfig(steps=1), seed=0),
    "a student": lambda model: StudentMethod(model, OptimizerConfig()).optimizer_of("student", [*model.parameters()]),
}


@pytest.mark.parametrize(
    ("before", "has_gpu", "after"),
    [("1", False, "0"), ("1", True, "1"), ("0", False, "0"), ("", False, ""), (None, False, None)],
)
def test_only_what_lightning_sets_is_taken_back_and_only_without_a_gpu(monkeypatch, before, has_gpu, after):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.delenv(VARIABLE, raising=False)
    if before is not None:
        monkeypatch.setenv(VARIABLE, before)
    ask_briefly()
    assert os.environ.get(VARIABLE) == after


@pytest.mark.parametrize("what", TRAININGS)
def test_everything_that_trains_asks_briefly(monkeypatch, what):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv(VARIABLE, "1")
    TRAININGS[what](build_classifier("cnn_nano", SPEC, 2))
    assert os.environ[VARIABLE] == "0"
