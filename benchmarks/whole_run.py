"""What does a run cost from a zoo of a hundred sources to a finished student, beside the student alone?

    python benchmarks/whole_run.py

The fleet is simulated; all options are those of ``hatlit train``, whose own seconds by stage these are. Each repeat has
another draw of labels and an empty cache, and trains the same student on the labels alone as well, in hatlit and in a
loop of plain PyTorch.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch

from hatlit.config import TrainConfig, TrainerConfig
from hatlit.config.checks import at_least
from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.synthetic.imu import ACTIVITIES, build_fleet
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.datamodules.target.data import TargetData
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.fitting import planned_epochs
from hatlit.experiments.fleet import sources_of_all
from hatlit.experiments.train import train_for
from hatlit.methods.base import METHODS, TransferTask
from hatlit.options import parse
from hatlit.stopwatch import Stopwatch
from hatlit.threads import one_thread
from measured import keep_figures

#: The stage that all others are compared with.
ALONE = "the student alone: training"

#: The same without Lightning, metrics and checkpoints.
BY_HAND = "the student alone, in plain PyTorch"

ROOT = Path(__file__).parents[1]

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
    BY_HAND: BY_HAND,
}

#: Calls whose median is the time of a start.
STARTS = 10


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


def measure(config: WholeRunConfig, display: Display) -> dict[str, list[float]]:
    """Seconds of each run by stage, in the order of a run."""
    *others, domain = build_fleet(config.sources + 1)
    trainer = TrainerConfig(max_epochs=config.max_epochs, accelerator="cpu")
    usual = replace(TrainConfig(), jobs=config.jobs, trainer=trainer, wandb="off")
    usual = replace(usual, sources=replace(usual.sources, max_epochs=min(usual.sources.max_epochs, config.max_epochs)))
    zoo = sources_of_all(DomainSet("simulated", "imu", tuple(others), ACTIVITIES), usual, display)
    runs = [
        seconds_of_a_run(domain, replace(usual, seed=seed, zoo=zoo.url))
        for seed in display.track(range(config.repeats), "runs")
    ]
    return {name: [seconds[stage] for seconds in runs] for name, stage in STAGES.items()}


def seconds_of_a_run(domain: Domain, config: TrainConfig) -> dict[str, float]:
    """Seconds by stage of one run, with an empty cache; nothing of it is kept."""
    clock, data = Stopwatch(), DomainSet("simulated", "imu", (domain,), ACTIVITIES)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HATLIT_CACHE"] = folder
        with clock("data"):
            target = TargetData(domain, split_domain(domain, config.labels, config.seed))
        train_for(target, data, data, replace(config, out=folder), Display(silent=True), clock)
        with clock(BY_HAND):
            train_by_hand(TransferTask(target, target.spec, (), config))
    return clock.seconds


def train_by_hand(task: TransferTask) -> None:
    """Trains the student alone on the batches that ``hatlit train`` would give it, in a loop of plain PyTorch."""
    method, settings = METHODS.get("labels_only").build(task), task.config.trainer
    data = TargetDataModule(method.rows(task), settings.batch_size, task.config.seed, settings.augment)
    optimizer = torch.optim.AdamW(method.parameters(), lr=task.config.optimizer.learning_rate, fused=True)
    batches = data.train_dataloader()
    with one_thread():
        for _ in range(planned_epochs(data, settings)):
            for batch in batches:
                method.losses(batch)["student"].backward()
                optimizer.step()
                optimizer.zero_grad()


def start() -> float:
    """Median seconds until ``scripts/train.py --help`` has said what it has to say."""
    command, taken = [sys.executable, str(ROOT / "scripts" / "train.py"), "--help"], []
    for _ in range(STARTS):
        began = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        taken.append(time.perf_counter() - began)
    return median(taken)


def table_of(seconds: dict[str, float]) -> list[dict[str, str]]:
    """A row a stage, and one for all of HaT."""
    whole = {"all of HaT": sum(value for stage, value in seconds.items() if stage not in (ALONE, BY_HAND))}
    return [
        {
            "stage": stage,
            "seconds": f"{value:.2f}",
            "of the student alone": f"{value / seconds[ALONE]:.2f}",
            "of plain PyTorch": f"{value / seconds[BY_HAND]:.2f}",
        }
        for stage, value in (seconds | whole).items()
    ]


def main(words: list[str]) -> int:
    """Prints the table, and writes the figures."""
    display = Display()
    try:
        config = parse(WholeRunConfig, "whole_run", "What does a whole run cost, stage by stage?", words)
        load = round(os.getloadavg()[0], 1)
        runs, started = measure(config, display), start()
    except InputError as error:
        print(f"whole_run: {error}", file=sys.stderr)
        return 2
    seconds = {stage: median(taken) for stage, taken in runs.items()}
    display.table(f"a run on a zoo of {config.sources}, medians of {config.repeats}", table_of(seconds))
    display.say(f"scripts/train.py --help takes {started:.2f} s, the median of {STARTS}")
    spread = {stage: [min(taken), max(taken)] for stage, taken in runs.items()}
    facts = {"load_before": load, "start": started, "sources": config.sources, "repeats": config.repeats}
    keep_figures(config.out, {**facts, "seconds": seconds, "spread": spread}, display)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
