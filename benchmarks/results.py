"""Makes docs/results.md: methods side by side on the demo and on real recordings, with intervals.

    python benchmarks/results.py

Real recordings are looked for in the folder that HATLIT_DATA names, by default ../shared/data beside the repository. A
set that is not there is left out, and the page says so. Runs are kept in --out, so an interrupted call goes on.
"""

from __future__ import annotations

import csv
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hatlit.config import CompareConfig, Names, names
from hatlit.datamodules.split import split_domain
from hatlit.errors import InputError
from hatlit.experiments.compare import choose_targets, compare, title_of
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import read_domains
from hatlit.experiments.report.document import Table
from hatlit.experiments.summary import percent, summary_table
from hatlit.files import write_atomically
from hatlit.methods.base import METHODS
from hatlit.options import parse

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("HATLIT_DATA", ROOT.parent / "shared" / "data"))

#: How many labels: few is one a class (text: ten), and a share.
LABELS = {"few": "", "5%": "0.05"}


@dataclass(frozen=True)
class Section:
    """One data set of the page.

    Attributes:
        title: its heading.
        modality: what the student sees.
        note: what a reader must know before believing the numbers.
        file: npz file of real recordings below the data folder; empty for the demo.
        more: further options.
        per_class: labels a class where there are few.
        most_seeds: seeds at most, where a run takes many times as long as elsewhere.
    """

    title: str
    modality: str
    note: str
    file: str = ""
    more: tuple[str, ...] = ()
    per_class: int = 1
    most_seeds: int | None = None

    @property
    def name(self) -> str:
        """What ``--sets`` calls it."""
        return "-".join([Path(self.file).stem or f"{self.modality}-demo", *self.more[1:]])


SECTIONS = (
    Section(
        "IMU demo (simulated)",
        "imu",
        """Nothing about real people follows from this table; see [the demo data](demo-data.md). Four people wear the
device in the same manner, so there are three good sources for each target.""",
    ),
    Section(
        "IMU: SPAR (a watch on 20 arms, 7 shoulder exercises)",
        "imu",
        """The windows are those that `--data.name spar` reads from `watch_dataset.npy` of the seglearn 1.2.5 package
(Burns et al. 2018). A domain is one arm of one person, so the zoo holds the target person's other arm. Each class of
an arm is a single recording: the test part is its last 30 %, not another day.""",
        file="imu-spar.npz",
    ),
    Section(
        "IMU: HMP (a wrist accelerometer, 7 volunteers, 7 activities of daily living)",
        "imu",
        """Very unbalanced, and two volunteers lack an activity. Windows of one recording stay on one side of the
split.""",
        file="imu-hmp.npz",
        most_seeds=1,
    ),
    Section(
        "Image: Digits-5 (5 styles of digits, 10 digits)",
        "image",
        """Four sources only, each of 1,260 pictures of another style (MNIST, MNIST-M, USPS, Semeion, optdigits).""",
        file="image-digits5.npz",
        most_seeds=1,
    ),
    Section(
        "Audio: FSDD (6 speakers, 10 spoken digits)",
        "audio",
        """A domain is a speaker, so five sources are all there are.""",
        file="audio-fsdd.npz",
        most_seeds=2,
    ),
    Section(
        "Text: MDSD (reviews of 4 kinds of products, positive or negative)",
        "text",
        """Three sources only, each of 1,400 reviews of another kind of product; ten labels a class.""",
        file="text-mdsd.npz",
        per_class=10,
        most_seeds=1,
    ),
    Section(
        "Depth: UTD-MHAD (8 people, 13 actions, single frames)",
        "depth",
        """A sample is one frame of 36 x 36 pixels; frames of one clip stay on one side of the split.""",
        file="depth-utd.npz",
        most_seeds=1,
    ),
    Section(
        "Radar: mTransSee (32 users at 5 distances, 5 gestures)",
        "radar",
        """A domain is a user at a distance, so the zoo of 159 sources holds the target user at other distances.""",
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

Made by

```bash
{command}
```

on {date}, with hatlit {hatlit}, torch {torch} and Python {python} on {cores} cores. Preparation and training of all
{runs} runs took {hours:.1f} hours of one core, as busy as it was. Accuracies are in percent of the target's test part:
mean over targets and seeds, with a 95 % interval in brackets that resamples whole targets (bootstrap). All methods get
the same labels, the same splits, the same adapted sources, the same student and as many epochs. No option was chosen
for one target, and no model on any test part. "hat ahead by" pairs the runs of the same target and seed. With few
targets an interval is wide, and resampling so few makes it rather too narrow than too wide. "kB moved" is what a
network sees, "seconds" is the training of one run (median), two runs at a time. "gap closed" is the share of the way
from `labels_only` to `all_labels`, which is an oracle; `dann` needs the recordings of other people, which no device
has. `hatlit methods` says what each method is, [comparisons](comparisons.md) how the comparison is made. {left_out}

The defaults of HaT were chosen while looking at these sets, Digits-5 apart, at few labels, with seeds 0 and 1 of the
same targets ([research log](research-log.md), which also says what held on others). 5 % was first looked at afterwards.
"""


@dataclass
class ResultsConfig:
    """Makes docs/results.md.

    Args:
        sets: names of the data sets; empty means all.
        methods: which methods; all means every one that is registered.
        labels: few (one a class, text ten), 5% (a twentieth of the training samples), or both.
        targets: how many targets of each set, evenly spread; sets with fewer domains use all.
        seeds: how many seeds, from 0 on; fewer where a run takes long.
        out: folder that keeps the runs.
        page: where the page goes.
    """

    sets: Names = field(default_factory=list)
    methods: Names = "all"
    labels: Names = "few,5%"
    targets: int = 5
    seeds: int = 3
    out: str = "runs/results"
    page: str = str(ROOT / "docs" / "results.md")

    def __post_init__(self) -> None:
        self.sets, self.methods, self.labels = names(self.sets), names(self.methods), names(self.labels)
        known = {"sets": [one.name for one in SECTIONS], "labels": list(LABELS)}
        for option, choices in known.items():
            unknown = set(getattr(self, option)) - set(choices)
            if unknown:
                raise InputError(f"--{option} knows {', '.join(choices)}, not {sorted(unknown)[0]}.")
        if self.methods == ["all"]:
            self.methods = METHODS.names()


def main(words: list[str]) -> int:
    """Runs every comparison and writes the page."""
    display = Display()
    try:
        config = parse(ResultsConfig, "results", "Makes docs/results.md.", words)
        found = found_sections(config)
        levels = {one: levels_of(one, config) for one in found}
        summaries = {one: [summary_of(one, level, config, display) for level in levels[one]] for one in found}
    except InputError as error:
        print(f"results: {error}", file=sys.stderr)
        return 2
    rows = [row for one in found for level in levels[one] for row in rows_of(one, level, config)]
    head = HEAD.format(
        command=shlex.join(["python", "benchmarks/results.py", *words]),
        date=datetime.now(UTC).date(),
        runs=len(rows),
        hours=sum(float(row[f"{part}_seconds"] or 0) for row in rows for part in ("preparation", "training")) / 3600,
        left_out=left_out(found, config),
        cores=os.cpu_count(),
        hatlit=version("hatlit"),
        torch=version("torch"),
        python=platform.python_version(),
    )
    same = {one: [level for level in config.labels if level not in levels[one]] for one in found}
    sections = [section_of(one, several, same[one]) for one, several in summaries.items()]
    write_atomically(Path(config.page), "\n".join([head, overview(summaries), *sections]))
    display.say(f"wrote {config.page}")
    return 0


def found_sections(config: ResultsConfig) -> list[Section]:
    """The sections that are asked for and whose recordings are there."""
    wanted = [one for one in SECTIONS if not config.sets or one.name in config.sets]
    return [one for one in wanted if not one.file or (DATA / one.file).is_file()]


def left_out(found: Sequence[Section], config: ResultsConfig) -> str:
    """What a reader might expect on the page and does not find there, in a sentence."""
    absent = [
        *[section.title.split(" (")[0] for section in SECTIONS if section not in found],
        *[f"{level} of the labels" for level in LABELS if level not in config.labels],
        *[f"`{method}`" for method in METHODS.names() if method not in config.methods],
    ]
    return f"Not run: {', '.join(absent)}." if absent else ""


def folder_of(section: Section, level: str, config: ResultsConfig) -> Path:
    """Where the runs of one comparison are kept."""
    return Path(config.out) / f"{section.name}-{level.strip('%')}"


def rows_of(section: Section, level: str, config: ResultsConfig) -> list[dict[str, str]]:
    """The runs of one comparison, as they were written down."""
    with (folder_of(section, level, config) / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def levels_of(section: Section, config: ResultsConfig) -> list[str]:
    """The levels to run: those asked for, without one that draws the very labels of another."""
    drawn: list[tuple[bytes, ...]] = []
    levels = []
    for level in config.labels:
        labels = labels_of(section, level, config)
        if labels not in drawn:
            drawn.append(labels)
            levels.append(level)
    return levels


def labels_of(section: Section, level: str, config: ResultsConfig) -> tuple[bytes, ...]:
    """Which rows are labelled, for each target and seed of a comparison."""
    settings, _ = settings_of(section, level, config, ["labels_only"])
    asked = settings["labels_only"]
    data = read_domains(asked.modality, asked.data, Display(silent=True))
    domains = [data.domain(name) for name in choose_targets(data, asked)]
    drawn = [split_domain(one, asked.labels, seed).labelled for one in domains for seed in range(asked.seeds)]
    return tuple(rows.tobytes() for rows in drawn)


def summary_of(section: Section, level: str, config: ResultsConfig, display: Display) -> dict[str, Any]:
    """Runs one comparison."""
    settings, words = settings_of(section, level, config, config.methods)
    return compare(settings, display, words)


def settings_of(
    section: Section, level: str, config: ResultsConfig, methods: Sequence[str]
) -> tuple[dict[str, CompareConfig], list[str]]:
    """The options of one comparison, by method, and the command line that they come from."""
    data = ["--data.name", "arrays", "--data.root", str(DATA / section.file)] if section.file else []
    few = ["--labels.per_class", str(section.per_class)]
    seeds = min(config.seeds, section.most_seeds or config.seeds)
    words = [
        *("--modality", section.modality, *data, *section.more, "--seeds", str(seeds)),
        *("--out", str(folder_of(section, level, config)), "--methods", ",".join(methods)),
        *(["--labels.fraction", LABELS[level]] if LABELS[level] else few),
    ]
    for count in range(config.targets, 0, -1):
        asked = [*words, "--targets", str(count)]
        settings = {method: parse(CompareConfig, "compare", "", asked, method=method) for method in methods}
        one = settings[methods[0]]
        try:
            choose_targets(read_domains(one.modality, one.data, Display(silent=True)), one)
        except InputError as error:
            if "--targets" not in str(error):
                raise
        else:
            return settings, asked
    raise InputError(f"'{section.file}' has no domain.")


def overview(summaries: Mapping[Section, list[dict[str, Any]]]) -> str:
    """One row a comparison: HaT, the best of the others, and where HaT loses."""
    rows, lost, lost_to_students = [], [], []
    for section, several in summaries.items():
        for summary in several:
            methods = summary["methods"]
            if "hat" not in methods:
                continue
            where = f"{section.title.split(' (')[0]} ({summary['labels']})"
            best, student = best_rival(methods), best_rival(methods, leaves="student")
            floor = methods.get("labels_only")
            rows.append(
                {
                    "data": section.title.split(" (")[0],
                    "labels": summary["labels"],
                    "labels_only": percent(floor["accuracy"]) if floor else "-",
                    "hat": percent(methods["hat"]["accuracy"]),
                    "best other": score_of(best, methods),
                    "hat ahead of it by": lead_over(best, methods),
                    "best other student": score_of(student, methods),
                    "hat ahead of that by": lead_over(student, methods),
                }
            )
            lost += [where] if lead_over(best, methods).startswith("-") and best else []
            lost_to_students += [where] if lead_over(student, methods).startswith("-") and student else []
    if not rows:
        return ""
    verdict = (
        f"HaT is at or above the best other method in {len(rows) - len(lost)} of {len(rows)} comparisons{_but(lost)}. "
        "An ensemble asks all sources on the device, and a fine-tuned source is as large as it was; among methods that "
        "leave a student of the same size HaT is at or above the best other in "
        f"{len(rows) - len(lost_to_students)} of {len(rows)}{_but(lost_to_students)}."
    )
    return f"## All at a glance\n\n{Table(rows).markdown()}\n\n{verdict}\n"


def best_rival(methods: Mapping[str, Any], leaves: str = "") -> str | None:
    """The most accurate of the methods that could take HaT's place, or of those that leave one kind of model."""
    rivals = [
        name
        for name, one in methods.items()
        if is_rival(name, one) and (not leaves or METHODS.get(name).leaves == leaves)
    ]
    return max(rivals, key=lambda name: methods[name]["accuracy"]["mean"], default=None)


def score_of(method: str | None, methods: Mapping[str, Any]) -> str:
    """A method and its accuracy, as a table shows them."""
    return f"{method} {percent(methods[method]['accuracy'])}" if method else "-"


def lead_over(method: str | None, methods: Mapping[str, Any]) -> str:
    """How far HaT is ahead of a method, as a table shows it."""
    return percent(methods[method]["against_reference"]["difference"]) if method else "-"


def _but(lost: Sequence[str]) -> str:
    return f", behind on {'; '.join(lost)}" if lost else ""


def is_rival(name: str, one: Mapping[str, Any]) -> bool:
    """Whether a method is one that a company could use in place of HaT."""
    return not (name.startswith("hat") or one["is_oracle"] or METHODS.get(name).needs_source_data)


def section_of(section: Section, summaries: list[dict[str, Any]], same: Sequence[str]) -> str:
    """The comparisons on one data set, without levels that are the same labels as one that is there."""
    parts = [f"## {section.title}", section.note]
    parts += [f"{level} of the training samples are the same labelled rows, and so the same runs." for level in same]
    for summary in summaries:
        parts += [title_of(summary), Table(summary_table(summary)).markdown(), summary["finding"]]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
