"""A small task whose sources may be good, broken or useless."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch

from hatlit.config import LabelsConfig, SourcesConfig, TrainConfig, TrainerConfig
from hatlit.datamodules.base import Domain
from hatlit.datamodules.split import labelled_rows, split_domain
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.datamodules.target.data import TargetData
from hatlit.encoders.base import Classifier
from hatlit.methods.base import SelectedSource, TransferMethod, TransferTask
from hatlit.methods.hat import HaT
from hatlit.options import parse
from hatlit.zoo.train_source import TrainedSource, random_source, shuffled, train_source


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))


def as_selected(name: str, trained: TrainedSource) -> SelectedSource:
    return SelectedSource(name, "cnn_nano", trained.model, trained.class_names, name, trained.centroids)


@pytest.fixture(scope="session")
def pool(make_domain: Callable[..., Domain]) -> dict[str, SelectedSource]:
    """Three good sources, one that never learned, and one that learned labels dealt at random."""
    config = SourcesConfig()
    config.max_epochs = 12
    found = {}
    for seed, name in enumerate(("ann", "bob", "cid", "random", "shuffled")):
        domain = make_domain(name, seed, rows=90)
        split = split_domain(domain, LabelsConfig(), seed=0)
        rows = (labelled_rows(domain, split), split.test, "cnn_nano")
        if name == "random":
            trained = random_source(domain, *rows, seed)
        else:
            trained = train_source(shuffled(domain, 0) if name == "shuffled" else domain, *rows, config, seed=seed)
        found[name] = as_selected(name, trained)
    return found


@pytest.fixture
def make_task(make_domain: Callable[..., Domain], pool: dict[str, SelectedSource]) -> Callable[..., TransferTask]:
    """Returns a function that makes a task of some sources, a target of some rows, and options."""

    def make(
        *sources: SelectedSource,
        domain: Domain | None = None,
        labelled: np.ndarray | None = None,
        per_class: int = 1,
        **changes: Any,
    ) -> TransferTask:
        domain = domain or make_domain("target", 50)
        if labelled is not None:
            domain.labels[~labelled] = -1
        target = TargetData(domain, split_domain(domain, LabelsConfig(per_class=per_class), seed=0))
        config = parse(TrainConfig, "train", "", ["--method", "hat"])
        config.trainer = TrainerConfig(max_epochs=2, batch_size=16)
        config.adapt.steps, config.hat.experts.steps = 0, 2
        for name, value in changes.items():
            *outer, last = name.split("__")
            holder: Any = config
            for part in outer:
                holder = getattr(holder, part)
            setattr(holder, last, value)
        return TransferTask(target, target.spec, sources or tuple(pool[name] for name in ("ann", "bob", "cid")), config)

    return make


@pytest.fixture
def train() -> Callable[[TransferTask], TransferMethod]:
    """Returns a function that builds and trains HaT on a task."""

    def run(task: TransferTask) -> TransferMethod:
        method = HaT.build(task)
        data = TargetDataModule(method.rows(task), task.config.trainer.batch_size, seed=0)
        trainer = L.Trainer(
            max_epochs=2,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(method, datamodule=data)
        return method

    return run


class NotFinite(torch.nn.Module):
    """An encoder that answers like another one, but for samples that are louder than most."""

    def __init__(self, encoder: torch.nn.Module, above: float) -> None:
        super().__init__()
        self.encoder, self.above = encoder, above
        self.input_spec, self.feature_dim = encoder.input_spec, encoder.feature_dim

    def forward(self, view: torch.Tensor) -> torch.Tensor:
        loud = view.abs().amax((1, 2)) > self.above
        return self.encoder(view).masked_fill(loud[:, None], torch.nan)


@pytest.fixture
def broken(pool: dict[str, SelectedSource]) -> Callable[[str, float], SelectedSource]:
    """Returns a function that makes a source whose answers are not finite where a view exceeds some value."""

    def make(name: str, above: float) -> SelectedSource:
        old = pool[name]
        model = Classifier(NotFinite(old.model.encoder, above), len(old.class_names))
        model.head.load_state_dict(old.model.head.state_dict())
        return SelectedSource(f"broken-{name}", old.encoder, model.eval(), old.class_names)

    return make
