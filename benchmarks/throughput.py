"""How much longer does a step of HaT take than a step of the student alone, and how long do other tools take?

    python benchmarks/throughput.py --fast

All get the same student, sources, rows, batches, threads and optimizer. What is timed is a pass over the rows, behind
one that warms up; what the sources are asked once, before, is not in it. Views are changed at random for none of them.
The rivals are optional: `pip install -e ".[bench]"` brings them, and one that is not there is left out.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from contenders import CONTENDERS, SIZES, Setting
from hatlit.config import Names, names
from hatlit.config.checks import at_least
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.report.drawing import as_png, name_ticks, new_figure
from hatlit.files import as_json, write_atomically
from measured import measured_now
from quick import parse_fast

RESULTS = Path(__file__).parent / "results"

#: Defaults of --fast, which touches no shipped file.
FAST = {
    "num_sources": "1,5",
    "sizes": "30k,1M",
    "rows": 512,
    "patience": 1.0,
    "out": "runs/throughput-fast/throughput.json",
}

#: Ours and the floor; all others are rivals.
FLOOR, OURS, PUBLISHED, PLAIN = "student_alone", "hat", "hat_as_published", "hatlit_kd"


@dataclass
class ThroughputConfig:
    """Times a pass over the training rows, for HaT, the student alone and other tools.

    Args:
        num_sources: numbers of sources.
        sizes: of a source, in parameters; 30k, 1M and 20M are known.
        image: whether a setting of pictures with five timm sources is timed as well.
        rows: samples of the target.
        repeats: how often everything is timed, in turns.
        patience: seconds that a tool may take for one pass before it gets fewer batches.
        threads: of torch.
        fast: a few minutes: two sizes, 1 and 5 sources, few rows, and figures in `runs/throughput-fast`, save where
            other options say otherwise.
        out: JSON file for the figures; the picture lies beside it.
    """

    num_sources: Names = "1,5,20"
    sizes: Names = "30k,1M,20M"
    image: bool = True
    rows: int = 1536
    repeats: int = 5
    patience: float = 10.0
    threads: int = 1
    fast: bool = False
    out: str = str(RESULTS / "throughput.json")

    def __post_init__(self) -> None:
        self.num_sources, self.sizes = names(self.num_sources), names(self.sizes)
        at_least("", self, rows=200, repeats=1, patience=0, threads=1)
        unknown = [size for size in self.sizes if size not in SIZES]
        if unknown or not all(number.isdigit() and int(number) for number in self.num_sources):
            raise InputError(f"--sizes knows {', '.join(SIZES)}, and --num_sources wants numbers above 0.")


def present(display: Display) -> list[str]:
    """The contenders whose libraries are there."""
    missing = []
    for library in ("textbrewer", "torchdistill"):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                import_module(library)
        except ImportError as error:
            display.say(f'{library} is left out ({error}); pip install -e ".[bench]" brings it')
            missing.append(library)
    return [name for name in CONTENDERS if not name.startswith(tuple(missing))]


def settings_of(config: ThroughputConfig) -> list[Setting]:
    """What the options ask for, small before large."""
    series = [
        Setting(f"np{number}_{size}", int(number), size, config.rows)
        for size in config.sizes
        for number in config.num_sources
    ]
    return [
        *series,
        *([Setting("np5_timm", 5, "timm:mobilenetv3_small_100", min(config.rows, 512))] if config.image else []),
    ]


def times(setting: Setting, contenders: Sequence[str], config: ThroughputConfig) -> dict[str, list[float]]:
    """Seconds a step of each contender, once a repeat; contenders take turns, so that a busy spell meets all alike."""
    counts = {}
    for name in contenders:
        once = CONTENDERS[name](setting, 2)
        counts[name] = int(np.clip(config.patience / once, 2, len(setting.batches)))
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(config.repeats):
        for name in contenders:
            taken[name].append(CONTENDERS[name](setting, counts[name]))
    return taken


def summary_of(taken: dict[str, dict[str, list[float]]], config: ThroughputConfig) -> dict[str, Any]:
    """The figures as they are written: seconds a step, and ratios of medians."""
    medians = {name: {one: median(several) for one, several in each.items()} for name, each in taken.items()}
    ours = (FLOOR, OURS, PUBLISHED, PLAIN)
    rivals = [one for one in CONTENDERS if one not in ours and all(one in each for each in medians.values())]
    return {
        "hat_over_floor": {name: each[OURS] / each[FLOOR] for name, each in medians.items()},
        "rival_over_hat": {
            rival: {name: each[rival] / each[OURS] for name, each in medians.items()} for rival in rivals
        },
        "published_over_floor": {name: each[PUBLISHED] / each[FLOOR] for name, each in medians.items()},
        "by_hand_over_published": {name: each["hat_by_hand"] / each[PUBLISHED] for name, each in medians.items()},
        "kd_over_floor": {name: each[PLAIN] / each[FLOOR] for name, each in medians.items()},
        "rival_over_kd": {
            rival: {name: each[rival] / each[PLAIN] for name, each in medians.items()}
            for rival in rivals
            if rival != "hat_by_hand"
        },
        "medians": medians,
        "spread": {name: {one: [min(all_), max(all_)] for one, all_ in each.items()} for name, each in taken.items()},
        **measured_now(),
        "rows": config.rows,
        "patience": config.patience,
        "repeats": config.repeats,
        "threads": config.threads,
        **{rival: version(rival) for rival in ("textbrewer", "torchdistill") if rival in rivals},
    }


def picture(summary: dict[str, Any]) -> bytes:
    """Steps of all contenders, in units of a step of the student alone."""
    medians, spread = summary["medians"], summary["spread"]
    figure = new_figure(
        10, 5, "What a step costs", f"median and range of {summary['repeats']} passes, {summary['threads']} thread(s)"
    )
    axes = figure.add_subplot()
    shown = [one for one in CONTENDERS if any(one in each for each in medians.values())]
    for number, (one, marker) in enumerate(zip(shown, "osXD*^vP", strict=False)):
        places = [(place, name) for place, name in enumerate(medians) if one in medians[name]]
        middle = np.array([medians[name][one] / medians[name][FLOOR] for _, name in places])
        low, high = np.array([np.array(spread[name][one]) / medians[name][FLOOR] for _, name in places]).T
        x = [place + 0.1 * (number - (len(shown) - 1) / 2) for place, _ in places]
        axes.errorbar(x, middle, [middle - low, high - middle], fmt=marker, label=one, capsize=2, markersize=5)
    axes.axhline(1, color="grey", linewidth=0.8, zorder=0)
    axes.set_yscale("log")
    axes.set_ylabel("time of a step / student alone")
    name_ticks(axes, "x", list(medians))
    axes.legend(fontsize=8)
    return as_png(figure)


def main(words: list[str]) -> int:
    """Prints the figures, and writes them and the picture."""
    display, taken = Display(), {}
    try:
        config = parse_fast(ThroughputConfig, "throughput", "How long does a step take?", words, FAST)
    except InputError as error:
        print(f"throughput: {error}", file=sys.stderr)
        return 2
    torch.set_num_threads(config.threads)
    contenders = present(display)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["HATLIT_CACHE"] = cache
        for setting in display.track(settings_of(config), "settings"):
            taken[setting.name] = times(setting, contenders, config)
    summary = summary_of(taken, config)
    rows = [
        {"setting": name, **{one: f"{1000 * seconds:.2f}" for one, seconds in each.items()}}
        for name, each in summary["medians"].items()
    ]
    display.table("milliseconds a step (median)", rows)
    out = Path(config.out)
    write_atomically(out, as_json(summary))
    write_atomically(out.with_suffix(".png"), picture(summary))
    display.say(f"wrote {out} and {out.with_suffix('.png')}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
