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
from dataclasses import dataclass, field
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

#: Shown for every set unless it says otherwise.
METHODS = "labels_only,best_source,hat"


@dataclass(frozen=True)
class Section:
    """One comparison of the page.

    Attributes:
        title: its heading.
        modality: what the student sees.
        note: what a reader must know before believing the numbers.
        file: npz file of real recordings below the data folder; empty for the demo.
        more: further options.
        methods: which methods.
        targets: how many targets, evenly spread over the set.
        per_class: labels a class.
    """

    title: str
    modality: str
    note: str
    file: str = ""
    more: tuple[str, ...] = ()
    methods: str = METHODS
    targets: int = 3
    per_class: int = 1


SECTIONS = (
    Section(
        "IMU demo (simulated)",
        "imu",
        """Nothing about real people follows from this table; see [the demo data](demo-data.md). Four people wear the
device in the same manner, so there are three good sources for each target.""",
        methods=f"{METHODS},hat_paper",
    ),
    Section(
        "IMU: SPAR (a watch on 20 arms, 7 shoulder exercises)",
        "imu",
        """The windows are those that `--data.name spar` reads from `watch_dataset.npy` of the seglearn 1.2.5 package
(Burns et al. 2018). A domain is one arm of one person, so the zoo holds the target person's other arm. Each class of
an arm is a single recording: the test part is its last 30 %, not another day. The shared defaults (adaptation, additive
loss, sharpening, augmentation) were chosen with prototypes that looked at SPAR among other sets, so this set is no
clean confirmation of them.""",
        file="imu-spar.npz",
        methods=f"{METHODS},hat_paper",
    ),
    Section(
        "Image: Digits-5 (5 styles of digits, 10 digits)",
        "image",
        """Four sources only, each of 1,260 pictures of another style (MNIST, MNIST-M, USPS, Semeion, optdigits).""",
        file="image-digits5.npz",
    ),
    Section(
        "Audio: FSDD (6 speakers, 10 spoken digits)",
        "audio",
        """A domain is a speaker, so five sources are all there are. Prototypes of the shared defaults looked at this
set as well.""",
        file="audio-fsdd.npz",
    ),
    Section(
        "Text: MDSD (reviews of 4 kinds of products, positive or negative)",
        "text",
        """Three sources only, each of 1,400 reviews of another kind of product; ten labels a class.""",
        file="text-mdsd.npz",
        per_class=10,
    ),
    Section(
        "Depth: UTD-MHAD (8 people, 13 actions, single frames)",
        "depth",
        """A sample is one frame of 36 x 36 pixels; frames of one clip stay on one side of the split.""",
        file="depth-utd.npz",
    ),
    Section(
        "Radar: mTransSee (32 users at 5 distances, 5 gestures)",
        "radar",
        """A domain is a user at a distance, so the zoo of 159 sources holds the target user at other distances.
Prototypes of the shared defaults looked at this set as well.""",
        file="radar-mtranssee.npz",
    ),
    Section(
        "Radar: UWB ranging (8 places, walking or not)",
        "radar",
        """Two classes and about 60 training samples a place; with one label a class a target has two labels.""",
        file="radar-uwb.npz",
    ),
    Section(
        "Paired: depth sources teach an IMU student (UTD-MHAD, 8 people, 13 actions)",
        "imu",
        """The student sees 6 axes of an IMU at 50 Hz, the sources see 10 depth frames of the same clip; `best_source`
is a depth model and stays one, so it is no rival on an IMU device.""",
        file="multimodal-utd.npz",
        more=("--sources.modality", "depth"),
    ),
)

HEAD = """# Results

Made by `python benchmarks/results.py` on {date}, in {minutes:.0f} minutes on {cores} cores (hatlit {hatlit},
torch {torch}, Python {python}). Accuracies are in percent of the target's test part: mean over targets and seeds, with
a 95 % interval in brackets that resamples whole targets (bootstrap). All methods get the same labels, the same splits
and the same student. No option was chosen for one target, and no model on any test part. "hat ahead by" pairs the runs
of the same target and seed. With three targets an interval is wide, and resampling so few makes it rather too narrow
than too wide. "kB moved" is what selection would send over a network, "seconds" is what preparation, training and test
of one run take (median).

`labels_only` trains the student on the labels alone. `best_source` fine-tunes the source that selection ranks first;
it is larger than the student. `hat_paper` is the paper read literally; why it can fall below `labels_only` stands in
[how HaT works here](method.md#injection).
"""


@dataclass
class ResultsConfig:
    """Makes docs/results.md.

    Args:
        only: modalities to run; empty means all.
        seeds: how many seeds, from 0 on.
        out: folder that keeps the runs.
        page: where the page goes.
    """

    only: Names = field(default_factory=list)
    seeds: int = 3
    out: str = "runs/results"
    page: str = str(ROOT / "docs" / "results.md")


def main(words: list[str]) -> int:
    """Runs every comparison and writes the page."""
    display, began = Display(), time.perf_counter()
    try:
        config = parse(ResultsConfig, "results", "Makes docs/results.md.", words)
        wanted = [one for one in SECTIONS if not config.only or one.modality in names(config.only)]
        sections = [written(one, config, display) for one in wanted]
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


def written(section: Section, config: ResultsConfig, display: Display) -> str:
    """One comparison as a section of the page."""
    heading = f"## {section.title}"
    data = []
    if section.file:
        if not (DATA / section.file).is_file():
            return f"{heading}\n\nNot run: `{section.file}` was not found.\n"
        data = ["--data.name", "arrays", "--data.root", str(DATA / section.file)]
    where = Path(config.out) / "-".join([section.modality, *section.more[1:], Path(section.file).stem or "demo"])
    words = [
        *("--modality", section.modality, *data, *section.more, "--methods", section.methods, "--out", str(where)),
        *("--targets", str(section.targets), "--seeds", str(config.seeds)),
        *("--labels.per_class", str(section.per_class)),
    ]
    methods = names(section.methods)
    settings = {method: parse(CompareConfig, "compare", "", words, method=method) for method in methods}
    summary = compare(settings, display)
    title = title_of(summary, next(iter(settings.values())))
    return "\n\n".join([heading, section.note, title, as_markdown(summary_table(summary)), finding(summary)]) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
