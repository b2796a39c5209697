"""A finished run opened again: its options, and its target as training saw it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console

from hatlit.config import TrainConfig
from hatlit.datamodules.base import DomainSet
from hatlit.datamodules.target.data import TargetData
from hatlit.datamodules.target.own import IN_MEMORY
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import read_asked, read_domains
from hatlit.experiments.folder import RunFolder
from hatlit.experiments.prepare import choose_target
from hatlit.experiments.student import kept_ranking
from hatlit.options import parse
from hatlit.students.skeletons import AUTO


@dataclass(frozen=True)
class Reopened:
    """A finished run.

    Attributes:
        folder: of the run.
        config: its options; a student that was ranked goes by its name.
        asked: the domains as its sources see them.
        target: split and labelled as it was.
    """

    folder: RunFolder
    config: TrainConfig
    asked: DomainSet
    target: TargetData


def open_finished(run: Path) -> tuple[RunFolder, TrainConfig]:
    """The folder of a finished run, and the options that it kept.

    Raises:
        InputError: there is no finished run, its options cannot be read any more, or it was made of samples in memory.
    """
    folder = RunFolder(run)
    if not folder.is_done:
        raise InputError(f"'{run}' is not the folder of a finished run; name one below --out of 'hatlit train'.")
    config = parse(TrainConfig, "train", "", ["--config", str(run / "config.yaml")])
    if asdict(config.data).items() >= IN_MEMORY.items():
        raise InputError(
            f"'{run}' was trained on samples in memory, which are not kept; call hatlit.expand again, with the path of "
            "an npz file where they are to be read once more."
        )
    return folder, config


def reopen(run: Path) -> Reopened:
    """Reads the options and the target of a run again; nothing is downloaded.

    Raises:
        InputError: there is no finished run, or its options or data are not there any more, or have changed.
    """
    folder, config = open_finished(run)
    silent = Display(Console(quiet=True))
    data = read_domains(config.modality, replace(config.data, download=False), silent)
    asked = read_asked(data, config.data, config.sources, silent)
    target = choose_target(data, asked, config, silent)
    if target.labels_fingerprint != folder.read_json("result.json")["labels_fingerprint"]:
        raise InputError(
            f"The data of target '{target.domain.name}' have changed since '{run}' was trained; train again."
        )
    if config.student == AUTO:
        config = replace(config, student=kept_ranking(folder)[0].name)
    return Reopened(folder, config, asked, target)
