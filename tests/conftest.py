"""What tests of every part share."""

from __future__ import annotations

import base64
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from hatlit.datamodules.base import Domain
from hatlit.encoders.base import InputSpec
from hatlit.registry import Registry

# One thread here and in every process that a test starts: sums in another order differ in the last bit.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

# A shell lets what it starts in the background ignore Ctrl-C, and so would the programs that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data_root() -> Path:
    """The folder of real data sets: HATLIT_DATA, by default ``../shared/data`` beside the repository."""
    root = Path(os.environ.get("HATLIT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"no real data at {root}; set HATLIT_DATA to its folder")
    return root


@pytest.fixture(autouse=True)
def forget_plugins() -> Iterator[None]:
    """Lets no plugin outlive the test that loads it, nor what it has registered."""
    yield
    plugins = {name for name in sys.modules if name.startswith("hatlit_plugin_")}
    if not plugins:
        return
    ours = [vars(module) for name, module in sys.modules.items() if name.startswith("hatlit.")]
    for registry in {value for names in ours for value in names.values() if isinstance(value, Registry)}:
        for entry in list(registry._entries.values()):
            if getattr(entry.value, "__module__", None) in plugins:
                del registry._entries[entry.modality, entry.name]
    for name in plugins:
        del sys.modules[name]


class _Here:
    """Stands in for a pool of processes and does the work in this one."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    def __enter__(self) -> _Here:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Gives torch two threads."""
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the runs of a comparison or study take place in the process of the test."""
    monkeypatch.setattr("hatlit.experiments.pool.worker_pool", _Here)


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Returns a function that imports a benchmark; they lie beside the package and import each other by bare names."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    return importlib.import_module


#: A picture of one pixel.
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg==")


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets nothing be drawn: that takes longer than all else in a small run, and has tests of its own."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, stream, **options: stream.write(PIXEL))


def _make_domain(
    name: str,
    seed: int,
    rows: int = 60,
    channels: tuple[str, ...] = ("x", "y", "z"),
    class_names: tuple[str, ...] = ("slow", "fast", "still"),
) -> Domain:
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % len(class_names)
    tilt = rng.normal(size=(1, len(channels), 1))
    rate = np.array([1.0, 2.5, 0.0, 4.0])[labels] * rng.normal(1, 0.05, rows)
    wave = np.sin(2 * np.pi * (rate[:, None] * np.arange(32) / 16 + rng.random((rows, 1))))[:, None]
    noise = rng.normal(size=(rows, len(channels), 32))
    samples = (wave * (1 + 0.4 * tilt) + 0.3 * tilt + 0.3 * noise).astype(np.float32)
    recorded = InputSpec(modality="imu", channels=channels, shape=(32,), rate=16.0)
    return Domain(name, samples, labels, np.arange(rows), recorded, class_names)


@pytest.fixture(scope="session")
def make_domain() -> Callable[..., Domain]:
    """Returns a function that makes a person who moves slowly, fast or not at all, from a name and a seed."""
    return _make_domain


@pytest.fixture(scope="session")
def zoo_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zoo of two sources, of the people bob and cid, that have not learned anything."""
    from hatlit.config import LabelsConfig, SourcesConfig
    from hatlit.datamodules.base import DomainSet
    from hatlit.datamodules.split import labelled_rows, split_domain
    from hatlit.experiments.fleet import publish, zoo_info
    from hatlit.zoo.store import Zoo
    from hatlit.zoo.train_source import random_source

    domains = tuple(_make_domain(name, seed, rows=45) for seed, name in enumerate(("bob", "cid"), start=1))
    data = DomainSet("people", "imu", domains, domains[0].class_names)
    folder = tmp_path_factory.mktemp("fleet") / "zoo"
    zoo = Zoo.create(folder, zoo_info(data, SourcesConfig()))
    for seed, domain in enumerate(domains):
        split = split_domain(domain, LabelsConfig(), seed=0)
        source = random_source(domain, labelled_rows(domain, split), split.test, "cnn_nano", seed)
        publish(zoo, domain.name, data.name, domain, source)
    return folder
