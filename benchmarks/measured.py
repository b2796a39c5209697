"""What a reader must know of any figures: when they were measured, with what, and on how many cores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hatlit.experiments.display import Display
from hatlit.experiments.environment import versions
from hatlit.files import as_json, write_atomically


def measured_now() -> dict[str, Any]:
    """The date, the versions and the cores, to be written beside figures."""
    return {"date": str(datetime.now(UTC).date()), **versions(), "cores": os.cpu_count()}


def keep_figures(out: str, figures: Mapping[str, Any], display: Display) -> None:
    """Writes figures, with what a reader must know of them, to a JSON file; nowhere, where no file is named."""
    if out:
        write_atomically(Path(out), as_json({**measured_now(), **figures}))
        display.say(f"wrote {out}")
