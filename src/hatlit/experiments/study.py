"""Studies: each answers one question about the method with a table, a picture and a paragraph of finding."""

from __future__ import annotations

import csv
import functools
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from matplotlib.figure import Figure

from hatlit.config import CompareConfig, StudyConfig
from hatlit.datamodules.base import DomainSet
from hatlit.errors import InputError
from hatlit.experiments.compare import choose_targets
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import read_asked, read_domains
from hatlit.experiments.report.drawing import as_png, shorten
from hatlit.experiments.summary import FEWEST_TARGETS
from hatlit.files import COMMAND, refuse_unwritable, save_words, saved_words, write_atomically
from hatlit.options import option_names, parse
from hatlit.registry import Registry

#: One measurement.
Row = dict[str, Any]


@dataclass(frozen=True)
class StudyTask:
    """What a study works on.

    Attributes:
        config: the options.
        of_method: the options with the shipped settings of a method.
        data: the domains as the student sees them.
        asked: the domains as sources see them; the same object where that is no different.
        targets: names of the targets.
        display: speaks to the user.
        seeded: whether seeds make a difference to the study.
    """

    config: StudyConfig
    of_method: Callable[[str], StudyConfig]
    data: DomainSet
    asked: DomainSet
    targets: Sequence[str]
    display: Display
    seeded: bool = True

    @property
    def where(self) -> str:
        """On which data, for titles and findings."""
        demo = " (demo data, simulated)" if self.data.is_demo else ""
        seeds = f", seeds: {self.config.seeds}" if self.seeded else ""
        return f"{shorten(self.data.name)}{demo}, targets: {len(self.targets)}{seeds}"


class Study(ABC):
    """One question.

    Attributes:
        values: what it goes through unless ``--values`` says otherwise; empty where it has no such list.
        varies: options, or groups of them, that the study sets itself; a user who sets them is refused.
        unused: options, or groups of them, that make no difference to the study; a user who sets them is told.
    """

    values: ClassVar[tuple[str, ...]] = ()
    varies: ClassVar[tuple[str, ...]] = ()
    unused: ClassVar[tuple[str, ...]] = ()

    def read(self, value: str) -> Any:
        """Understands one of the ``--values``.

        Raises:
            InputError: it cannot be one.
        """
        return value

    @abstractmethod
    def measure(self, task: StudyTask, values: Sequence[Any]) -> list[Row]:
        """Runs and measures; the rows of ``study.csv``, which all have the same columns.

        Args:
            task: what to work on.
            values: what ``read`` made of the values, none twice.
        """

    @abstractmethod
    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """What the rows come to, as the terminal shows it."""

    @abstractmethod
    def finding(self, rows: Sequence[Row]) -> str:
        """What the rows say, in a paragraph."""

    @abstractmethod
    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """What the rows say, in a picture whose title ends with where they were measured."""


STUDIES: Registry[type[Study]] = Registry("study", home="hatlit.experiments.studies")


def share_of(study: str, value: str) -> float:
    """Reads one of ``--values`` as a share.

    Raises:
        InputError: it is none.
    """
    try:
        share = float(value)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise InputError(f"--values of the study '{study}' are shares above 0 and up to 1, not '{value}'.")
    return share


def register_study(name: str | None = None) -> Callable[[type[Study]], type[Study]]:
    """Returns a decorator that names a study; its file in ``studies`` has the same name."""
    return STUDIES.register(name)


def run_study(
    name: str, config: StudyConfig, of_method: Callable[[str], StudyConfig], display: Display, words: Sequence[str] = ()
) -> list[Row]:
    """Runs a study and writes ``study.csv``, ``figure.png`` and ``finding.md``.

    Runs that are done already are not repeated, so the same command goes on where it was interrupted.

    Args:
        name: of the study.
        config: the options.
        of_method: the same options with the shipped settings of a method.
        display: speaks to the user.
        words: the command line that the options came from.

    Returns:
        The rows of ``study.csv``.

    Raises:
        InputError: something in the options or in the data cannot be, or every run failed.
    """
    study = STUDIES.get(name)()
    values = check_options(name, study, config, display.say)
    out = Path(config.out)
    refuse_unwritable(out)
    _refuse_what_is_not_ours(out, name)
    data = read_domains(config.modality, config.data, display)
    asked = read_asked(data, config.data, config.sources, display)
    targets = choose_targets(data, CompareConfig(targets=config.targets))
    _keep(out, [name, *words])
    task = StudyTask(config, of_method, data, asked, targets, display, "seeds" not in study.unused)
    rows = study.measure(task, values)
    finding = whole_finding(study.finding(rows), task)
    write_atomically(out / "study.csv", as_csv(rows))
    write_atomically(out / "figure.png", as_png(study.figure(rows, task.where)))
    write_atomically(out / "finding.md", f"{finding}\n")
    display.table(f"{name}: {task.where}", study.table(rows))
    display.say(finding)
    display.say(f"Everything is in {out}")
    return rows


def check_options(name: str, study: Study, config: StudyConfig, say: Callable[[str], None]) -> list[Any]:
    """Reads the values, refuses options that the study sets itself, and says which make no difference to it.

    Raises:
        InputError: an option cannot be.
    """
    if config.values and not study.values:
        raise InputError(f"The study '{name}' has no values to go through; leave --values out.")
    changed = list(changed_options(config))
    instead = "give --values instead" if study.values else "leave the option out"
    for option in changed:
        if _is_among(option, study.varies):
            raise InputError(f"The study '{name}' sets --{option} itself; {instead}.")
    idle = [f"--{option}" for option in changed if _is_among(option, study.unused)]
    if idle:
        say(f"These options make no difference to the study '{name}': {', '.join(idle)}")
    values: list[Any] = []
    for text in config.values or study.values:
        value = study.read(text)
        if value not in values:
            values.append(value)
    return values


def changed_options(config: StudyConfig) -> Iterator[str]:
    """Dotted names of the options that are not what they are when nobody says anything."""
    untouched = parse(StudyConfig, "study", "", ["--modality", config.modality])
    for option in option_names(StudyConfig):
        if _value_of(config, option) != _value_of(untouched, option):
            yield option


def whole_finding(finding: str, task: StudyTask) -> str:
    """The finding of a study with where it was made, and what weakens it."""
    count, weakened = len(task.targets), ""
    if count == 1:
        weakened = " A single target has no interval, so nothing here is decided."
    elif count < FEWEST_TARGETS:
        weakened = f" Fewer than {FEWEST_TARGETS} targets decide nothing: intervals over {count} are too narrow."
    return f"On {task.where}: {finding}{weakened}"


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV; what is None stays empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _refuse_what_is_not_ours(out: Path, name: str) -> None:
    if (out / COMMAND).is_file() and saved_words(str(out))[0] != name:
        raise InputError(f"The folder '{out}' holds something else than the study '{name}'; choose another --out.")


def _keep(out: Path, words: Sequence[str]) -> None:
    try:
        save_words(out, words)
    except OSError as error:
        raise InputError(f"'{out}' cannot be written ({error.strerror}); choose another --out.") from error


def _is_among(option: str, names: Sequence[str]) -> bool:
    return any(option == name or option.startswith(f"{name}.") for name in names)


def _value_of(config: object, option: str) -> Any:
    return functools.reduce(getattr, option.split("."), config)
