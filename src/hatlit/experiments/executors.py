"""What shares out many runs: processes on this machine, or Ray on one or many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from hatlit.config import CompareConfig, ExpandConfig, TrainConfig
from hatlit.experiments.pool import Row, Runs


class Rows(Protocol):
    """Rows of runs, handed out as the runs end; sized, so that progress can be shown."""

    def __len__(self) -> int:
        """How many runs there are."""
        ...

    def __iter__(self) -> Iterator[Row]:
        """Runs them."""
        ...


class Executor(Protocol):
    """Runs many at a time. Whatever it is, the same runs come to the same rows, times and memory aside."""

    def __call__(self, runs: Sequence[TrainConfig]) -> Rows:
        """Takes runs; each becomes one row, also if its worker is lost."""
        ...


@contextmanager
def open_executor(config: CompareConfig | ExpandConfig) -> Iterator[Executor]:
    """Makes the executor that the options name, and ends it in the end.

    Raises:
        InputError: Ray is wanted and not installed, or its cluster cannot be reached.
    """
    if config.executor == "local":
        yield partial(Runs, jobs=config.jobs)
        return
    from hatlit.experiments.ray_pool import RayRuns, started_ray

    with started_ray(config.ray, config.jobs):
        yield partial(RayRuns, config=config.ray)
