"""Workers end with who started them, however that is."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from hatlit.experiments.workers import worker_pool

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are of another kind there")

#: Starts a worker that is busy, says who it is, and waits to be killed.
KILLED = """
import os, time
from hatlit.experiments.workers import worker_pool

if __name__ == "__main__":
    with worker_pool(1, ()) as pool:
        print(pool.submit(os.getpid).result(), pool.submit(os.getppid).result(), flush=True)
        pool.submit(time.sleep, 600)
        time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_does_not_hear_ctrl_c_and_nobody_waits_for_it_on_the_way_out() -> None:
    others = set(multiprocessing.active_children())
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), worker_pool(1, ()) as pool:
        worker = pool.submit(os.getpid).result()
        os.kill(worker, signal.SIGINT)
        assert pool.submit(os.getpid).result() == worker, "it lives on"
        pool.submit(time.sleep, 600)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(600)
    assert time.monotonic() - began < 300
    assert set(multiprocessing.active_children()) == others
    assert not is_alive(worker)


def test_sigterm_waits_until_a_process_that_starts_is_known_and_then_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    others, started = set(multiprocessing.active_children()), []
    submit, before = ProcessPoolExecutor.submit, signal.getsignal(signal.SIGTERM)

    def interrupted(pool: ProcessPoolExecutor, *work: Any) -> Future[Any]:
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        future = submit(pool, *work)
        started.extend(set(multiprocessing.active_children()) - others)
        return future

    def end(*_: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(ProcessPoolExecutor, "submit", interrupted)
    signal.signal(signal.SIGTERM, end)
    try:
        with pytest.raises(InterruptedError), worker_pool(1, ()) as pool:
            pool.submit(time.sleep, 600)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(started) == 1
    assert not started[0].is_alive()


def test_a_worker_has_one_thread_and_the_environment_of_its_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    for word in ("first", "second"):
        monkeypatch.setenv("HATLIT_TEST", word)
        with worker_pool(1, ()) as pool:
            assert pool.submit(os.getenv, "HATLIT_TEST").result() == word
            assert pool.submit(torch.get_num_threads).result() == 1


@pytest.mark.skipif(sys.platform != "linux", reason="every worker imports what it needs there")
def test_workers_of_all_pools_are_copies_of_one_server_which_has_imported_everything() -> None:
    servers = []
    for _ in range(2):
        with worker_pool(1, ()) as pool:
            assert pool.submit(eval, "'hatlit.experiments.train' in __import__('sys').modules").result()
            servers.append(pool.submit(os.getppid).result())
    assert servers[0] == servers[1] != os.getpid()


@pytest.mark.slow
def test_a_worker_and_its_server_end_when_who_started_them_is_killed(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(KILLED)
    with subprocess.Popen([sys.executable, tmp_path / "main.py"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        both = [int(word) for word in process.stdout.readline().split()]
        assert all(map(is_alive, both))
        process.kill()
    deadline = time.monotonic() + 120
    while any(map(is_alive, both)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_alive, both))
