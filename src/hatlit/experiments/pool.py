"""Many runs at a time, each in a process of one thread; one that fails or dies does not take others with it."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence, Sized
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from typing import Any

from hatlit.config import TrainConfig
from hatlit.errors import InputError, reason_of
from hatlit.experiments.display import Display
from hatlit.experiments.summary import SCORES
from hatlit.experiments.train import train
from hatlit.experiments.workers import worker_pool
from hatlit.selection.traffic import STAGES
from hatlit.stopwatch import seconds_of

KILLED = "its process was killed, perhaps for want of memory; the same command tries again"

Row = dict[str, Any]


class Runs(Sized):
    """Runs, handed out a row each as they end.

    A process that dies says nothing about which of the runs at work has killed it. So each of those is tried again in a
    process of its own, and only one that dies there as well has failed.

    Args:
        runs: options of each.
        jobs: processes; 0 means one a core.
    """

    def __init__(self, runs: Sequence[TrainConfig], jobs: int) -> None:
        self._runs = runs
        self._jobs = min(jobs or os.cpu_count() or 1, len(runs))

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Row]:
        waiting = list(reversed(self._runs))
        while waiting:
            suspects = yield from self._until_a_process_dies(waiting)
            for run in suspects:
                yield self._alone(run)

    def _until_a_process_dies(self, waiting: list[TrainConfig]) -> Generator[Row, None, list[TrainConfig]]:
        """Takes runs from the end of ``waiting``; returns those that were at work when a process died."""
        at_work: dict[Future[Row], TrainConfig] = {}
        with self._pool(self._jobs) as pool:
            while self._fill(pool, waiting, at_work) and at_work:
                ended, _ = wait(at_work, return_when=FIRST_COMPLETED)
                for future in filter(_came_through, ended):
                    del at_work[future]
                    yield future.result()
                if not ended.isdisjoint(at_work):
                    break
        return [run for future, run in at_work.items() if not _came_through(future)]

    def _fill(self, pool: Executor, waiting: list[TrainConfig], at_work: dict[Future[Row], Any]) -> bool:
        """Gives every process work; false where one of them has died."""
        while waiting and len(at_work) < self._jobs:
            try:
                at_work[pool.submit(run_one, waiting[-1])] = waiting[-1]
            except BrokenProcessPool:
                return False
            waiting.pop()
        return True

    def _alone(self, run: TrainConfig) -> Row:
        with self._pool(1) as pool:
            try:
                return pool.submit(run_one, run).result()
            except BrokenProcessPool:
                return failed(run, KILLED)

    def _pool(self, jobs: int) -> AbstractContextManager[Executor]:
        return worker_pool(jobs, self._runs[0].plugin)


def run_one(config: TrainConfig) -> Row:
    """One run as a row of ``results.csv``; whatever goes wrong in it is a row, too."""
    try:
        result = train(config, Display(silent=True), one_of_many=True, must_be_measured=True)
    except InputError as error:
        return failed(config, str(error))
    except Exception as error:  # one run's misfortune, whatever it is, must not end the others
        return failed(config, in_one_line(error))
    moved = result["bytes"]["stages"] if result["bytes"] else {}
    return {
        **_identity(config),
        **{score: result[score] for score in SCORES},
        "labels": result["labels"],
        "labels_fingerprint": result["labels_fingerprint"][:16],
        "bytes": result["bytes"]["total"] if result["bytes"] else 0,
        **{f"bytes_{stage}": moved[stage]["up"] + moved[stage]["down"] if moved else 0 for stage in STAGES},
        "preparation_seconds": seconds_of(f"{config.method}: preparation", result["seconds"]),
        "training_seconds": seconds_of(f"{config.method}: training", result["seconds"]),
        "peak_memory_bytes": result["peak_memory_bytes"],
        "student_parameters": result["student"]["parameters"],
        "student_bytes": result["student"]["bytes"],
        "run": result["run"],
        "failed": "",
    }


def failed(config: TrainConfig, reason: str) -> Row:
    """The row of a run that came to nothing."""
    return {**_identity(config), **dict.fromkeys(COLUMNS[3:-1]), "failed": reason}


def in_one_line(error: Exception) -> str:
    """What kind of error it is, and the first line of what it says; of an OSError the file that it is about."""
    about = [f"'{error.filename}'"] if isinstance(error, OSError) and error.filename else []
    return ": ".join([type(error).__name__, *about, *([reason_of(error)] if str(error) else [])])


COLUMNS = (
    *("method", "target", "seed"),
    *SCORES,
    *("labels", "labels_fingerprint", "bytes"),
    *(f"bytes_{stage}" for stage in STAGES),
    *("preparation_seconds", "training_seconds", "peak_memory_bytes", "student_parameters", "student_bytes", "run"),
    "failed",
)


def _came_through(future: Future[Row]) -> bool:
    return future.done() and future.exception() is None


def _identity(config: TrainConfig) -> Row:
    return {"method": config.method, "target": config.target, "seed": config.seed}
