"""Runs as Ray tasks, with a stand-in for Ray that does them one after the other."""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hatlit.config import RayConfig, TrainConfig
from hatlit.experiments import ray_pool as module
from hatlit.experiments.pool import failed
from hatlit.experiments.ray_pool import RayRuns, started_ray


class RayError(Exception):
    """As Ray's own errors."""


@dataclass(eq=False)
class Task:
    """What Ray hands out for work that it was given."""

    work: Any
    run: TrainConfig
    folder: str


@pytest.fixture
def ray(monkeypatch):
    """Stands in for Ray; ``asked`` is what it was asked for, ``lost`` are targets whose workers are lost for good."""
    ray = SimpleNamespace(asked=[], lost=[], most=0, exceptions=SimpleNamespace(RayError=RayError))
    waiting = []

    def remote(**options):
        ray.asked.append(options)

        def submit(work, run, folder):
            waiting.append(run)
            ray.most = max(ray.most, len(waiting))
            return Task(work, run, folder)

        return lambda work: SimpleNamespace(remote=partial(submit, work))

    def get(task):
        waiting.remove(task.run)
        if task.run.target in ray.lost:
            raise RayError("The worker died unexpectedly.\nIts log is elsewhere.")
        return task.work(task.run, task.folder)

    ray.remote, ray.get = remote, get
    ray.wait = lambda tasks, num_returns: (tasks[-1:], tasks[:-1])
    ray.init = lambda **options: ray.asked.append(options)
    ray.shutdown = lambda: ray.asked.append("shutdown")
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(module, "run_one", lambda run: {**failed(run, ""), "run": str(Path.cwd())})
    return ray


def runs_on(*targets):
    return [TrainConfig(target=target) for target in targets]


def test_each_run_is_a_task_that_says_what_it_takes(ray):
    rows = list(RayRuns(runs_on("ann", "bob"), RayConfig(cpus=2, gpus=0.5, retries=7)))
    assert ray.asked == [{"num_cpus": 2, "num_gpus": 0.5, "max_retries": 7}]
    assert {(row["target"], row["run"], row["failed"]) for row in rows} == {
        (target, str(Path.cwd()), "") for target in ("ann", "bob")
    }


def test_a_worker_lost_for_good_is_one_failed_row(ray):
    ray.lost = ["bob"]
    rows = {row["target"]: row["failed"] for row in RayRuns(runs_on("ann", "bob", "cid"), RayConfig())}
    assert rows == {"ann": "", "bob": "RayError: The worker died unexpectedly", "cid": ""}


def test_only_so_many_runs_are_in_rays_hands(ray, monkeypatch):
    monkeypatch.setattr(module, "IN_HAND", 2)
    runs = RayRuns(runs_on("a", "b", "c", "d", "e"), RayConfig())
    assert len(runs) == len(list(runs)) == 5
    assert ray.most == 2


def test_ray_starts_here_or_joins_what_is_there(ray):
    with started_ray(RayConfig(cpus=2), jobs=3):
        assert (ray.asked[0]["address"], ray.asked[0]["num_cpus"]) == (None, 6)
    with started_ray(RayConfig(address="auto"), jobs=3):
        assert (ray.asked[2]["address"], ray.asked[2]["num_cpus"]) == ("auto", None)
    assert ray.asked[1] == ray.asked[3] == "shutdown"
