"""Running one method on one target: the Trainer, its checkpoints, and going on where it stopped."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy

from hatlit.config import TrainerConfig
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.errors import InputError, reason_of
from hatlit.files import write_atomically
from hatlit.methods.base import StudentMethod, TransferMethod
from hatlit.students.budget import threads_for
from hatlit.zoo.fit import quiet_lightning


class LastCheckpoint(Checkpoint):
    """Keeps the newest state of a run: after an epoch, if the last time was long enough ago, and after the last epoch.

    Args:
        path: where to; replaced whole, so an interruption or a full disk leaves the state before.
        seconds: shortest time between two; 0 means after each epoch.
        say: shows one line to the user.
    """

    def __init__(self, path: Path, seconds: float, say: Callable[[str], None]) -> None:
        self._path, self._seconds, self._say = path, seconds, say
        self._failed = False
        self._saved_at = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Saves where it is due. Every process takes part, because saving may gather from all of them."""
        is_last = trainer.current_epoch + 1 == trainer.max_epochs
        due = trainer.strategy.broadcast(is_last or time.monotonic() - self._saved_at >= self._seconds)
        if not due:
            return
        try:
            trainer.save_checkpoint(self._path)
        except OSError as error:
            self._complain(error)
        self._saved_at = time.monotonic()

    def _complain(self, error: OSError) -> None:
        if not self._failed:
            before = "with the one before" if self._path.is_file() else "from the beginning"
            self._say(
                f"The checkpoint cannot be written ({reason_of(error)}); training goes on, but if it is interrupted it "
                f"resumes {before}."
            )
        self._failed = True


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints as any other file of a run; Lightning's own way leaves parts in /tmp when it is killed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Saves one.

        Raises:
            OSError: it cannot be written; the one before is untouched.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(Path(path), content.getvalue())


class EpochCounter(Callback):
    """Calls a function after each epoch, for a progress bar."""

    def __init__(self, advance: Callable[[], None]) -> None:
        self._advance = advance

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Counts one."""
        self._advance()


def planned_epochs(data: TargetDataModule, config: TrainerConfig) -> int:
    """How many passes there will be: ``max_epochs``, or as many as begin within ``max_steps`` batches."""
    return min(config.max_epochs, -(-config.max_steps // data.steps_per_epoch))


def make_trainer(config: TrainerConfig, loggers: Sequence[Logger], callbacks: Sequence[Callback]) -> L.Trainer:
    """The Trainer of a run.

    Raises:
        InputError: the hardware that the options ask for is not there, or nothing starts the processes on it.
    """
    # Everything that is not a parameter is equal in all processes by construction, so DDP need not send it each step.
    strategy: Any = DDPStrategy(broadcast_buffers=False) if config.num_processes > 1 else "auto"
    try:
        with quiet_lightning():
            trainer = L.Trainer(
                accelerator=config.accelerator,
                devices=config.devices,
                num_nodes=config.num_nodes,
                strategy=strategy,
                precision=config.precision,
                max_epochs=config.max_epochs,
                logger=list(loggers),
                callbacks=list(callbacks),
                plugins=[WholeCheckpoints()],
                enable_progress_bar=False,
                enable_model_summary=False,
                enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
                use_distributed_sampler=False,
                num_sanity_val_steps=0,
                log_every_n_steps=1_000_000,
            )
    except (ValueError, RuntimeError, ImportError, L.fabric.utilities.exceptions.MisconfigurationException) as error:
        raise InputError(f"The Trainer cannot be set up as --trainer asks: {reason_of(error)}") from error
    if config.num_nodes > 1 and not _is_launched(trainer):  # it would wait for the other machines for ever
        raise InputError(
            f"--trainer.num_nodes {config.num_nodes} needs a launcher on each machine; start the command with torchrun "
            "(docs/distributed.md)."
        )
    return trainer


def fit(method: TransferMethod, data: TargetDataModule, trainer: L.Trainer, seed: int, checkpoint: Path | None) -> None:
    """Trains a method, from the beginning or from a checkpoint. The global random numbers start from ``seed``.

    Raises:
        InputError: the checkpoint belongs to other sources.
        KeyboardInterrupt: the user stopped it.
    """
    torch.manual_seed(seed)
    with quiet_lightning(), _threads_for(method, data.batch_size):
        trainer.fit(method, datamodule=data, ckpt_path=checkpoint, weights_only=True)


def _is_launched(trainer: L.Trainer) -> bool:
    """Whether a launcher started this process (torchrun, SLURM), or the user said where the machines meet."""
    assert isinstance(trainer.strategy, DDPStrategy)
    environment = trainer.strategy.cluster_environment
    return "MASTER_ADDR" in os.environ or (environment is not None and environment.creates_processes_externally)


def _threads_for(method: TransferMethod, batch_size: int) -> AbstractContextManager[None]:
    if not isinstance(method, StudentMethod):
        return nullcontext()  # what a step takes is not known
    return threads_for(method.student, batch_size)
