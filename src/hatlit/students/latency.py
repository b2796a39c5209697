"""How long a model takes for one sample on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median

import torch
from filelock import FileLock
from torch import nn

from hatlit.encoders.base import InputSpec
from hatlit.files import cache_folder, write_atomically
from hatlit.threads import one_thread

#: Passes whose median counts, after those that only warm up.
PASSES, WARM_UPS = 25, 3


def latency_ms(run: Callable[[], object]) -> float:
    """Median milliseconds of a call, to the microsecond, over ``PASSES`` calls."""
    for _ in range(WARM_UPS):
        run()
    seconds = []
    for _ in range(PASSES):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return round(1000 * median(seconds), 3)


def measured_ms(name: str, model: nn.Module, view: InputSpec) -> float:
    """Median milliseconds that a model takes for one view on one core of this machine.

    Measured once and then kept in the cache: a choice that rests on it is the same every time and in every process. One
    thread, because several of them wait for each other after each operator, which on a busy machine takes a hundred
    times as long as a small model.

    Args:
        name: of the architecture; two models of one name, size and view take equally long.
        model: in eval mode.
        view: what it looks at.
    """
    size = sum(parameter.numel() for parameter in model.parameters())
    known_by = [name, size, view.model_dump(mode="json"), platform.node(), os.cpu_count()]
    made_by = [torch.__version__, version("hatlit"), "one thread"]
    digest = hashlib.sha256(json.dumps([known_by, made_by]).encode()).hexdigest()[:24]
    path = cache_folder() / "latency" / f"{digest}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / ".lock"):  # two that measure at a time would slow one another down
        if not path.is_file():
            sample = view.blank(1)
            with torch.inference_mode(), one_thread():
                found = latency_ms(lambda: model(sample))
            write_atomically(path, json.dumps({"name": name, "milliseconds": found}) + "\n")
        return float(json.loads(path.read_text())["milliseconds"])
