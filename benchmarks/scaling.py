"""How does an expansion scale with workers? Measures 1 and 2, and works out a schedule for a large fleet.

    python benchmarks/scaling.py

Each measurement is an expansion of its own on the demo fleet: one round of runs with the shipped options, and sources
that are trained before. The schedule for many nodes is simulated and not measured: list scheduling of task times drawn
from those that were measured, so it knows nothing of networks, of disks, or of nodes that are lost.
"""

from __future__ import annotations

import heapq
import importlib.util
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from hatlit.config import (
    ExpandConfig,
    Names,
    SourcesConfig,
    TrainerConfig,
    names,
)
from hatlit.config.checks import at_least
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.expand import expand
from hatlit.experiments.report.document import Table
from hatlit.files import as_json, write_atomically
from hatlit.options import parse

#: Where the tasks run.
Executor = Literal["local", "ray"]


@dataclass
class ScalingConfig:
    """Measures how an expansion scales with workers, and simulates a large one.

    Args:
        executors: which of local and ray; ray is left out where it is not installed.
        workers: numbers of workers.
        join: domains that join in the one round that is measured.
        targets: of the simulated fleet.
        nodes: of the simulated cluster.
        slots: runs at a time on each node.
        out: JSON file for the figures.
        page: Markdown file for the tables.
    """

    executors: Names = "local,ray"
    workers: Names = "1,2"
    join: int = 4
    targets: int = 10_000
    nodes: int = 100
    slots: int = 1
    out: str | None = None
    page: str | None = None

    def __post_init__(self) -> None:
        self.executors, self.workers = names(self.executors), names(self.workers)
        at_least("", self, join=1, targets=1, nodes=1, slots=1)


def measure(executor: Executor, workers: int, join: int, folder: Path) -> dict[str, Any]:
    """One tiny round: seconds from the start of its first run to the end of its last, and seconds of each task."""
    out = folder / f"{executor}-{workers}"
    config = ExpandConfig(
        initial="4",
        rounds=1,
        join=join,
        num_sources=2,
        sources=SourcesConfig("cnn_nano", max_epochs=2),
        trainer=TrainerConfig(accelerator="cpu"),
        compare_labels_only=False,
        executor=executor,
        jobs=workers,
        out=str(out),
    )
    began = time.perf_counter()
    expand(config, Display(silent=True))
    seconds = time.perf_counter() - began
    results = [json.loads(path.read_text()) for path in sorted(out.glob("*/runs/*/result.json"))]
    tasks = [result["seconds"]["total"] for result in results]
    accuracy = [result["accuracy"] for result in results]
    return {"executor": executor, "workers": workers, "seconds": seconds, "tasks": tasks, "accuracy": accuracy}


def makespan(tasks: Sequence[float], slots: int) -> float:
    """Seconds until the last of the tasks ends, where each begins in the slot that is free first (list scheduling)."""
    free = [0.0] * slots
    for seconds in tasks:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def simulate(tasks: Sequence[float], config: ScalingConfig) -> dict[str, float]:
    """The schedule of many targets in one round on many nodes, from task times drawn with replacement."""
    drawn = np.random.default_rng(0).choice(np.asarray(tasks), config.targets).tolist()
    slots = config.nodes * config.slots
    seconds, work = makespan(drawn, slots), float(sum(drawn))
    return {"targets": config.targets, "slots": slots, "seconds": seconds, "work": work, "busy": work / slots / seconds}


def tables(measured: Sequence[dict[str, Any]], simulated: dict[str, float]) -> list[Table]:
    """What was measured, and what was worked out from it."""
    alone = {one["executor"]: one["seconds"] for one in measured if one["workers"] == 1}
    rows = [
        {
            "executor": one["executor"],
            "workers": str(one["workers"]),
            "tasks": str(len(one["tasks"])),
            "seconds": f"{one['seconds']:.1f}",
            "median task, seconds": f"{np.median(one['tasks']):.1f}",
            "times as fast as one worker": f"{alone[one['executor']] / one['seconds']:.2f}"
            if one["executor"] in alone
            else "-",
        }
        for one in measured
    ]
    schedule = {
        "targets": str(simulated["targets"]),
        "runs at a time": str(simulated["slots"]),
        "hours of work": f"{simulated['work'] / 3600:.1f}",
        "hours until the end": f"{simulated['seconds'] / 3600:.2f}",
        "slots busy": f"{100 * simulated['busy']:.1f}%",
    }
    return [Table(rows), Table([schedule])]


def page(measured: Sequence[dict[str, Any]], simulated: dict[str, float]) -> str:
    """The tables as a page that says how they came about."""
    shown = [table.markdown() for table in tables(measured, simulated)]
    same = "the same" if len({tuple(one["accuracy"]) for one in measured}) == 1 else "not the same"
    load = os.getloadavg()[0]
    return f"""# Scaling

`python benchmarks/scaling.py --page docs/scaling.md` wrote this page on {os.cpu_count()} cores
({platform.machine()}), with a load of {load:.1f} at the end: above the number of cores, other work took its share.

## Measured

One round of {len(measured[0]["tasks"])} domains on the demo fleet, each a run with the shipped options;
sources were trained before, and the start of processes or of Ray is in it. The students of all rows came to {same}
accuracies.

{shown[0]}

## Worked out, not measured

A round of {simulated["targets"]:,} targets on {simulated["slots"]} slots, by list scheduling of task times drawn from
those above. It knows nothing of networks, disks, or nodes that are lost, and its tasks are those above.

{shown[1]}
"""


def main(words: list[str]) -> int:
    """Prints the tables, and writes them where the options say."""
    display = Display()
    measured: list[dict[str, Any]] = []
    try:
        config = parse(ScalingConfig, "scaling", "How does an expansion scale with workers?", words)
        with tempfile.TemporaryDirectory() as folder:
            for executor in config.executors:
                if executor == "ray" and importlib.util.find_spec("ray") is None:
                    display.say("ray is not installed and left out")
                    continue
                for workers in config.workers:
                    if not measured:  # the sources, which all measurements share
                        measure("local", 1, 1, Path(folder) / "sources")
                    measured.append(measure(cast(Executor, executor), int(workers), config.join, Path(folder)))
    except InputError as error:
        print(f"scaling: {error}", file=sys.stderr)
        return 2
    simulated = simulate([seconds for one in measured for seconds in one["tasks"]], config)
    for title, table in zip(("measured", "worked out, not measured"), tables(measured, simulated), strict=True):
        display.table(title, table.rows)
    if config.out:
        write_atomically(Path(config.out), as_json({"measured": measured, "simulated": simulated}))
    if config.page:
        write_atomically(Path(config.page), page(measured, simulated))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
