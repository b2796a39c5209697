"""Processes that work beside this one. They end with it, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

import torch

from hatlit.registry import load_plugin


@contextmanager
def worker_pool(jobs: int, plugins: Sequence[str]) -> Iterator[ProcessPoolExecutor]:
    """Opens a pool of processes of one thread each.

    Who leaves it with an exception, such as that of Ctrl-C, does not wait for what the processes are at: they are
    ended. All that they write is whole at any moment.

    Args:
        jobs: how many processes.
        plugins: Python files that they load.
    """
    others = set(multiprocessing.active_children())
    pool = _Pool(jobs, multiprocessing.get_context("spawn"), initializer=_prepare, initargs=(tuple(plugins),))
    try:
        yield pool
    except BaseException:
        with _holding_back(signal.SIGINT, signal.SIGTERM):
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            pool.shutdown()
        raise
    pool.shutdown()


class _Pool(ProcessPoolExecutor):
    """Its processes do not hear Ctrl-C, which a terminal sends to all; who has started them hears it."""

    def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
        """Submits as any pool; this is what starts processes, which inherit what is held back."""
        with _holding_back(signal.SIGINT):
            return super().submit(*arguments, **options)


@contextmanager
def _holding_back(*signals: signal.Signals) -> Iterator[None]:
    """Lets signals that come meanwhile wait."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(plugins: Sequence[str]) -> None:
    # A process that is killed cannot end its workers, and a pool's worker waits for work forever.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    for path in plugins:
        load_plugin(path)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
