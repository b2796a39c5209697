"""A small transfer task: three people do three things, a fourth has one label of each."""

import numpy as np
import pytest
import torch

from hatlit.config import LabelsConfig, TrainConfig, TrainerConfig
from hatlit.datamodules.base import Domain
from hatlit.datamodules.split import labelled_rows, split_domain
from hatlit.datamodules.target.data import TargetData
from hatlit.encoders.base import InputSpec
from hatlit.methods.base import SelectedSource, TransferTask
from hatlit.options import parse
from hatlit.zoo.train_source import train_source

CLASSES = ("slow", "fast", "still")


def make_domain(name, seed, rows=90):
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    time = np.arange(32) / 16
    tilt = rng.normal(size=3)
    rate = np.array([1.0, 2.5, 0.0])[labels] * rng.normal(1, 0.05, rows)
    wave = np.sin(2 * np.pi * (rate[:, None] * time + rng.random((rows, 1))))[:, None] * (1 + 0.4 * tilt[None, :, None])
    samples = (wave + 0.3 * tilt[None, :, None] + 0.4 * rng.normal(size=(rows, 3, 32))).astype(np.float32)
    recorded = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(32,), rate=16.0)
    return Domain(name, samples, labels, np.arange(rows), recorded, CLASSES)


def make_sources():
    config = TrainConfig().sources
    config.max_epochs = 6
    sources = []
    for number, encoder in enumerate(["cnn_nano", "tcn_nano", "cnn_nano"]):
        domain = make_domain(f"source-{number}", seed=number)
        split = split_domain(domain, LabelsConfig(), seed=0)
        trained = train_source(domain, labelled_rows(domain, split), split.test, encoder, config, seed=number)
        sources.append(
            SelectedSource(domain.name, encoder, trained.model, trained.class_names, domain.name, trained.centroids)
        )
    return tuple(sources)


@pytest.fixture(scope="session")
def sources():
    return make_sources()


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(session_cache, monkeypatch):
    """All tests here share what the sources say and how they were adapted, and nothing with the user's own cache."""
    monkeypatch.setenv("HATLIT_CACHE", str(session_cache))


@pytest.fixture
def task(sources):
    """Returns a function that makes a task, with changes to its options."""

    def make(method="hat", seed=0, per_class=1, **changes):
        domain = make_domain("target", seed=50)
        target = TargetData(domain, split_domain(domain, LabelsConfig(per_class=per_class), seed=seed))
        config = parse(TrainConfig, "train", "", ["--method", method])
        config.seed, config.trainer = seed, TrainerConfig(max_epochs=3, batch_size=16)
        config.adapt.steps = min(5, config.adapt.steps)
        config.hat.experts.steps = 5
        for path, value in changes.items():
            *outer, last = path.split("__")
            holder = config
            for name in outer:
                holder = getattr(holder, name)
            setattr(holder, last, value)
        torch.manual_seed(0)
        domains = tuple(make_domain(f"source-{n}", seed=n) for n in range(len(sources)))
        return TransferTask(target, target.spec, sources, config, domains)

    return make
