"""Settings chosen by cross-validation on the labelled few, with the same effort for every method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from hatlit.config import TrainConfig
from hatlit.datamodules.split import Split
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.datamodules.target.data import TargetData, TargetRows
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.fitting import fit, make_trainer, planned_epochs
from hatlit.experiments.folder import RunFolder
from hatlit.methods.base import METHODS, TransferTask

#: Most folds; with fewer labels of some class there are as many as it has.
FOLDS = 3

#: Learning rate and distillation weight are multiplied by at most this much, and at least by its inverse.
REACH = 4.0


def tuned(task: TransferTask, folder: RunFolder, display: Display) -> TrainConfig:
    """Tries settings on folds of the labelled few and returns the options with the best of them.

    The first candidate is the settings as they are, and wins a tie. Every method tries the same candidates on the same
    folds. Which sources were selected is not asked again for each fold. What was tried goes to ``tuning.json``. Methods
    that ``left_alone`` names keep their settings.

    Args:
        task: with the options as they are; its target's labelled few are all that is used to choose.
        folder: of the run.
        display: speaks to the user.

    Raises:
        InputError: a class has fewer than two labels.
    """
    untouched = left_alone([task.config.method])
    if untouched:
        display.say(untouched)
        return task.config
    folds = list(_folds(task.target, task.config.seed))
    factors = _factors(task.config.tune, task.config.seed)
    scores = [
        _score(replace(task, config=scaled(task.config, *pair)), folds) for pair in display.track(factors, "tune")
    ]
    best = int(np.argmax(np.round(scores, 12)))
    tried = [
        {"learning_rate_factor": rate, "distillation_factor": weight, "accuracy": score}
        for (rate, weight), score in zip(factors, scores, strict=True)
    ]
    folder.write_json("tuning.json", {"chosen": best, "tried": tried})
    return scaled(task.config, *factors[best])


def left_alone(methods: Sequence[str]) -> str:
    """A sentence on the methods that ``--tune`` leaves as they are, and why; empty where it tunes all."""
    oracles = [method for method in methods if METHODS.get(method).is_oracle]
    others = [method for method in methods if method not in oracles and not METHODS.get(method).tunable]
    parts = [
        *([f"{', '.join(oracles)} (an oracle learns from the held-out labels, too)"] if oracles else []),
        *([f"{', '.join(others)} (no learning rate or weight of distillation changes it)"] if others else []),
    ]
    return f"--tune leaves alone {'; '.join(parts)}." if parts else ""


def scaled(config: TrainConfig, rate: float, weight: float) -> TrainConfig:
    """The options with the student's learning rate and all weights of distillation multiplied."""
    injection = replace(config.hat.injection, weight=config.hat.injection.weight * weight)
    return replace(
        config,
        optimizer=replace(config.optimizer, learning_rate=config.optimizer.learning_rate * rate),
        hat=replace(config.hat, injection=injection),
        distillation=replace(config.distillation, weight=config.distillation.weight * weight),
    )


def _factors(count: int, seed: int) -> list[tuple[float, float]]:
    drawn = REACH ** np.random.default_rng(seed).uniform(-1, 1, (count, 2))
    return [(1.0, 1.0), *((float(rate), float(weight)) for rate, weight in drawn[1:])]


def _folds(target: TargetData, seed: int) -> Iterator[np.ndarray]:
    """Deals the labelled few, class by class; yields the rows of the domain that each fold holds out."""
    labelled = target.split.labelled
    labels = target.domain.labels[labelled]
    numbers, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        name = target.domain.class_names[numbers[counts.argmin()]]
        raise InputError(f"--tune needs two labels of each class, and '{name}' has one; leave it out, or label more.")
    count = min(FOLDS, int(counts.min()))
    generator = np.random.default_rng(seed)
    place = np.empty(len(labelled), dtype=np.int64)
    for number in numbers:
        rows = np.flatnonzero(labels == number)
        place[generator.permutation(rows)] = np.arange(len(rows)) % count
    yield from (labelled[place == fold] for fold in range(count))


def _score(task: TransferTask, folds: list[np.ndarray]) -> float:
    """Share of the held-out labels that are predicted rightly."""
    right = [_right(task, held_out) for held_out in folds]
    return float(np.concatenate(right).mean())


def _right(task: TransferTask, held_out: np.ndarray) -> np.ndarray:
    target, config = task.target, task.config
    split = Split(target.split.train, target.split.test, np.setdiff1d(target.split.labelled, held_out))
    fold = replace(task, target=TargetData(target.domain, split, target.paired))
    method = METHODS.get(config.method).build(fold)
    if any(method.trained_parts().values()):
        data = TargetDataModule(method.rows(fold), config.trainer.batch_size, config.seed, config.trainer.augment)
        settings = replace(config.trainer, max_epochs=planned_epochs(data, config.trainer))
        fit(method, data, make_trainer(settings, [], []), config.seed, None)
    places = torch.from_numpy(np.searchsorted(target.split.train, held_out))
    everything = fold.target.rows(method.view)
    asked = TargetRows(
        everything.source[places], everything.target[places], target.train_labels[places], everything.spec
    )
    predicted = method.predict(asked)
    sound = predicted.isfinite().all()  # what diverged names some class, too, and must not win by that
    return (sound & (predicted.argmax(-1) == asked.label)).numpy()
