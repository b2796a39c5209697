"""From which size on is a second thread worth it? Times training steps of hatlit's own skeletons with one and with all.

    python benchmarks/threads.py

Each skeleton is timed with one thread and with as many as torch takes, in turns. On a machine that is busy otherwise
the figures say how long steps wait for threads whose cores are taken.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.nn import functional as F

from hatlit.config.checks import at_least
from hatlit.encoders.base import Classifier, InputSpec, build_classifier
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.options import parse
from hatlit.students.budget import WORTH_THREADS
from hatlit.students.skeletons import Skeleton, skeletons
from measured import keep_figures

ROOT = Path(__file__).parents[1]
BATCH, CLASSES = 32, 10

VIEWS = (
    InputSpec(modality="imu", channels=tuple("abcdef"), shape=(200,), rate=50.0),
    InputSpec(modality="image", channels=("red", "green", "blue"), shape=(28, 28), axes=("height", "width")),
)


@dataclass
class ThreadsConfig:
    """Times training steps with one thread and with all.

    Args:
        steps: training steps whose median is one measurement.
        repeats: measurements of each kind; the median counts.
        out: JSON file for the figures.
    """

    steps: int = 15
    repeats: int = 5
    out: str = str(ROOT / "benchmarks" / "results" / "threads.json")

    def __post_init__(self) -> None:
        at_least("", self, steps=1, repeats=1)


def milliseconds(model: Classifier, threads: int, steps: int) -> float:
    """Median of training steps on a batch of noise, behind two that warm up."""
    torch.set_num_threads(threads)
    views, labels = torch.randn(BATCH, *model.input_spec.blank(1).shape[1:]), torch.arange(BATCH) % CLASSES
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    taken = []
    for _ in range(2 + steps):
        began = time.perf_counter()
        F.cross_entropy(model(views), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        taken.append(1000 * (time.perf_counter() - began))
    return median(taken[2:])


def measure(view: InputSpec, skeleton: Skeleton, threads: int, config: ThreadsConfig) -> dict[str, Any]:
    """One skeleton with one thread and with all, in turns."""
    model = build_classifier(skeleton.name, view, CLASSES).train()
    turns = [[milliseconds(model, count, config.steps) for count in (1, threads)] for _ in range(config.repeats)]
    one, all_ = (median(turn[place] for turn in turns) for place in (0, 1))
    operations = skeleton.cost.macs * BATCH
    return {"modality": view.modality, "skeleton": skeleton.name, "operations": operations, "one": one, "all": all_}


def main(words: list[str]) -> int:
    """Prints a row a skeleton and writes the figures."""
    display, threads = Display(), torch.get_num_threads()
    try:
        config = parse(ThreadsConfig, "threads", "From which size on is a second thread worth it?", words)
    except InputError as error:
        print(f"threads: {error}", file=sys.stderr)
        return 2
    asked = [(view, one) for view in VIEWS for one in skeletons(view, CLASSES)]
    rows = [measure(view, one, threads, config) for view, one in display.track(asked, "skeletons")]
    shown = [
        {
            "modality": row["modality"],
            "skeleton": row["skeleton"],
            "million multiplications": f"{row['operations'] / 1e6:.0f}",
            "one thread (ms)": f"{row['one']:.1f}",
            f"{threads} threads (ms)": f"{row['all']:.1f}",
            "times as fast": f"{row['one'] / row['all']:.2f}",
            "trained with": "all" if row["operations"] >= WORTH_THREADS else "one",
        }
        for row in sorted(rows, key=lambda row: row["operations"])
    ]
    display.table(f"a training step on {BATCH} rows", shown)
    keep_figures(config.out, {"threads": threads, "batch": BATCH, "rows": rows}, display)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
