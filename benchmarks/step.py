"""What is a step of HaT made of? Times it with one part after the other, from the student alone to all of HaT.

    python benchmarks/step.py

Each row of a table has all that the row above has, and one part more; the last one is HaT with narrower features. All
take turns, with the same student, sources, rows, batches and threads; what is timed is a pass over the rows, behind one
that warms up.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from contenders import Setting, of_method, student_alone
from hatlit.config import Names, TrainConfig, names
from hatlit.config.checks import at_least
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.files import refuse_unwritable
from hatlit.methods.base import METHODS, StudentMethod, TransferMethod
from hatlit.options import parse
from measured import keep_figures

RESULTS = Path(__file__).parent / "results"

HAT = METHODS.get("hat")

#: Methods and options, by what comes along with them; each of the first has all that stands before it.
PARTS: dict[str, tuple[type[TransferMethod], Sequence[str]]] = {
    "+ Lightning": (StudentMethod, []),
    "+ what sources say (`kd`)": (METHODS.get("kd"), []),
    "+ fusion, experts, dictionary, blends": (
        HAT,
        ["--hat.mixer.weights", "prior", "--hat.injection.hint_weight", "0"],
    ),
    "+ attention": (HAT, ["--hat.injection.hint_weight", "0"]),
    "+ hints: all of HaT": (HAT, []),
    "all of HaT, features 128 wide at most": (HAT, ["--hat.mixer.feature_width", "128"]),
}

#: What all of it is compared with.
FLOOR = "student alone, plain PyTorch"


@dataclass
class StepConfig:
    """Times a step of HaT part by part.

    Args:
        sources: encoders of the sources, or 30k, 1M and 20M parameters; each is a table.
        students: architectures of the student, each a table; empty for the one that hatlit takes by itself.
        num_sources: how many sources.
        rows: samples of the target.
        repeats: how often everything is timed, in turns.
        threads: of torch.
        out: JSON file for the figures.
    """

    sources: Names = "30k,1M,20M,timm:mobilenetv3_small_100"
    students: Names = ""
    num_sources: int = 5
    rows: int = 512
    repeats: int = 7
    threads: int = 1
    out: str = str(RESULTS / "step.json")

    def __post_init__(self) -> None:
        self.sources, self.students = names(self.sources), names(self.students) or [""]
        at_least("", self, num_sources=1, rows=200, repeats=1, threads=1)


def settings_of(config: StepConfig) -> list[Setting]:
    """What the options ask for; a name says how many sources of what size, and the student where it is chosen."""
    return [
        Setting(
            "_".join(filter(None, (f"np{config.num_sources}", size, student))),
            config.num_sources,
            size,
            config.rows,
            student,
        )
        for size in config.sources
        for student in config.students
    ]


def milliseconds(setting: Setting, config: StepConfig) -> dict[str, list[float]]:
    """Milliseconds a step, once a repeat, by the part that was added last."""
    taken: dict[str, list[float]] = {one: [] for one in (FLOOR, *PARTS)}
    for repeat in range(config.repeats):
        first = repeat % len(taken)  # each comes first, second, ... about equally often
        for part in (*list(taken)[first:], *list(taken)[:first]):
            taken[part].append(1000 * seconds_of(setting, part))
    return taken


def seconds_of(setting: Setting, part: str) -> float:
    """Seconds a step with all up to a part."""
    if part == FLOOR:
        return student_alone(setting, len(setting.batches))
    kind, words = PARTS[part]
    options = parse(TrainConfig, "train", "", ["--modality", setting.task.config.modality, *words])
    options.student = setting.student
    options.adapt.steps = 0  # before training, and so no part of a step
    return of_method(kind, replace(setting.task, config=options))


def table(taken: dict[str, list[float]]) -> list[dict[str, Any]]:
    """A row a part: what a step takes with it, in milliseconds and in units of the student alone."""
    floor = median(taken[FLOOR])
    return [
        {
            "a step with": part,
            "ms": f"{median(all_):.2f}",
            "of the student alone": f"{median(all_) / floor:.2f}",
        }
        for part, all_ in taken.items()
    ]


def main(words: list[str]) -> int:
    """Prints a table for each kind of source and writes the figures."""
    display, found, load = Display(), {}, round(os.getloadavg()[0], 1)
    try:
        config = parse(StepConfig, "step", "What is a step of HaT made of?", words)
        refuse_unwritable(Path(config.out).parent)
        torch.set_num_threads(config.threads)
        with tempfile.TemporaryDirectory() as cache:
            os.environ["HATLIT_CACHE"] = cache
            for setting in settings_of(config):
                taken = found[setting.name] = milliseconds(setting, config)
                display.table(setting.name, table(taken))
    except InputError as error:
        print(f"step: {error}", file=sys.stderr)
        return 2
    figures = {
        "medians": {name: {part: median(all_) for part, all_ in taken.items()} for name, taken in found.items()},
        "spread": {
            name: {part: [min(all_), max(all_)] for part, all_ in taken.items()} for name, taken in found.items()
        },
        "load_before": load,
        "rows": config.rows,
        "repeats": config.repeats,
        "threads": config.threads,
    }
    keep_figures(config.out, figures, display)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
