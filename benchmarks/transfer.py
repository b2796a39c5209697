"""How much of the way from few labels to all labels each method covers, on every data set: HaT, its parts, its rivals.

    python benchmarks/transfer.py
    python benchmarks/transfer.py --fast

Writes docs/transfer.md and its figure; with --fast, runs and page go to a folder of their own. The comparisons are
those of results.py: runs that --out or --kept holds are not repeated.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from at_a_glance import best_rival
from hatlit.config import Names, names
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.report.document import Table
from hatlit.experiments.report.drawing import as_png, name_ticks, new_figure
from hatlit.experiments.summary import percent, sign_of
from hatlit.files import write_atomically
from quick import parse_fast
from results import LABELS, ResultsConfig, comparison_of, found_sections, left_out, page_of
from sections import Section

#: Rivals, HaT, HaT with one part taken away, and the two ends of the gap.
METHODS = (
    "labels_only,all_labels,best_source,concat_probe,uniform_ensemble,kd,hat,"
    "hat_no_experts,hat_no_discount,hat_no_foresight,hat_no_certainty,hat_no_consensus,hat_no_attention,hat_equal_weights,hat_no_blends,hat_no_hint,"
    "hat_labelled_adaptation,hat_fixed_heads,hat_no_agreement,hat_convex,hat_no_dictionary,hat_no_gate,hat_fixed_alpha,hat_paper"
)

#: Defaults of --fast: sets whose runs take a second or two, few of them, and no shipped file is touched.
FAST = {
    "sets": "imu-spar,radar-uwb,multimodal-utd-depth",
    "labels": "few",
    "targets": 3,
    "seeds": 1,
    "out": "runs/transfer-fast/runs",
    "kept": "runs/transfer-fast/kept",
    "page": "runs/transfer-fast/transfer.md",
}

#: A gap of fewer points than this is noise, and a share of it says nothing.
SMALLEST_GAP = 0.05

#: Blue and grey; told apart in print, too.
OURS, OTHERS = "#0b5394", "#9a9a9a"

HEAD = """# How much of the gap is closed

Made by

```bash
{command}
```

on {date}: {targets} targets of each set (or all), {seeds} seeds. **Gap closed** is (method − `labels_only`) /
(`all_labels` − `labels_only`), of mean accuracies; a dash stands where all labels are worth less than {smallest:.0f}
points, or where a method was not run on each of these targets and seeds. `hat_no_…` is HaT without one part ([how HaT
works here](method.md)); `hatlit methods` explains the other names.
{left_out}

![Gap closed by method: a dot a data set, the bar their mean](images/transfer.png)
"""


@dataclass
class TransferConfig:
    """How much of the gap between few and all labels each method closes.

    Args:
        sets: names of the data sets; empty means all.
        methods: which methods; labels_only, all_labels and hat are needed.
        labels: few (one a class, text ten), 5%, or both.
        targets: how many targets of each set, evenly spread; sets with fewer domains use all.
        seeds: how many seeds, from 0 on.
        fast: three targets and one seed of three quick sets, and a page in `runs/transfer-fast`, save where other
            options say otherwise.
        out: folder that keeps the runs.
        kept: folder that keeps their figures.
        run: whether what is not kept is run; if not, there are gaps in the tables.
        page: where the page goes; its figure goes to `images` beside it. Where nothing is given, to docs, or, where
            sets are missing, into `out`.
    """

    sets: Names = field(default_factory=list)
    methods: Names = METHODS
    labels: Names = "few,5%"
    targets: int = 5
    seeds: int = 3
    fast: bool = False
    out: str = "runs/results"
    kept: str = ResultsConfig.kept
    run: bool = True
    page: str = ""

    def __post_init__(self) -> None:
        self.sets, self.methods, self.labels = names(self.sets), names(self.methods), names(self.labels)
        missing = {"labels_only", "all_labels", "hat"} - set(self.methods)
        if missing:
            raise InputError(f"--methods needs {', '.join(sorted(missing))}, without which there is no gap to close.")


def main(words: list[str]) -> int:
    """Runs every comparison, writes page and figure."""
    display = Display()
    try:
        config = parse_fast(TransferConfig, "transfer", "How much of the gap each method closes.", words, FAST)
        shared = {
            name: getattr(config, name)
            for name in ("sets", "methods", "labels", "targets", "seeds", "out", "kept", "run")
        }
        wanted = ResultsConfig(**shared)
        found = found_sections(wanted)
        asked = [(one, level) for level in wanted.labels for one in found]
        made = {both: comparison_of(*both, wanted, display) for both in asked}
        summaries = {both: comparison.summary for both, comparison in made.items() if comparison}
    except InputError as error:
        print(f"transfer: {error}", file=sys.stderr)
        return 2
    head = HEAD.format(
        command=shlex.join(["python", "benchmarks/transfer.py", *words]),
        date=datetime.now(UTC).date(),
        targets=config.targets,
        seeds=config.seeds,
        smallest=100 * SMALLEST_GAP,
        left_out=left_out(found, wanted, names(METHODS)),
    )
    parts = [head, goals(summaries)]
    for level in wanted.labels:
        of_level = {section: summary for (section, one), summary in summaries.items() if one == level}
        parts += [f"## {title(level)}\n", Table(gap_table(of_level, config.methods)).markdown() + "\n"]
        parts += [Table(accuracy_table(of_level, config.methods)).markdown() + "\n"]
    page = page_of(config.page, "transfer.md", found, wanted)
    write_atomically(page.parent / "images" / "transfer.png", as_png(figure(summaries, config.methods)))
    write_atomically(page, "\n".join(parts))
    display.say(f"wrote {page}")
    return 0


def title(level: str) -> str:
    """What a level of labels is called on the page."""
    return f"{level} of the labels" if LABELS[level] else "One label a class (text: ten)"


def gap(summary: Mapping[str, Any], method: str) -> float | None:
    """The share of the gap that a method closes; None where there is hardly one, or where it did not run."""
    known = summary["methods"]
    if method not in known:
        return None
    ends = [known[end]["accuracy"]["mean"] for end in ("labels_only", "all_labels")]
    return known[method]["gap_closed"] if ends[1] - ends[0] >= SMALLEST_GAP else None


def best_gap(summary: Mapping[str, Any]) -> float | None:
    """The largest share of the gap that any method but an oracle closes; None where there is hardly a gap."""
    shares = (gap(summary, method) for method, one in summary["methods"].items() if not one["is_oracle"])
    return max((share for share in shares if share is not None), default=None)


def with_a_gap(summaries: Mapping[Any, Mapping[str, Any]]) -> int:
    """How many comparisons have a gap worth the name."""
    return sum(gap(summary, "all_labels") is not None for summary in summaries.values())


def goals(summaries: Mapping[Any, Mapping[str, Any]]) -> str:
    """On how many comparisons HaT is ahead, and where it is not."""
    behind, clear, below = [], 0, []
    for (section, level), summary in summaries.items():
        name = f"{section.name} ({level})"
        rival = best_rival(summary["methods"])
        if rival is None:
            continue
        lead = summary["methods"][rival]["against_reference"]["difference"]
        clear += sign_of(lead) > 0
        if lead["mean"] < 0:
            behind.append(f"{name}: {rival} is ahead by {-100 * lead['mean']:.1f}")
        if summary["methods"]["labels_only"]["against_reference"]["difference"]["mean"] < -0.01:
            below.append(name)
    closed = [share for summary in summaries.values() if (share := gap(summary, "hat")) is not None]
    ahead = len(summaries) - len(behind)
    lines = [
        f"- HaT is at or above the best other method of this table in {ahead} of {len(summaries)} comparisons, and by "
        f"more than the 95 % interval in {clear}" + (f". It loses on {'; '.join(behind)}." if behind else "."),
        f"- It falls more than a point below the labels alone on {', '.join(below)}."
        if below
        else "- It is nowhere more than a point below the labels alone.",
    ]
    if closed:
        best = [share for summary in summaries.values() if (share := best_gap(summary)) is not None]
        lines.append(
            f"- It closes {100 * float(np.mean(closed)):.0f} % of the gap on average ({len(closed)} with a gap). Who "
            "chose the best row of this table for each of them, afterwards and by its test parts, would close "
            f"{100 * float(np.mean(best)):.0f} %."
        )
    return "\n".join(lines) + "\n"


def gap_table(summaries: Mapping[Section, Mapping[str, Any]], methods: Sequence[str]) -> list[dict[str, str]]:
    """Share of the gap closed: a row a method, a column a data set; a mean for those that ran on all."""
    rows, comparisons = [], with_a_gap(summaries)
    for method in methods:
        shares = {section.name: gap(summary, method) for section, summary in summaries.items()}
        known = [share for share in shares.values() if share is not None]
        mean = f"{100 * float(np.mean(known)):.0f} %" if known and len(known) == comparisons else "-"
        cells = {name: "-" if share is None else f"{100 * share:.0f} %" for name, share in shares.items()}
        rows.append({"gap closed": method, "mean": mean, **cells})
    return rows


def accuracy_table(summaries: Mapping[Section, Mapping[str, Any]], methods: Sequence[str]) -> list[dict[str, str]]:
    """Accuracy with its interval: a row a method, a column a data set."""
    return [
        {
            "accuracy": method,
            **{
                section.name: percent(summary["methods"][method]["accuracy"]) if method in summary["methods"] else "-"
                for section, summary in summaries.items()
            },
        }
        for method in methods
    ]


def figure(summaries: Mapping[Any, Mapping[str, Any]], methods: Sequence[str]) -> Figure:
    """One dot a comparison, the bar their mean, best method on top; only methods that ran on all."""
    comparisons = with_a_gap(summaries)
    shares = {
        method: [share for summary in summaries.values() if (share := gap(summary, method)) is not None]
        for method in methods
        if method not in ("labels_only", "all_labels")
    }
    whole = (method for method, known in shares.items() if known and len(known) == comparisons)
    ranked = sorted(whole, key=lambda one: np.mean(shares[one]))
    where = f"{comparisons} of {len(summaries)} comparisons have a gap of at least {100 * SMALLEST_GAP:.0f} points"
    picture = new_figure(7, 1.6 + 0.35 * len(ranked), "Gap closed between few labels and all", where)
    axes = picture.subplots()
    for place, method in enumerate(ranked):
        colour = OURS if method == "hat" else OTHERS
        axes.barh(place, 100 * float(np.mean(shares[method])), color=colour, alpha=0.55, height=0.6)
        axes.plot(100 * np.array(shares[method]), [place] * len(shares[method]), "o", ms=4, color=colour, mec="white")
    for end in (0, 100):
        axes.axvline(end, color="#444444", lw=0.8, ls=(0, (4, 3)))
    name_ticks(axes, "y", ranked)
    axes.set_xlabel("share of the gap, % (0: labels_only, 100: all_labels)")
    return picture


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
