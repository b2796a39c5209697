"""How much sooner are many targets done that share each step?

    python benchmarks/batched.py --fast

Times one pass over the rows of each target: one run after the other as ``hatlit train`` does it, and all together as
``hatlit.experiments.batched`` does, in turns. What comes before, and the first pass, which warms up, are not in it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import torch

from contenders import Setting
from hatlit.config import Names, TrainerConfig, names
from hatlit.config.checks import at_least
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.errors import InputError
from hatlit.experiments.batched import fit_together
from hatlit.experiments.display import Display
from hatlit.experiments.epoch_table import EpochTable
from hatlit.experiments.fitting import LastCheckpoint, fit, make_trainer
from hatlit.methods.base import METHODS, StudentMethod
from measured import keep_figures
from quick import parse_fast

#: Defaults of --fast.
FAST = {"targets": "1,8", "methods": "labels_only,hat", "rows": 256}

PASSES = TrainerConfig(max_epochs=2, accelerator="cpu")

Together = tuple[list[StudentMethod], list[TargetDataModule]]


@dataclass
class BatchedConfig:
    """Times many targets one by one and together.

    Args:
        targets: how many, each number a row.
        methods: which methods.
        students: architectures of the student; the sources are the same for all.
        rows: samples of a target.
        repeats: how often everything is timed, in turns.
        threads: of torch.
        fast: a minute: 1 and 8 targets of two methods, few rows, save where other options say otherwise.
        out: JSON file for the figures; empty only prints them.
    """

    targets: Names = "1,8,32"
    methods: Names = "labels_only,kd,hat"
    students: Names = "cnn_nano"
    rows: int = 512
    repeats: int = 3
    threads: int = 1
    fast: bool = False
    out: str = ""

    def __post_init__(self) -> None:
        self.targets, self.methods, self.students = names(self.targets), names(self.methods), names(self.students)
        at_least("", self, rows=200, repeats=1, threads=1)
        if not all(number.isdigit() and int(number) for number in self.targets):
            raise InputError("--targets wants numbers above 0.")


def new_runs(setting: Setting, method: str, student: str, count: int) -> Together:
    """Untrained students of one method on so many targets, and their batches."""
    methods: list[StudentMethod] = []
    data: list[TargetDataModule] = []
    for number in range(count):
        config = replace(setting.task.config, seed=number, student=student)
        config.hat.experts.steps = 1
        task = replace(setting.task, config=config)
        built = METHODS.get(method).build(task)
        assert isinstance(built, StudentMethod), "only students train together"
        methods.append(built)
        rows = built.rows(task)
        data.append(TargetDataModule(rows, config.trainer.batch_size, number, config.trainer.augment))
    return methods, data


def last_pass(method: StudentMethod, train: Callable[[], None]) -> float:
    """Seconds of the last pass, the look at the mixer behind it included."""
    marks, look = [], method.after_epoch

    def after_epoch() -> dict[str, float]:
        found = look()
        marks.append(time.process_time())
        return found

    setattr(method, "after_epoch", after_epoch)  # noqa: B010 (type checkers know no method that is replaced)
    train()
    return marks[-1] - marks[-2]


def one_by_one(runs: Together) -> float:
    """Seconds of a pass of all targets, one after the other, with metrics and checkpoints."""
    seconds = 0.0
    for method, data in zip(*runs, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            loggers = [EpochTable(Path(folder) / "metrics.csv", print)]
            trainer = make_trainer(PASSES, loggers, [LastCheckpoint(Path(folder) / "last.ckpt", 10, print)])
            seconds += last_pass(method, partial(fit, method, data, trainer, 0, None))
    return seconds


def together(runs: Together) -> float:
    """Seconds of a pass of all targets in one."""
    return last_pass(runs[0][-1], lambda: fit_together(*runs, PASSES, 0))


def times(setting: Setting, method: str, student: str, config: BatchedConfig) -> list[dict[str, float | str]]:
    """One row a number of targets: milliseconds of a step of one target, either way, and how many times faster."""
    rows: list[dict[str, float | str]] = []
    for count in map(int, config.targets):
        taken: dict[str, list[float]] = {"one by one": [], "together": []}
        for _ in range(config.repeats):
            for name, way in (("one by one", one_by_one), ("together", together)):
                runs = new_runs(setting, method, student, count)
                taken[name].append(1000 * way(runs) / count / runs[1][0].steps_per_epoch)
        medians = {name: median(several) for name, several in taken.items()}
        faster = medians["one by one"] / medians["together"]
        rows.append({"method": method, "student": student, "targets": count, **medians, "times faster": faster})
    return rows


def shown(row: dict[str, float | str]) -> dict[str, str]:
    """A row with two digits behind the point."""
    return {name: f"{value:.2f}" if isinstance(value, float) else str(value) for name, value in row.items()}


def main(words: Sequence[str]) -> int:
    """Prints the figures, and writes them where ``--out`` says."""
    display = Display()
    try:
        about = "How much sooner are many targets done together?"
        config = parse_fast(BatchedConfig, "batched", about, words, FAST)
    except InputError as error:
        print(f"batched: {error}", file=sys.stderr)
        return 2
    torch.set_num_threads(config.threads)
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        os.environ["HATLIT_CACHE"] = cache
        setting = Setting("np5_30k", 5, "30k", config.rows)
        kinds = [(method, student) for student in config.students for method in config.methods]
        for method, student in display.track(kinds, "methods"):
            rows += times(setting, method, student, config)
    display.table("milliseconds a step of one target (median)", [shown(row) for row in rows])
    facts = {"rows_of_a_target": config.rows, "repeats": config.repeats, "threads": config.threads}
    keep_figures(config.out, {**facts, "rows": rows}, display)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
