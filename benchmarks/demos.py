"""How long does the demo of each modality take from nothing, and how much memory? Runs all six with an empty cache.

python benchmarks/demos.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from hatlit.config import Names, names
from hatlit.errors import InputError
from hatlit.experiments.display import Display, human_bytes
from hatlit.files import as_json, write_atomically
from hatlit.options import parse

ROOT = Path(__file__).parents[1]


@dataclass
class DemosConfig:
    """Runs `scripts/train.py --modality M` for each modality, sources included.

    Args:
        modalities: which.
        out: JSON file for the figures.
    """

    modalities: Names = "image,audio,imu,text,depth,radar"
    out: str | None = None


def run(modality: str, folder: Path) -> dict[str, float]:
    """One demo from nothing: seconds by the clock, the largest resident memory of any process, and accuracies."""
    environment = {**os.environ, "HATLIT_CACHE": str(folder / "cache"), "WANDB_MODE": "disabled"}
    words = [sys.executable, str(ROOT / "scripts" / "train.py"), "--modality", modality, "--out", str(folder / "runs")]
    began = time.perf_counter()
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise InputError(f"The demo of {modality} ended with exit code {process.returncode}.")
    (result,) = (json.loads(file.read_text()) for file in (folder / "runs").glob("*/result.json"))
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "memory_bytes": usage.ru_maxrss * 1024,
        "labels_only": round(result["labels_only"]["accuracy"], 3),
        "hat": round(result["accuracy"], 3),
    }


def main(words: list[str]) -> int:
    """Prints the figures, and writes them where ``--out`` says."""
    display, figures = Display(), {}
    try:
        config = parse(DemosConfig, "demos", "How long does the demo of each modality take?", words)
        for modality in names(config.modalities):
            with tempfile.TemporaryDirectory() as folder:
                figures[modality] = run(modality, Path(folder))
    except InputError as error:
        print(f"demos: {error}", file=sys.stderr)
        return 2
    rows = [
        {
            "modality": modality,
            "seconds": f"{one['seconds']:.0f}",
            "memory": human_bytes(one["memory_bytes"]),
            "labels_only": f"{one['labels_only']:.3f}",
            "hat": f"{one['hat']:.3f}",
        }
        for modality, one in figures.items()
    ]
    total = sum(one["seconds"] for one in figures.values())
    display.table(f"demo runs from nothing: {total:.0f} s together on {os.cpu_count()} cores", rows)
    if config.out:
        write_atomically(Path(config.out), as_json(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
