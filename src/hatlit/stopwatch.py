"""Seconds by stage: a run times its stages, and whatever works inside one may name its own part of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

#: The stopwatch of the innermost stage that is being timed, if any.
_running: ContextVar[Stopwatch | None] = ContextVar("running", default=None)


class Stopwatch:
    """Adds up the seconds of each stage of a run; no second counts twice.

    The part ``b`` of a stage ``a`` is called ``a, b``, and what is in no part ``a, the rest``.

    Attributes:
        seconds: by stage.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage = ""

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Times what happens inside the ``with`` block."""
        outer, name = self._stage, f"{self._stage}, {stage}" if self._stage else stage
        before, began = self.total, time.perf_counter()
        self._stage = name
        token = _running.set(self)
        try:
            yield
        finally:
            _running.reset(token)
            self._stage = outer
            of_parts = self.total - before
            key = f"{name}, the rest" if any(one.startswith(f"{name}, ") for one in self.seconds) else name
            self.seconds[key] = self.seconds.get(key, 0.0) + time.perf_counter() - began - of_parts

    @property
    def total(self) -> float:
        """Seconds of all stages together."""
        return sum(self.seconds.values())

    def rounded(self) -> dict[str, float]:
        """Seconds by stage and in total, to the hundredth."""
        stages = {stage: round(value, 2) for stage, value in self.seconds.items()}
        return {**stages, "total": round(self.total, 2)}


def seconds_of(stage: str, seconds: Mapping[str, float]) -> float:
    """How long a stage took with all its parts, to the hundredth; 0 where there was none of that name."""
    own = [taken for name, taken in seconds.items() if name == stage or name.startswith(f"{stage}, ")]
    return round(sum(own, 0.0), 2)


@contextmanager
def part(name: str) -> Iterator[None]:
    """Times what happens inside, or in the function that it decorates, as a part of the stage that is being timed.

    Where none is, this does nothing.
    """
    stopwatch = _running.get()
    if stopwatch is None:
        yield
    else:
        with stopwatch(name):
            yield
