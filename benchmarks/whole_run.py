"""What does a run cost from a zoo of a hundred sources to a finished student, beside the student alone?

    python benchmarks/whole_run.py

The fleet is simulated; all options are those of ``hatlit train``, whose own seconds by stage these are. Each repeat has
another draw of labels and an empty cache, and trains the same student on the labels alone as well.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from hatlit.config import TrainConfig, TrainerConfig
from hatlit.config.checks import at_least
from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.synthetic.imu import ACTIVITIES, build_fleet
from hatlit.datamodules.target.data import TargetData
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import sources_of_all
from hatlit.experiments.train import train_for
from hatlit.files import as_json, write_atomically
from hatlit.options import parse
from hatlit.stopwatch import Stopwatch

#: The stage that all others are compared with.
ALONE = "the student alone: training"

#: By its name in the figures, what a run calls a stage, in the order of a run.
STAGES = {
    "split": "data",
    "selection": "selection",
    "adaptation": "hat: preparation, adaptation",
    "experts": "hat: preparation, experts",
    "bank": "hat: preparation, sources asked",
    "consensus": "hat: preparation, consensus",
    "building": "hat: preparation, the rest",
    "training": "hat: training",
    "test": "hat: test",
    ALONE: "labels_only: training",
}


@dataclass
class WholeRunConfig:
    """Times every stage of a run on an IMU zoo.

    Args:
        sources: in the zoo.
        repeats: runs.
        jobs: processes that train the sources, which is not timed.
        max_epochs: passes over the target's rows, of HaT and of the student alone; also of the sources.
        out: JSON file for the figures; empty only prints them.
    """

    sources: int = 100
    repeats: int = 5
    jobs: int = 2
    max_epochs: int = TrainerConfig().max_epochs
    out: str = "benchmarks/results/whole_run.json"

    def __post_init__(self) -> None:
        at_least("", self, sources=1, repeats=1, jobs=1, max_epochs=1)


def measure(config: WholeRunConfig, display: Display) -> dict[str, float]:
    """Median seconds by stage, in the order of a run."""
    *others, domain = build_fleet(config.sources + 1)
    trainer = TrainerConfig(max_epochs=config.max_epochs, accelerator="cpu")
    usual = replace(TrainConfig(), jobs=config.jobs, trainer=trainer, wandb="off")
    usual = replace(usual, sources=replace(usual.sources, max_epochs=min(usual.sources.max_epochs, config.max_epochs)))
    zoo = sources_of_all(DomainSet("simulated", "imu", tuple(others), ACTIVITIES), usual, display)
    runs = [
        seconds_of_a_run(domain, replace(usual, seed=seed, zoo=zoo.url))
        for seed in display.track(range(config.repeats), "runs")
    ]
    return {name: median(seconds[stage] for seconds in runs) for name, stage in STAGES.items()}


def seconds_of_a_run(domain: Domain, config: TrainConfig) -> dict[str, float]:
    """Seconds by stage of one run, with an empty cache; nothing of it is kept."""
    clock, data = Stopwatch(), DomainSet("simulated", "imu", (domain,), ACTIVITIES)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HATLIT_CACHE"] = folder
        with clock("data"):
            target = TargetData(domain, split_domain(domain, config.labels, config.seed))
        train_for(target, data, data, replace(config, out=folder), Display(silent=True), clock)
    return clock.seconds


def table_of(seconds: dict[str, float]) -> list[dict[str, str]]:
    """A row a stage, and one for all of HaT."""
    whole = {"all of HaT": sum(value for stage, value in seconds.items() if stage != ALONE)}
    return [
        {"stage": stage, "seconds": f"{value:.2f}", "of the student alone": f"{value / seconds[ALONE]:.2f}"}
        for stage, value in (seconds | whole).items()
    ]


def main(words: list[str]) -> int:
    """Prints the table, and writes the figures."""
    display = Display()
    try:
        config = parse(WholeRunConfig, "whole_run", "What does a whole run cost, stage by stage?", words)
        seconds = measure(config, display)
    except InputError as error:
        print(f"whole_run: {error}", file=sys.stderr)
        return 2
    display.table(f"a run on a zoo of {config.sources}, medians of {config.repeats}", table_of(seconds))
    if config.out:
        facts = {"sources": config.sources, "repeats": config.repeats, "load": round(os.getloadavg()[0], 1)}
        write_atomically(Path(config.out), as_json({**facts, "seconds": seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
