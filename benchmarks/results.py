"""Makes docs/results.md: methods side by side on the demo and on real recordings, with intervals.

    python benchmarks/results.py

Real recordings are looked for in the folder that HATLIT_DATA names, by default ../shared/data beside the repository. A
set that is not there is left out, and the page says so. Runs are kept in --out, so an interrupted call goes on.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from hatlit.config import CompareConfig, Names, names
from hatlit.errors import InputError
from hatlit.experiments.compare import as_markdown, compare, finding, summary_table, title_of
from hatlit.experiments.display import Display
from hatlit.files import write_atomically
from hatlit.options import parse

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("HATLIT_DATA", ROOT.parent / "shared" / "data"))

#: Each set: title, and the options that name it.
SETS: dict[str, list[str]] = {
    "Demo (simulated)": [],
    "SPAR (a watch on 20 arms, 7 shoulder exercises)": [
        "--data.name",
        "arrays",
        "--data.root",
        str(DATA / "imu-spar.npz"),
    ],
}

#: What a reader must know about a set before believing its numbers.
NOTES = {
    "Demo (simulated)": """Nothing about real people follows from this table; see [the demo data](demo-data.md). Four
people wear the device in the same manner, so there are three good sources for each target.""",
    "SPAR (a watch on 20 arms, 7 shoulder exercises)": """The windows are those that `--data.name spar` reads from
`watch_dataset.npy` of the seglearn 1.2.5 package (Burns et al. 2018). A domain is one arm of one person, so the zoo
holds the target person's other arm. Each class of an arm is a single recording: the test part is its last 30 %, not
another day. The shared defaults (adaptation, additive loss, sharpening, augmentation) were chosen with prototypes that
looked at SPAR among other sets, so this set is no clean confirmation of them.""",
}

HEAD = """# Results

Made by `python benchmarks/results.py` on {date}, in {minutes:.0f} minutes on {cores} cores (hatlit {hatlit},
torch {torch}, Python {python}). Accuracies are in percent of the target's test part: mean over targets and seeds, with
a 95 % interval in brackets that resamples whole targets (bootstrap). All methods get the same labels, the same splits
and the same student. No option was chosen for one target, and no model on any test part. "hat ahead by" pairs the runs
of the same target and seed. "kB moved" is what selection would send over a network, "seconds" is what preparation,
training and test of one run take (median).

`labels_only` trains the student on the labels alone. `best_source` fine-tunes the source that selection ranks first;
it is larger than the student. `hat_paper` is the paper read literally; why it can fall below `labels_only` stands in
[how HaT works here](method.md#injection).
"""


@dataclass
class ResultsConfig:
    """Makes docs/results.md.

    Args:
        methods: which methods.
        targets: how many targets a set, evenly spread over it.
        seeds: how many seeds, from 0 on.
        out: folder that keeps the runs.
        page: where the page goes.
    """

    methods: Names = "labels_only,best_source,hat_paper,hat"
    targets: int = 5
    seeds: int = 3
    out: str = "runs/results"
    page: str = str(ROOT / "docs" / "results.md")


def main(words: list[str]) -> int:
    """Runs every comparison and writes the page."""
    display, began = Display(), time.perf_counter()
    try:
        config = parse(ResultsConfig, "results", "Makes docs/results.md.", words)
        sections = [section(title, options, config, display) for title, options in SETS.items()]
    except InputError as error:
        print(f"results: {error}", file=sys.stderr)
        return 2
    head = HEAD.format(
        date=datetime.now(UTC).date(),
        minutes=(time.perf_counter() - began) / 60,
        cores=os.cpu_count(),
        hatlit=version("hatlit"),
        torch=version("torch"),
        python=platform.python_version(),
    )
    write_atomically(Path(config.page), "\n".join([head, *sections]))
    display.say(f"wrote {config.page}")
    return 0


def section(title: str, options: list[str], config: ResultsConfig, display: Display) -> str:
    """One comparison as a section of the page."""
    if options and not Path(options[-1]).is_file():
        return f"## {title}\n\nNot run: `{Path(options[-1]).name}` was not found.\n"
    where = str(Path(config.out) / title.split(" ")[0].lower())
    asked = ["--targets", str(config.targets), "--seeds", str(config.seeds), "--labels.per_class", "1", "--out", where]
    words = [*options, *asked, "--methods", ",".join(names(config.methods))]
    settings = {method: parse(CompareConfig, "compare", "", words, method=method) for method in names(config.methods)}
    summary = compare(settings, display)
    table = as_markdown(summary_table(summary))
    heading = title_of(summary, next(iter(settings.values())))
    return "\n\n".join([f"## {title}", NOTES[title], heading, table, finding(summary)]) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
