"""What the student of a run is: the one named, the largest that fits, or the best of those that fit, as it seems."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from hatlit.config import TrainConfig
from hatlit.datamodules.target.data import TargetData, some_of
from hatlit.encoders.base import InputSpec
from hatlit.experiments.display import Display
from hatlit.experiments.folder import RunFolder
from hatlit.methods.base import TransferTask
from hatlit.methods.teachers import frozen_bank
from hatlit.students.device import device_view
from hatlit.students.ranking import ROWS, Ranked, rank
from hatlit.students.skeletons import AUTO, choose_student, fitting

#: How the skeletons of a run with ``--student auto`` were ranked, in its folder.
RANKING = "skeletons.json"


def settle_student(target: TargetData, config: TrainConfig) -> tuple[TrainConfig, InputSpec]:
    """Decides what the student is and what it sees of a sample: the options with its name, and its view.

    A student that is to be ranked stays ``auto`` until there are sources to rank by.

    Raises:
        InputError: there can be no such student.
    """
    view = device_view(target.spec, config.device)
    student = choose_student(config.student, view, len(target.class_names), config.device)
    config = replace(config, student=student)
    if student != AUTO:
        TransferTask(target, view, (), config).new_student()  # one that cannot be is refused before the work
    return config, view


def rank_students(task: TransferTask) -> list[Ranked]:
    """Ranks the skeletons that fit the device by the sources' features of the training rows, best first."""
    target, view = task.target, task.student_spec
    count = len(target.split.train)
    rows = some_of(torch.arange(count), ROWS)
    heard = frozen_bank(task)(rows).features
    names = [one.name for one in fitting(view, task.num_classes, task.config.device)]
    return rank(names, view, task.num_classes, partial(target.view, rows=rows), heard, task.config.seed)


def with_best_student(task: TransferTask, folder: RunFolder, display: Display) -> TransferTask:
    """Makes the student the skeleton that ranks first, and keeps the ranking in the folder of the run.

    A run that goes on keeps the ranking that it began with.
    """
    if not (folder.path / RANKING).is_file():
        folder.write_json(RANKING, {"skeletons": [one._asdict() for one in rank_students(task)]})
    ranking = kept_ranking(folder)
    rows = [{"student": one.name, "parameters": f"{one.parameters:,}", "score": f"{one.score:.3f}"} for one in ranking]
    display.table("students that fit, ranked without training", rows)
    return with_student(task, ranking)


def with_student(task: TransferTask, ranking: list[Ranked]) -> TransferTask:
    """The task with the student that ranks first."""
    return replace(task, config=replace(task.config, student=ranking[0].name))


def kept_ranking(folder: RunFolder) -> list[Ranked]:
    """The skeletons of a run with ``--student auto``, best first; none where the student was not ranked."""
    if not (folder.path / RANKING).is_file():
        return []
    kept: Any = folder.read_json(RANKING)
    return [Ranked(**one) for one in kept["skeletons"]]
