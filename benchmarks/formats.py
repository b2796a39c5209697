"""What do other number formats and a compiled student change, in time, in space and in accuracy?

    python benchmarks/formats.py

The same students of HaT are trained on simulated people in every way that the table names; only one thing differs from
what is shipped each time. Ways take turns, so that a busy spell of the machine meets all alike.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from statistics import mean, median
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from hatlit.config import CacheConfig, TrainConfig, TrainerConfig
from hatlit.config.checks import at_least
from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.synthetic.imu import ACTIVITIES, build_fleet
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.datamodules.target.data import TargetData
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.fitting import fit, make_trainer
from hatlit.experiments.fleet import sources_of_all
from hatlit.experiments.prepare import as_sources
from hatlit.methods.base import TransferTask
from hatlit.methods.hat import HaT
from hatlit.options import parse
from hatlit.selection.protocol import select
from hatlit.zoo.store import Zoo
from measured import keep_figures

ON_CPU = TrainerConfig(accelerator="cpu")

#: What all others are compared with.
SHIPPED = "as shipped"

COMPILED = "student compiled (torch.compile)"

#: By name, the options that differ from those that are shipped.
WAYS: dict[str, dict[str, Any]] = {
    SHIPPED: {},
    "--cache.dtype float16": {"cache": CacheConfig(dtype="float16")},
    "--trainer.precision bf16-mixed": {"trainer": replace(ON_CPU, precision="bf16-mixed")},
    COMPILED: {},
}


@dataclass
class FormatsConfig:
    """Trains the same students in several number formats, and compiled.

    Args:
        sources: people whose sources make the zoo.
        targets: further people, each of whom gets a student in every way.
        jobs: processes that train the sources, which is not timed.
        out: JSON file for the figures; empty only prints them.
    """

    sources: int = 20
    targets: int = 6
    jobs: int = 2
    out: str = "benchmarks/results/formats.json"

    def __post_init__(self) -> None:
        at_least("", self, sources=5, targets=1, jobs=1)


@dataclass(frozen=True)
class Run:
    """What one student cost and came to.

    Attributes:
        step: median seconds of training a step.
        first: seconds of the first step, where a compiler works.
        kept: bytes of what the sources said, as it is kept for training.
        accuracy: on the target's test part, from 0 to 1.
    """

    step: float
    first: float
    kept: int
    accuracy: float


def run(way: str, person: Domain, zoo: Zoo, config: TrainConfig) -> Run:
    """Trains one student."""
    config = replace(config, **WAYS[way])
    target = TargetData(person, split_domain(person, config.labels, config.seed))
    chosen = select(zoo, target, config.selection, config.num_sources, config.seed, lambda line: None)
    task = TransferTask(target, target.spec, as_sources(chosen.cards, chosen.models), config)
    clock = StepClock()
    method = HaT.build(task)
    if way == COMPILED:
        # As type checkers know no method that is replaced.
        setattr(method.student, "both", torch.compile(method.student.both))  # noqa: B010
    batches = TargetDataModule(method.rows(task), config.trainer.batch_size, config.seed, config.trainer.augment)
    fit(method, batches, make_trainer(config.trainer, [], [clock]), config.seed, None)
    test = target.test_rows(method.view)
    right = method.predict(test).argmax(-1) == test.label
    first, *others = clock.seconds
    kept = sum(buffer.nbytes for buffer in method.bank.buffers())
    return Run(median(others), first, kept, float(right.float().mean()))


class StepClock(Callback):
    """Notes the seconds of each step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._began = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        """A step begins."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        """A step ends."""
        self.seconds.append(time.perf_counter() - self._began)


def measure(config: FormatsConfig, display: Display) -> dict[str, list[Run]]:
    """The students of all targets, by way."""
    people = build_fleet(config.sources + config.targets)
    with_source, targets = people[: config.sources], people[config.sources :]
    usual = replace(TrainConfig(), jobs=config.jobs, trainer=ON_CPU)
    zoo = sources_of_all(DomainSet("simulated", "imu", tuple(with_source), ACTIVITIES), usual, display)
    runs: dict[str, list[Run]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["HATLIT_CACHE"] = cache
        for person in display.track(targets, "targets"):
            for way in WAYS:
                runs[way].append(run(way, person, zoo, usual))
    return runs


def table_of(runs: dict[str, list[Run]]) -> list[dict[str, str]]:
    """A row a way."""
    shipped = runs[SHIPPED]
    return [
        {
            "what differs": way,
            "a step (ms)": f"{1000 * median(one.step for one in several):.1f}",
            "the first step (s)": f"{max(one.first for one in several):.2f}",
            "kept of the sources (kB)": f"{mean(one.kept for one in several) / 1000:.0f}",
            "accuracy": f"{100 * mean(one.accuracy for one in several):.1f}",
            "ahead by": f"{100 * mean(a.accuracy - b.accuracy for a, b in zip(several, shipped, strict=True)):.1f}",
        }
        for way, several in runs.items()
    ]


def main(words: list[str]) -> int:
    """Prints the table, and writes the figures."""
    display = Display()
    try:
        config = parse(FormatsConfig, "formats", "What do number formats and a compiled student change?", words)
        runs = measure(config, display)
    except InputError as error:
        print(f"formats: {error}", file=sys.stderr)
        return 2
    display.table(f"{config.targets} targets, {config.sources} sources in the zoo", table_of(runs))
    figures = {way: [asdict(one) for one in several] for way, several in runs.items()}
    keep_figures(config.out, {"runs": figures}, display)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
