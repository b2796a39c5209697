"""How do time and memory grow with the target's samples, the number of sources, and the number of classes?

    python benchmarks/growth.py --page docs/growth.md

Each point runs in a process of its own, on noise: what is in the samples makes no difference to the time. What is timed
is what ``hatlit train`` does with its shipped options, save that one pass over the rows stands for all of them.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hatlit.config import Names, TrainConfig, TrainerConfig, names
from hatlit.config.checks import at_least
from hatlit.datamodules.base import Domain
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.datamodules.target.data import TargetData
from hatlit.encoders.base import InputSpec, build_classifier
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.fitting import fit, make_trainer, planned_epochs
from hatlit.experiments.memory import peak_bytes, reset_peak
from hatlit.experiments.prepare import as_sources
from hatlit.experiments.report.document import Table
from hatlit.files import write_atomically
from hatlit.fusion.consensus import find_consensus
from hatlit.fusion.experts import voices_of_experts
from hatlit.fusion.mixer import conditional
from hatlit.methods.base import METHODS, TransferMethod, TransferTask
from hatlit.methods.teachers import adapted_sources, frozen_bank, own_experts
from hatlit.selection.protocol import select
from hatlit.selection.statistics import profile
from hatlit.zoo.card import Statistic, StatisticsSpec, Training, ZooInfo
from hatlit.zoo.store import Zoo
from quick import parse_fast

#: What grows, and in which words.
AXES = {"samples": "samples of the target", "sources": "sources selected (N_p)", "classes": "classes"}

#: A step that takes less than this at the largest point is mostly fixed cost, and has no exponent worth a word.
SHORTEST = 0.2

#: An exponent up to here is linear growth, measured once.
LINEAR = 1.1

#: Defaults of --fast.
FAST = {"samples": "500,5000", "sources": "1,10", "classes": "2,200", "base_samples": 1000}

HEAD = """# How time and memory grow

Made by

```bash
{command}
```

(`--fast` tries it on few and small points; without `--page` it only prints them)

Measured on {date}, with hatlit {hatlit}, torch {torch} and Python {python}, one thread on one of {cores} cores. {busy}
Each point is one run of HaT with its shipped options, in a process of its own with an empty cache, on three channels of
64 samples in time; sources are `cnn_tiny`, the student is `cnn_nano`, and one sample a class is labelled. A zoo has as
many sources as are selected, so all of them are looked at. "Bank" is one pass of the frozen sources and experts over
the target's samples, "consensus" weighs what they said, and "building" puts the method together, most of which is
asking the sources about blends; of more than 16,384 training rows there are none. Adaptation looks at unlabelled rows
as well, two a class and from 32 to 256 a step, 4,096 in all at the most.

An exponent is the slope of log seconds over log size: 1 is linear, 2 quadratic; "at the end" it is taken between the
two largest sizes, where fixed costs weigh least. Steps that are over within {shortest} s have none. Training is one
pass over the rows; a whole run makes 60, or as many as begin within 2,000 batches. Memory is the largest resident set
of any step, above what was there when the samples and the libraries were.
"""

SPEC = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(64,), rate=50.0)


@dataclass
class GrowthConfig:
    """Times every step of a run against samples, sources and classes.

    Args:
        samples: numbers of samples of the target; the others are at their base meanwhile.
        sources: numbers of sources that are selected, from a zoo that has as many as the largest.
        classes: numbers of classes.
        base_samples: samples where something else grows.
        base_sources: sources where something else grows.
        base_classes: classes where something else grows.
        fast: a minute or two: few and small points, save where other options say otherwise.
        page: Markdown file for the tables; empty only prints them.
        point: one point as `samples,sources,classes`, whose figures are printed as JSON: what each process is asked.
    """

    samples: Names = "1000,10000,100000"
    sources: Names = "1,5,20,50"
    classes: Names = "2,10,100,1000"
    base_samples: int = 4000
    base_sources: int = 5
    base_classes: int = 8
    fast: bool = False
    page: str = ""
    point: str = ""

    def __post_init__(self) -> None:
        for axis in AXES:
            setattr(self, axis, names(getattr(self, axis)))
        if not all(number.isdigit() and int(number) for axis in AXES for number in getattr(self, axis)):
            raise InputError("--samples, --sources and --classes want numbers above 0.")
        at_least("", self, base_samples=8, base_sources=1, base_classes=2)


@dataclass(frozen=True)
class Point:
    """The size of one run.

    Attributes:
        samples: of the target, training and test part together.
        sources: how many are selected (N_p).
        classes: how many the target has (K), and every source.
    """

    samples: int
    sources: int
    classes: int


class Steps:
    """Times steps one after another, and notes the most memory that each needs above what was there at the start."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.megabytes: dict[str, float] = {}
        reset_peak()
        self._start = peak_bytes()

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        reset_peak()
        began = time.perf_counter()
        yield
        self.seconds[step] = time.perf_counter() - began
        self.megabytes[step] = max(0, peak_bytes() - self._start) / 1e6


def domain_of(point: Point) -> Domain:
    """Noise, with its rows dealt to the classes in turn."""
    samples = np.random.default_rng(0).standard_normal((point.samples, SPEC.num_channels, *SPEC.shape), np.float32)
    numbers = np.arange(point.samples)
    classes = tuple(f"class-{number}" for number in range(point.classes))
    return Domain("target", samples, numbers % point.classes, numbers, SPEC, classes)


def zoo_of(point: Point, folder: Path) -> Zoo:
    """As many untrained sources as the point selects, which know the target's classes."""
    config = TrainConfig().selection
    spec = StatisticsSpec(names=(config.statistics,), view=SPEC, seed=0)
    zoo = Zoo.create(folder, ZooInfo(modality=SPEC.modality, statistics=spec))
    generator = np.random.default_rng(1)
    view = SPEC.with_(mean=(0.0,) * SPEC.num_channels, std=(1.0,) * SPEC.num_channels)
    for number in range(point.sources):
        torch.manual_seed(number)
        model = build_classifier("cnn_tiny", view, point.classes)
        noise = torch.from_numpy(generator.standard_normal((32, SPEC.num_channels, *SPEC.shape), np.float32))
        own = profile(config.statistics, noise, SPEC, 0)
        zoo.add(
            f"source-{number:03d}",
            model,
            domain=f"person-{number}",
            dataset="noise",
            encoder="cnn_tiny",
            class_names=tuple(f"class-{one}" for one in range(point.classes)),
            statistics={config.statistics: Statistic.of(own.mean, own.spread)},
            centroids=tuple(map(tuple, generator.standard_normal((point.classes, model.feature_dim)).tolist())),
            accuracy=0.5,
            num_samples=32,
            training=Training(max_epochs=0, seed=number, labels=32),
        )
    return zoo


def measure(point: Point, folder: Path) -> dict[str, dict[str, float]]:
    """Seconds and megabytes of each step of one run; ``folder`` is for the zoo."""
    config = replace(TrainConfig(num_sources=point.sources), trainer=TrainerConfig(max_epochs=1, accelerator="cpu"))
    domain, zoo, step = domain_of(point), zoo_of(point, folder), Steps()
    run_by_steps(domain, zoo, config, step, "an epoch")
    return {"seconds": step.seconds, "megabytes": step.megabytes}


def run_by_steps(domain: Domain, zoo: Zoo, config: TrainConfig, step: Steps, training: str) -> TransferTask:
    """Does what ``hatlit train`` does, one step after another; training has the name that it is given."""
    with step("split"):
        target = TargetData(domain, split_domain(domain, config.labels, config.seed))
    with step("selection"):
        selection = select(zoo, target, config.selection, config.num_sources, config.seed, lambda line: None)
    task = TransferTask(target, target.spec, as_sources(selection.cards, selection.models), config)
    with step("adaptation"):
        adapted_sources(task)
    with step("experts"):
        experts = own_experts(task, config.hat.experts)
    with step("bank"):
        bank = frozen_bank(task, experts=experts)
    with step("consensus"):
        said = conditional(bank.get_buffer("probabilities"))
        of_sources = torch.ones(len(task.sources))
        of_experts = voices_of_experts(said, target.train_labels, of_sources)
        find_consensus(said, target.train_labels, torch.cat([of_sources, of_experts]))
    del bank
    with step("building"):
        method = METHODS.get("hat").build(task)  # of what is there by now
    train(method, task, step, training)
    with step("test"):
        method.predict(target.test_rows(method.view))
    return task


def train(method: TransferMethod, task: TransferTask, step: Steps, training: str) -> None:
    """Fits a method to its rows."""
    config = task.config
    batches = TargetDataModule(method.rows(task), config.trainer.batch_size, config.seed, config.trainer.augment)
    with step(training):
        planned = replace(config.trainer, max_epochs=planned_epochs(batches, config.trainer))
        fit(method, batches, make_trainer(planned, [], []), config.seed, None)


def asked_of(point: Point) -> dict[str, dict[str, float]]:
    """``measure`` in a process of its own, of one thread, with nothing in its cache."""
    words = [sys.executable, __file__, "--point", f"{point.samples},{point.sources},{point.classes}"]
    with tempfile.TemporaryDirectory() as cache:
        surroundings = {**os.environ, "HATLIT_CACHE": cache, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(words, capture_output=True, text=True, env=surroundings)
    if done.returncode:
        raise InputError(f"{point} failed: {(done.stderr.strip().splitlines() or ['killed'])[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def points_of(axis: str, config: GrowthConfig) -> list[Point]:
    """The points of one axis, small before large."""
    base = Point(config.base_samples, config.base_sources, config.base_classes)
    return [replace(base, **{axis: number}) for number in sorted(map(int, getattr(config, axis)))]


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """The slope b of log value = a + b log size, by least squares: 1 is linear growth, 2 quadratic."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def growth_table(axis: str, points: Sequence[Point], figures: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """One row a step: seconds at each point, the exponent over all of them and that between the last two."""
    sizes = [getattr(point, axis) for point in points]

    def row(step: str, values: Sequence[float], unit: str, shortest: float) -> dict[str, str]:
        shown = {f"{size:,}": f"{float(f'{value:.3g}'):,g}{unit}" for size, value in zip(sizes, values, strict=True)}
        grows = len(sizes) > 1 and values[-1] >= shortest and min(values) > 0
        slopes = (exponent(sizes, values), exponent(sizes[-2:], values[-2:])) if grows else ()
        words = [f"{slope:.2f}" for slope in slopes] or ["-", "-"]
        return {AXES[axis]: step, **shown, "exponent": words[0], "at the end": words[1]}

    steps = figures[0]["seconds"]
    rows = [row(step, [one["seconds"][step] for one in figures], " s", SHORTEST) for step in steps]
    most = [max(one["megabytes"].values()) for one in figures]
    return [*rows, row("peak memory", most, " MB", 1.0)]


def main(words: list[str]) -> int:
    """Prints the tables, and writes the page."""
    display = Display()
    try:
        config = parse_fast(GrowthConfig, "growth", "How do time and memory grow?", words, FAST)
        if config.point:
            samples, sources, classes = map(int, names(config.point))
            with tempfile.TemporaryDirectory() as folder:
                print(json.dumps(measure(Point(samples, sources, classes), Path(folder))))
            return 0
        tables = {}
        for axis in AXES:
            points = points_of(axis, config)
            figures = [asked_of(point) for point in display.track(points, axis)]
            tables[axis] = growth_table(axis, points, figures)
            display.table(f"{AXES[axis]}: {others(axis, config)}", tables[axis])
    except InputError as error:
        print(f"growth: {error}", file=sys.stderr)
        return 2
    if config.page:
        command = shlex.join(["python", "benchmarks/growth.py", *words])
        write_atomically(Path(config.page), page(command, tables, config))
        display.say(f"wrote {config.page}")
    return 0


def others(axis: str, config: GrowthConfig) -> str:
    """What stays as it is while something grows."""
    return ", ".join(f"{getattr(config, f'base_{one}'):,} {AXES[one]}" for one in AXES if one != axis)


def page(command: str, tables: dict[str, list[dict[str, str]]], config: GrowthConfig) -> str:
    """The page with all tables."""
    load = os.getloadavg()[1] / (os.cpu_count() or 1)
    busy = f"The machine was busy with other work meanwhile ({load:.1f} processes a core)." if load > 1 else ""
    head = HEAD.format(
        command=command,
        date=datetime.now(UTC).date(),
        busy=busy,
        shortest=SHORTEST,
        cores=os.cpu_count(),
        hatlit=version("hatlit"),
        torch=version("torch"),
        python=platform.python_version(),
    )
    parts = [
        f"## {AXES[axis][0].upper()}{AXES[axis][1:]}\n\nWith {others(axis, config)}.\n\n{Table(rows).markdown()}\n"
        for axis, rows in tables.items()
    ]
    return "\n".join([head, finding(tables), *parts])


def finding(tables: dict[str, list[dict[str, str]]]) -> str:
    """What is steeper than a line between the two largest sizes, in words."""
    steep = [
        f"{row[AXES[axis]]} with {axis} ({row['at the end']}, {list(row.values())[-3]} at the largest)"
        for axis, rows in tables.items()
        for row in rows
        if row["at the end"] != "-" and float(row["at the end"]) > LINEAR
    ]
    if not steep:
        return f"No step grows faster than linearly: no exponent at the end is above {LINEAR}.\n"
    return f"Exponents at the end that are above {LINEAR}: {', '.join(steep)}; all others grow linearly or slower.\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
