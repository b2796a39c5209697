"""What a run took place in: versions and machine, as far as they may change the last bit of a result."""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version

import torch

from hatlit.fusion.cache import own_code


def environment() -> dict[str, str]:
    """Versions of Python, hatlit and the libraries that it always needs, the machine, and the threads of torch.

    ``code`` is a hash of hatlit's own files, which change between versions, too.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "hatlit": version("hatlit"),
        "code": own_code(patterns=("**/*.py", "**/*.yaml"))[:16],
        **dict(sorted(_libraries().items())),
        "torch": torch.__version__,  # with its build, which the version of the distribution lacks
    }


def versions() -> dict[str, str]:
    """Versions of hatlit, of what it computes with, and of Python: those that a report shows."""
    known = environment()
    return {name: known[name] for name in ("hatlit", "torch", "lightning", "python")}


@cache
def _libraries() -> dict[str, str]:
    always = [line for line in requires("hatlit") or () if "extra ==" not in line]
    found = {}
    for name in (re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in always):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
