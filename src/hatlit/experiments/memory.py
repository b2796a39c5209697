"""How much memory a stretch of work takes."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path

#: Where Linux tells about this process, and lets it forget its peak.
STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak() -> None:
    """Forgets the peak so far, where the system can; elsewhere it is that of the whole process."""
    with contextlib.suppress(OSError):
        FORGET.write_text("5")


def peak_bytes() -> int:
    """The largest resident memory of this process since ``reset_peak``, 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s*(\d+) kB", STATUS.read_text())
        if found:
            return int(found[1]) * 1024
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
