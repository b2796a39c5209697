"""Makes docs/results.md: methods side by side on the demo and on real recordings, with intervals.

    python benchmarks/results.py

Real recordings are looked for in the folder that HATLIT_DATA names, by default ../shared/data beside the repository. A
set that is not there is left out; the page says so, and goes to --out, so that the one in docs stays. Runs are kept in
--out, so an interrupted call goes on, and their figures in --kept, so what stands there is not run again.
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from at_a_glance import confirmation, one_for_all, overview
from hatlit.config import CompareConfig, Names, names
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.target.data import TargetData
from hatlit.errors import InputError
from hatlit.experiments.compare import choose_targets, compare, labels_of, title_of
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import read_asked, read_domains
from hatlit.experiments.pool import Row
from hatlit.experiments.report.document import Table
from hatlit.experiments.summary import finding, preparation, summarise, summary_table
from hatlit.files import write_atomically
from hatlit.methods.base import METHODS
from hatlit.options import parse
from kept_runs import Labels, keep_runs, kept_runs, missing_methods, read_rows
from sections import DATA, ROOT, SECTIONS, Section

#: How many labels: few is one a class (text: ten), and a share.
LABELS = {"few": "", "5%": "0.05"}

HEAD = """# Results

Made by

```bash
{command}
```

on {dates}, with hatlit {hatlit}, torch {torch} and Python {python} on {cores} cores. Preparation and training of all
{runs} runs took {hours:.1f} hours of one core, as busy as it was. Each has its row in `benchmarks/results/comparisons`,
and is run again where that is deleted. Accuracies are in percent of the target's test part: mean over targets and
seeds, with a 95 % interval in brackets that resamples whole targets (bootstrap with expanded percentiles). All methods
get the same labels, the same splits, the same adapted sources, the same student and as many epochs. No option was
chosen for one target, and no model on any test part. "hat ahead by" pairs the runs of the same target and seed. With
five targets an interval is wide, and still misses the truth about one time in ten; fewer decide nothing. Variants of
HaT are ranked among themselves and HaT, apart from its rivals. "kB moved" is what a network sees, "training
seconds" are of one run (median), two or three runs at a time, so they compare roughly. "gap closed" is the share of
the way from `labels_only` to `all_labels`, which is an oracle; `dann` needs the recordings of other people, which no
device has. `hatlit methods`
says what each method is, [comparisons](comparisons.md) how the comparison is made. Rows are of the code of their dates:
those of a method are deleted, and run again, when a change of the code changes what it does. {left_out}

The defaults of HaT were chosen while looking at these sets at few labels, save [those that nothing was chosen
on](#sets-that-nothing-was-chosen-on), most of them with seeds 0 and 1 of the same targets ([research
log](research-log.md), which also says what held on others). Runs at 5 % were not looked at
before the choices up to adaptation that looks at unlabelled rows; HMP at 5 % was looked at in later ones.
"""

#: Where the recordings come from.
RECORDINGS = """## The recordings

Files such as `imu-spar.npz` are in the layout of [your own data](your-own-data.md). They are not published with hatlit.
Nearly all hold, row for row, what one of hatlit's readers makes of a published set; tests compare the two, as far as
the published files are at hand. So whoever wants to repeat a number takes the reader named last (`hatlit data` says
which sets `--data.download true` fetches). The numbers were made with the files, and not again with the readers.

{table}

`HATLIT_DATA` names the folder that benchmarks look for them in.
"""


@dataclass
class ResultsConfig:
    """Makes docs/results.md.

    Args:
        sets: names of the data sets; empty means all.
        methods: which methods; all means every one that is registered.
        labels: few (one a class, text ten), 5% (a twentieth of the training samples), or both.
        targets: how many targets of each set, evenly spread; sets with fewer domains use all.
        seeds: how many seeds, from 0 on.
        out: folder that keeps the runs.
        kept: folder that keeps their figures.
        run: whether what is not kept is run; if not, the page says what is missing.
        page: where the page goes; where nothing is given, to docs, or, where sets are missing, into `out`.
    """

    sets: Names = field(default_factory=list)
    methods: Names = "all"
    labels: Names = "few,5%"
    targets: int = 5
    seeds: int = 3
    out: str = "runs/results"
    kept: str = str(ROOT / "benchmarks" / "results" / "comparisons")
    run: bool = True
    page: str = ""

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
        made = {one: {level: comparison_of(one, level, config, display) for level in levels[one]} for one in found}
        several = {one: [comparison for comparison in made[one].values() if comparison] for one in found}
        found = [one for one in found if several[one]]
        if not found:
            raise InputError(f"No method has all its runs in '{config.kept}'; leave out --run false.")
    except InputError as error:
        print(f"results: {error}", file=sys.stderr)
        return 2
    rows = [row for one in found for comparison in several[one] for row in comparison.rows]
    summaries = {one: [comparison.summary for comparison in several[one]] for one in found}
    head = HEAD.format(
        command=shlex.join(["python", "benchmarks/results.py", *words]),
        dates=" to ".join(sorted({min(row["date"] for row in rows), max(row["date"] for row in rows)})),
        runs=len(rows),
        hours=sum(row["preparation_seconds"] + row["training_seconds"] for row in rows) / 3600,
        left_out=left_out(found, config, METHODS.names()),
        cores=os.cpu_count(),
        hatlit=version("hatlit"),
        torch=version("torch"),
        python=platform.python_version(),
    )
    same = {one: [level for level in config.labels if level not in levels[one]] for one in found}
    missing = {one: [level for level, comparison in made[one].items() if not comparison] for one in found}
    sections = [section_of(one, several[one], same[one], missing[one]) for one in found]
    seen = {one: several for one, several in summaries.items() if not one.unseen}
    unseen = {one: several for one, several in summaries.items() if one.unseen}
    glance = [overview(seen), one_for_all(seen), confirmation(unseen)]
    page = page_of(config.page, "results.md", found, config)
    write_atomically(page, "\n".join([head, *glance, recordings(), *sections]))
    display.say(f"wrote {page}")
    return 0


def page_of(given: str, name: str, found: Sequence[Section], config: ResultsConfig) -> Path:
    """Where a page goes: one that lacks what was asked for must not take the place of the one in docs."""
    wanted = [one for one in SECTIONS if not config.sets or one.name in config.sets]
    return Path(given or (ROOT / "docs" if len(found) == len(wanted) else Path(config.out)) / name)


def found_sections(config: ResultsConfig) -> list[Section]:
    """The sections that are asked for and whose recordings are there.

    Raises:
        InputError: there are none.
    """
    wanted = [one for one in SECTIONS if not config.sets or one.name in config.sets]
    found = [one for one in wanted if not one.file or (DATA / one.file).is_file()]
    if not found:
        raise InputError(f"None of these sets is in '{DATA}'; let HATLIT_DATA name its folder, or ask for others.")
    return found


def left_out(found: Sequence[Section], config: ResultsConfig, methods: Sequence[str]) -> str:
    """What a reader might expect on the page, these methods among it, and does not find there, in a sentence."""
    absent = [
        *[section.title.split(" (")[0] for section in SECTIONS if section not in found],
        *[f"{level} of the labels" for level in LABELS if level not in config.labels],
        *[f"`{method}`" for method in methods if method not in config.methods],
    ]
    return f"Not run: {', '.join(absent)}." if absent else ""


def folder_of(section: Section, level: str, config: ResultsConfig) -> Path:
    """Where the runs of one comparison are kept."""
    return Path(config.out) / f"{section.name}-{level.strip('%')}"


def kept_file(section: Section, level: str, config: ResultsConfig) -> Path:
    """Where the figures of one comparison are kept."""
    return Path(config.kept) / f"{folder_of(section, level, config).name}.csv"


def levels_of(section: Section, config: ResultsConfig) -> list[str]:
    """The levels to run: those asked for, without one that draws the very labels of another."""
    drawn: list[Labels] = []
    levels = []
    for level in config.labels:
        labels = drawn_labels(settings_of(section, level, config, ["labels_only"])[0]["labels_only"])
        if labels not in drawn:
            drawn.append(labels)
            levels.append(level)
    return levels


def drawn_labels(config: CompareConfig) -> Labels:
    """Which rows are labelled, for each target and seed of a comparison."""
    display = Display(silent=True)
    data = read_domains(config.modality, config.data, display)
    asked = read_asked(data, config.data, config.sources, display)
    labels = {}
    for name in choose_targets(data, config):
        domain, paired = data.domain(name), None if asked is data else asked.domain(name)
        for seed in range(config.seeds):
            target = TargetData(domain, split_domain(domain, config.labels, seed), paired)
            labels[name, seed] = target.labels_fingerprint[:16]
    return labels


@dataclass(frozen=True)
class Comparison:
    """What is known of one data set with so many labels.

    Attributes:
        summary: as in ``summary.json``, as far as the page needs it.
        rows: the runs behind it.
    """

    summary: dict[str, Any]
    rows: list[Row]


def comparison_of(section: Section, level: str, config: ResultsConfig, display: Display) -> Comparison | None:
    """Runs what is not kept of one comparison, and describes all of it; None where nothing is kept or to be run."""
    settings, words = settings_of(section, level, config, config.methods)
    one = settings[config.methods[0]]
    labels = drawn_labels(one)
    page = kept_file(section, level, config)
    rows = kept_runs(page, labels)
    missing = missing_methods(config.methods, rows, labels)
    if missing and config.run:
        compare({method: settings[method] for method in missing}, display, words)
        there = read_rows(Path(one.out) / "results.csv")  # maybe with methods of an earlier sitting
        ran = keep_runs(page, [row for row in there if row["method"] in missing])
        rows, missing = [row for row in rows if row["method"] not in missing] + ran, []
    shown = [method for method in config.methods if method not in missing]
    if not shown:
        return None
    asked = sorted((row for row in rows if row["method"] in shown), key=lambda row: shown.index(row["method"]))
    data = read_domains(one.modality, one.data, Display(silent=True))
    summary = {
        "data": data.name,
        "is_demo": data.is_demo,
        "modality": one.modality,
        "targets": choose_targets(data, one),
        "seeds": one.seeds,
        "labels": labels_of(one),
        **summarise(asked),
    }
    return Comparison(summary | {"finding": finding(summary), "missing": missing}, asked)


def settings_of(
    section: Section, level: str, config: ResultsConfig, methods: Sequence[str]
) -> tuple[dict[str, CompareConfig], list[str]]:
    """The options of one comparison, by method, and the command line that they come from."""
    data = ["--data.name", "arrays", "--data.root", str(DATA / section.file)] if section.file else []
    few = ["--labels.per_class", str(section.per_class)]
    words = [
        *("--modality", section.modality, *data, *section.more, "--seeds", str(config.seeds)),
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


def recordings() -> str:
    """Where the files come from, and how to get what is in them."""
    rows = [
        {
            "file": one.file,
            "made of": one.origin,
            "what is in it": one.holds,
            "nearest --data.name": one.reader,
        }
        for one in SECTIONS
        if one.origin
    ]
    return RECORDINGS.format(table=Table(rows).markdown())


def section_of(section: Section, made: Sequence[Comparison], same: Sequence[str], missing: Sequence[str]) -> str:
    """The comparisons on one data set, without levels that are missing or the same labels as one that is there."""
    parts = [f"## {section.title}", section.note]
    parts += [f"{level} of the training samples are the same labelled rows, and so the same runs." for level in same]
    for comparison in made:
        summary = comparison.summary
        parts += [title_of(summary), Table(summary_table(summary)).markdown(), summary["finding"], preparation(summary)]
        parts += (
            [f"Not run here: {', '.join(f'`{name}`' for name in summary['missing'])}."] if summary["missing"] else []
        )
    parts += [f"Not run here: {level} of the labels." for level in missing]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
