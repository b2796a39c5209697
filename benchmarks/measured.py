"""What a reader must know of any figures: when they were measured, with what, and on how many cores."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from hatlit.experiments.environment import versions


def measured_now() -> dict[str, Any]:
    """The date, the versions and the cores, to be written beside figures."""
    return {"date": str(datetime.now(UTC).date()), **versions(), "cores": os.cpu_count()}
