"""Fits a source's classifier with Lightning."""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional as F

from hatlit.config import SourcesConfig
from hatlit.cuda_check import ask_briefly
from hatlit.encoders.base import Classifier


def fit(model: Classifier, view: Tensor, label: Tensor, config: SourcesConfig, seed: int) -> None:
    """Trains a classifier on views (N, channels, *shape) and their classes (N,); leaves it on the CPU in eval mode."""
    with quiet_lightning():
        # barebones leaves out what a fit of a second does not need: logging, progress bar, checkpoints, summary.
        # On the CPU, because sources are small, trained side by side, and must come out the same on every machine.
        trainer = lightning.Trainer(max_epochs=config.max_epochs, accelerator="cpu", devices=1, barebones=True)
        trainer.fit(_SourceTraining(model, config), _ShuffledBatches(view, label, config.batch_size, seed))
    model.cpu().eval().zero_grad()


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seeds every global random number, and puts them back as they were at the end."""
    with isolate_rng():
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        yield


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silences what Lightning tells about hardware, data and processes, once for each of hundreds of sources.

    Raises:
        KeyboardInterrupt: the user pressed Ctrl-C, which Lightning answers by leaving the process.
    """
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except SystemExit as stop:
        raise KeyboardInterrupt from stop
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class _SourceTraining(lightning.LightningModule):
    """Cross-entropy with AdamW, its learning rate falling to zero along a cosine."""

    def __init__(self, model: Classifier, config: SourcesConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        view, label = batch
        return F.cross_entropy(self.model(view), label)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        ask_briefly()
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay, fused=True
        )
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(1, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _ShuffledBatches:
    """Batches cut from tensors in memory, in a new order each time they are gone through."""

    def __init__(self, view: Tensor, label: Tensor, batch_size: int, seed: int) -> None:
        self._view, self._label = view, label
        self._batch_size = batch_size
        self._generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return -(-len(self._label) // self._batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self._label), generator=self._generator)
        for rows in order.split(self._batch_size):
            yield self._view[rows], self._label[rows]
