"""What ``hatlit train`` does, from Python: from a zoo and a new domain to a student, or to the task of a method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from torch import Tensor

from hatlit.config import TrainConfig
from hatlit.datamodules.base import DomainSet
from hatlit.datamodules.target.data import TargetData
from hatlit.datamodules.target.own import IN_MEMORY, FewLabels, Samples, target_of
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import open_zoo, read_asked, read_domains
from hatlit.experiments.prepare import (
    check,
    choose_sources,
    choose_target,
    selected,
    source_domains,
)
from hatlit.experiments.student import rank_students, settle_student, with_student
from hatlit.experiments.train import train_for
from hatlit.experiments.zoo import provenance_of, save_student
from hatlit.export.model_card import write_model_card
from hatlit.export.student import Student
from hatlit.methods.base import StudentMethod, TransferTask
from hatlit.options import as_words, parse
from hatlit.stopwatch import Stopwatch
from hatlit.students.skeletons import AUTO
from hatlit.zoo.store import Zoo

#: How many labels a target of a data set has: so many a class, or such a share.
Amount = int | float


def expand(
    zoo: str | Path | None,
    data: str | Path | Samples,
    labels: Amount | FewLabels | None = None,
    *,
    root: str | Path | None = None,
    rate: float | None = None,
    channels: tuple[str, ...] | list[str] = (),
    quiet: bool = False,
    **options: Any,
) -> Student:
    """Expands a zoo to a new domain: selects sources, fuses what they say, distils a small student.

    The run gets a folder below ``out`` (``runs`` unless told otherwise), as from the command line; the same call again
    opens what is there, and goes on where an interrupted one stopped.

    Args:
        zoo: path or URL of a zoo; None trains a source for each other domain of the data set first.
        data: the new domain. A path of an npz file in the arrays layout (docs/your-own-data.md) or the name of a data
            set, of which ``target`` names the domain and a part is held out for a test; or samples in memory,
            (N, channels, *shape) or N texts, which all train.
        labels: of a data set, how many a class (a whole number, 1 unless told otherwise) or which share (a fraction).
            Of samples in memory, the labelled few by name: ``{row: name}``, or N names with None where unknown.
        root: file or folder of a named data set.
        rate: samples per second (Hz) of samples in memory; without it, that of the zoo.
        channels: names of the channels of samples in memory; without them, those of the zoo where they are as many.
        quiet: whether nothing is shown.
        options: every option of ``hatlit train``, a group of them as a mapping: ``seed=1``,
            ``trainer={"max_epochs": 20}``. ``modality`` is the zoo's unless it is given. ``jobs`` is 1; more processes
            train sources only in a script that guards its work with ``if __name__ == "__main__"``.

    Raises:
        InputError: something in the options or in the data cannot be.

    Example:
        >>> student = hatlit.expand("zoo", x, labels={0: "slow", 1: "fast", 2: "still"}, quiet=True)
        >>> student.class_names
        ('fast', 'slow', 'still')
        >>> len(student.predict(x).labels) == len(x)
        True
    """
    display = _display(quiet)
    clock = Stopwatch()
    with clock("data"):
        given = _read(zoo, data, labels, root, rate, channels, display, options)
    result = train_for(given.target, given.data, given.asked, given.config, display, clock)
    return Student(Path(given.config.out) / result["run"])


def prepare(
    zoo: str | Path | None,
    data: str | Path | Samples,
    labels: Amount | FewLabels | None = None,
    *,
    root: str | Path | None = None,
    rate: float | None = None,
    channels: tuple[str, ...] | list[str] = (),
    quiet: bool = False,
    **options: Any,
) -> TransferTask:
    """Does what comes before the training: reads the target, settles the student's form, selects the sources.

    Whatever method then trains, in whoever's Trainer, is built of the task: ``hatlit.HaT.build(task)``.

    Args:
        zoo, data, labels, root, rate, channels, quiet, options: as in ``expand``.

    Raises:
        InputError: as in ``expand``.

    Example:
        >>> task = hatlit.prepare("zoo", x, labels={0: "slow", 1: "fast", 2: "still"}, quiet=True)
        >>> sorted(source.id for source in task.sources)
        ['bob', 'cid']
        >>> method = hatlit.HaT.build(task)
    """
    display = _display(quiet)
    given = _read(zoo, data, labels, root, rate, channels, display, options)
    config, view = settle_student(given.target, given.config)
    opened = open_zoo(config.zoo, given.asked.modality, config.data) if config.zoo else None
    selection = choose_sources(config, given.asked, given.target, opened, display, Stopwatch())
    recordings = source_domains(config, given.data, selection)
    task = TransferTask(given.target, view, selected(selection), config, recordings)
    return with_student(task, rank_students(task)) if config.student == AUTO else task


def keep(method: StudentMethod, task: TransferTask, folder: str | Path) -> Student:
    """Keeps the student of a method that somebody's own Trainer has trained.

    Args:
        method: trained.
        task: that it was built of.
        folder: where to; new or empty. ``hatlit.load`` opens it.

    Raises:
        InputError: another student lies there already, or the folder cannot be written.
    """
    domain = task.target.recording(method.view.modality)
    data = DomainSet(task.config.data.name, method.view.modality, (domain,), domain.class_names)
    save_student(Path(folder), data, task, method, task.student_encoder, provenance_of(task.sources))
    write_model_card(Path(folder), {}, {})
    return Student(folder)


def options_of(**options: Any) -> TrainConfig:
    """The options of a run, from keywords; those of a group are a mapping.

    Raises:
        InputError: an option is unknown, of the wrong type, or contradicts another one.

    Example:
        >>> options_of(seed=3, trainer={"max_epochs": 20}).trainer.max_epochs
        20
    """
    return parse(TrainConfig, "train", "", as_words(options))


@dataclass(frozen=True)
class _Given:
    """What a call came with: the target, the domains as student and sources see them, the options."""

    target: TargetData
    data: DomainSet
    asked: DomainSet
    config: TrainConfig


def _read(
    zoo: str | Path | None,
    data: str | Path | Samples,
    labels: Amount | FewLabels | None,
    root: str | Path | None,
    rate: float | None,
    channels: tuple[str, ...] | list[str],
    display: Display,
    options: dict[str, Any],
) -> _Given:
    form = Zoo.open(zoo).info.statistics.view if zoo is not None else None
    usual = {"modality": form.modality} if form else {}
    settings = {"jobs": 1, **usual, **options, **({} if zoo is None else {"zoo": str(zoo)})}
    if isinstance(data, str | Path):
        if rate is not None or channels:
            raise InputError("A data set says itself how it was recorded; leave rate and channels out.")
        return _read_set(data, root, settings, labels, display)
    if root is not None:
        raise InputError("Samples in memory have no root; leave it out, or name a data set.")
    target = _own_target(data, labels, settings, form, rate, tuple(channels))
    fewest = int(np.unique(target.train_labels[target.split.labelled], return_counts=True)[1].min())
    config = _checked({**settings, "data": IN_MEMORY, "labels": {"per_class": fewest}})
    display.say(
        f"target {target.domain.name} has {len(target.class_names)} classes, {len(target.split.train)} training "
        f"samples, {len(target.split.labelled)} of them labelled, and none held out for a test"
    )
    own = DomainSet("arrays", config.modality, (target.domain,), target.class_names)
    return _Given(target, own, own, config)


def _read_set(
    data: str | Path,
    root: str | Path | None,
    settings: dict[str, Any],
    labels: Amount | FewLabels | None,
    display: Display,
) -> _Given:
    if not isinstance(labels, int | float | None):
        raise InputError("A data set has its labels in it; say how many a class are known, or which share of them.")
    is_file = isinstance(data, Path) or data.endswith(".npz")
    name, place = ("arrays", data) if is_file else (str(data), root)
    amount = {} if labels is None else {"per_class" if isinstance(labels, int) else "fraction": labels}
    where = {} if place is None else {"root": str(place)}
    config = _checked({**settings, "data": {"name": name, **where}, "labels": amount})
    domains = read_domains(config.modality, config.data, display)
    asked = read_asked(domains, config.data, config.sources, display)
    return _Given(choose_target(domains, asked, config, display), domains, asked, config)


def _own_target(
    samples: Samples,
    labels: Amount | FewLabels | None,
    settings: Mapping[str, Any],
    zoo: InputSpec | None,
    rate: float | None,
    channels: tuple[str, ...],
) -> TargetData:
    if labels is None or isinstance(labels, int | float):
        raise InputError("Samples in memory need labels={row: class name}, or a name or None for each of them.")
    modality, name = settings.get("modality") or "imu", settings.get("target") or "target"
    if zoo is not None and zoo.modality == modality:
        rate = rate or zoo.rate
        count = samples.shape[1] if isinstance(samples, np.ndarray | Tensor) and samples.ndim > 1 else 0
        channels = channels or (zoo.channels if len(zoo.channels) == count else ())
    return target_of(samples, labels, modality, name=name, rate=rate, channels=channels)


def _checked(settings: Mapping[str, Any]) -> TrainConfig:
    config = options_of(**settings)
    check(config)
    if config.trainer.devices > 1:
        raise InputError("From Python a run trains in one process; 'hatlit train --trainer.devices' takes several.")
    return config


def _display(quiet: bool) -> Display:
    return Display(Console(quiet=True)) if quiet else Display()
