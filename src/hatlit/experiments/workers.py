"""Processes that work beside this one. They end with it, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from typing import Any

import torch

from hatlit.registry import load_plugin


@contextmanager
def worker_pool(jobs: int, plugins: Sequence[str]) -> Iterator[ProcessPoolExecutor]:
    """Opens a pool of processes of one thread each.

    They see the environment as it is now. On Linux the first pool of a process starts a server that imports what work
    needs and does nothing else; every worker, also of later pools, is a copy of that server and there at once.

    Who leaves it with an exception, such as that of Ctrl-C, does not wait for what the processes are at: they are
    ended. All that they write is whole at any moment.

    Args:
        jobs: how many processes.
        plugins: Python files that they load.
    """
    others = set(multiprocessing.active_children())
    pool = _Pool(jobs, _context(), initializer=_prepare, initargs=(tuple(plugins), dict(os.environ)))
    try:
        yield pool
    except BaseException:
        with _holding_back(signal.SIGINT, signal.SIGTERM):
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            pool.shutdown()
        raise
    pool.shutdown()


def _context() -> BaseContext:
    if sys.platform != "linux":  # system libraries of macOS do not stand being copied, and Windows copies nothing
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hatlit.experiments.train"])
    return context


class _Pool(ProcessPoolExecutor):
    """Its processes do not hear Ctrl-C, which a terminal sends to all; who has started them hears it."""

    def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
        """Submits as any pool; this is what starts processes and their server, which inherit what is held back.

        SIGTERM waits as well: a process whose start it broke off would not be known, and outlive what it was made for.
        """
        with _holding_back(signal.SIGINT, signal.SIGTERM):
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


def _prepare(plugins: Sequence[str], environment: Mapping[str, str]) -> None:
    # A process that is killed cannot end its workers, and a pool's worker waits for work forever.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if sys.platform != "win32":  # the server may be one that other code has started, where nothing was held back
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    os.environ.clear()  # that of the server is as old as the server
    os.environ.update(environment)
    torch.set_num_threads(1)
    for path in plugins:
        load_plugin(path)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
