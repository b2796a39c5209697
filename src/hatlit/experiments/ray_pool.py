"""Many runs at a time on Ray: on this machine, or on a cluster whose machines see the same files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from hatlit.config import RayConfig, TrainConfig
from hatlit.errors import InputError
from hatlit.experiments.pool import Row, failed, in_one_line, run_one
from hatlit.registry import load_plugin

#: Runs handed to Ray at a time; the others wait here, where they cost nothing.
IN_HAND = 1000

#: One thread a run, as in the local pool: sums in another order differ in the last bit.
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


@contextmanager
def started_ray(config: RayConfig, jobs: int) -> Iterator[None]:
    """Starts Ray on this machine or joins the cluster at ``config.address``, and leaves it in the end.

    Args:
        config: the options of Ray.
        jobs: runs side by side where Ray is started here; 0 means one a core.

    Raises:
        InputError: Ray is not installed, or no cluster answers.
    """
    ray = _import_ray()
    cores = None if config.address else (jobs or os.cpu_count() or 1) * config.cpus
    try:
        ray.init(
            address=config.address,
            num_cpus=cores,
            include_dashboard=None if config.address else False,
            runtime_env={"env_vars": ENVIRONMENT},
            logging_level="ERROR",
            log_to_driver=False,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"No Ray cluster answers at '{config.address}'" if config.address else "Ray cannot start here"
        raise InputError(f"{where} ({in_one_line(error)}).") from error
    try:
        yield
    finally:
        ray.shutdown()


class RayRuns(Sized):
    """Runs as Ray tasks, handed out a row each as they end.

    A task whose worker is lost is tried again elsewhere, and goes on from the run's last checkpoint; when that has
    happened too often, the run has failed.

    Args:
        runs: options of each.
        config: what a run takes, and how often it is tried again.
    """

    def __init__(self, runs: Sequence[TrainConfig], config: RayConfig) -> None:
        self._runs = list(runs)
        self._config = config

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Row]:
        ray = _import_ray()
        config = self._config
        task = ray.remote(num_cpus=config.cpus, num_gpus=config.gpus, max_retries=config.retries)(_run_in_a_worker)
        waiting, at_work = list(reversed(self._runs)), dict[Any, TrainConfig]()
        while waiting or at_work:
            while waiting and len(at_work) < IN_HAND:
                run = waiting.pop()
                at_work[task.remote(run, str(Path.cwd()))] = run
            (ended, *_), _ = ray.wait(list(at_work), num_returns=1)
            run = at_work.pop(ended)
            try:
                yield ray.get(ended)
            except ray.exceptions.RayError as error:
                yield failed(run, in_one_line(error))


def _run_in_a_worker(run: TrainConfig, folder: str) -> Row:
    os.chdir(folder)  # paths in the options are seen from there
    torch.set_num_threads(1)
    for path in run.plugin:
        load_plugin(path)
    return run_one(run)


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise InputError(
            f"--executor ray needs Ray, which is not installed ({error}); 'pip install \"hatlit[ray]\"' brings it."
        ) from error
    return ray
