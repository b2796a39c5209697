"""Students that were never trained, as a run leaves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hatlit.config import LabelsConfig, SourcesConfig
from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.split import labelled_rows, split_domain
from hatlit.encoders.base import InputSpec
from hatlit.experiments.fleet import publish, zoo_info
from hatlit.export.artifact import Recording
from hatlit.export.deployed import Finished, read_student
from hatlit.zoo.store import Zoo
from hatlit.zoo.train_source import random_source


def make_run(folder: Path, domain: Domain, encoder: str) -> Path:
    split = split_domain(domain, LabelsConfig(), seed=0)
    source = random_source(domain, labelled_rows(domain, split), split.test, encoder, seed=0)
    data = DomainSet("made-up", domain.recorded.modality, (domain,), domain.class_names)
    publish(Zoo.create(folder / "student", zoo_info(data, SourcesConfig())), domain.name, data.name, domain, source)
    Recording.of(domain.recorded, domain.samples.dtype).write(folder / "student")
    return folder


@pytest.fixture(scope="session")
def walker(make_domain: Callable[..., Domain]) -> Domain:
    """A person in motion."""
    return make_domain("walker", 3, class_names=("slow", "fast", "still", "run"))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, walker: Domain) -> Path:
    """The folder of a run on a person in motion."""
    return make_run(tmp_path_factory.mktemp("run"), walker, "cnn_nano")


@pytest.fixture(scope="session")
def text_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on texts."""
    texts = np.random.default_rng(0).integers(97, 123, (40, 1, 32)).astype(np.uint8)
    texts[:, :, ::5] = 32
    recorded = InputSpec(modality="text", channels=("utf8",), axes=("byte",), shape=(32,))
    domain = Domain("reader", texts, np.arange(40) % 2, np.arange(40), recorded, ("good", "bad"))
    return make_run(tmp_path_factory.mktemp("text-run"), domain, "ngrams_nano")


@pytest.fixture
def finished(run: Path) -> Finished:
    """The student of a person in motion."""
    return read_student(run)
