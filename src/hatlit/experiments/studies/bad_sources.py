"""Sources that are poisoned, useless, broken or hostile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from matplotlib.figure import Figure

from hatlit.errors import InputError
from hatlit.experiments.fleet import sources_of_all
from hatlit.experiments.folder import RunFolder
from hatlit.experiments.report.drawing import new_figure
from hatlit.experiments.spoiled import BAD, KINDS, SHUFFLED, add_bad, fill, num_bad
from hatlit.experiments.study import Row, Study, StudyTask, register_study
from hatlit.experiments.study_figures import add_legend, draw_curves
from hatlit.experiments.study_runs import (
    Interval,
    Variant,
    cell,
    failures,
    finished,
    in_points,
    lead,
    mean_accuracy,
    run_variants,
    values_of,
)
from hatlit.zoo.store import Zoo
from hatlit.zoo.train_source import shuffled

#: The value with good sources alone.
CLEAN = "clean"

#: What the finding holds HaT to: no more points lost than these, up to this share, and no more below labels alone.
FEW_POINTS, MOST_BAD, BELOW_LABELS = 0.02, 0.5, 0.01


@dataclass(frozen=True)
class Mixture:
    """A kind of bad source and its share of all sources; ``kind`` is ``CLEAN`` where there is none."""

    kind: str
    share: float

    @property
    def value(self) -> str:
        """As ``study.csv`` has it."""
        return CLEAN if self.kind == CLEAN else f"{self.kind}@{self.share:.0%}"

    @property
    def folder(self) -> str:
        """The same as the name of a folder."""
        return self.value.replace("@", "-").removesuffix("%")


@register_study()
class BadSources(Study):
    """How accurate is HaT where a share of the sources is bad and says that it is good?"""

    values: ClassVar[tuple[str, ...]] = (
        CLEAN,
        *(f"{kind}@{share}%" for kind in KINDS for share in (20, 50, 80)),
        "random@100%",
        "shuffled@100%",
    )
    varies: ClassVar[tuple[str, ...]] = ("zoo", "sources.controls")

    def read(self, value: str) -> Mixture:
        """A kind and its share, such as random@50%, or clean."""
        if value == CLEAN:
            return Mixture(CLEAN, 0.0)
        kind, _, share = value.partition("@")
        number = share.removesuffix("%")
        if kind not in KINDS or not share.endswith("%") or not number.isdecimal() or not 0 < int(number) <= 100:
            raise InputError(
                f"--values of the study 'bad_sources' are '{CLEAN}' or a kind ({', '.join(KINDS)}) with its share of "
                f"all sources, such as random@50%, not '{value}'."
            )
        return Mixture(kind, int(number) / 100)

    def measure(self, task: StudyTask, values: Sequence[Mixture]) -> list[Row]:
        """Fills a zoo for each mixture and runs HaT on it, and the labels alone once."""
        clean, *mixed = [Mixture(CLEAN, 0.0), *(one for one in values if one.kind != CLEAN)]
        rows = run_variants(task, ["hat", "labels_only"], [_variant(task, clean)])
        if mixed:
            rows += run_variants(task, ["hat"], [_variant(task, one) for one in mixed])
        return [row | _account(task, self.read(row["value"]).folder, row) for row in rows]

    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """A row a mixture: accuracy, what the bad sources cost, and what became of them."""
        alone = mean_accuracy(finished(rows, "labels_only"))
        table = [{"sources": "none (labels_only)", "accuracy": cell(alone)} | dict.fromkeys(_COLUMNS, "-")]
        for value in values_of(rows):
            hat = finished(rows, "hat", value)
            table.append(
                {
                    "sources": value,
                    "accuracy": cell(mean_accuracy(hat)),
                    "against clean": _points(lead(hat, finished(rows, "hat", CLEAN))) if value != CLEAN else "-",
                    "against labels_only": _points(lead(hat, finished(rows, "labels_only"))),
                    **{name: _mean(hat, column) for name, column in zip(_COLUMNS[2:], _COUNTS, strict=True)},
                }
            )
        return table

    def finding(self, rows: Sequence[Row]) -> str:
        """Where the promise holds: few points lost while half are bad, and never worse than the labels alone."""
        clean, alone = finished(rows, "hat", CLEAN), finished(rows, "labels_only")
        lost: list[str] = []
        below: list[str] = []
        kept = 0
        for value in values_of(rows):
            if value == CLEAN:
                continue
            against_clean, against_labels = (lead(finished(rows, "hat", value), others) for others in (clean, alone))
            if against_clean and self.read(value).share <= MOST_BAD:
                holds = against_clean["mean"] >= -FEW_POINTS
                kept += holds
                lost += [] if holds else [f"{value} ({in_points(against_clean)})"]
            if against_labels and against_labels["mean"] < -BELOW_LABELS:
                below.append(f"{value} ({in_points(against_labels)})")
        reached, labels = cell(mean_accuracy(clean)), cell(mean_accuracy(alone))
        within = f"within {100 * FEW_POINTS:.0f} points of that in {kept} of {kept + len(lost)} cases"
        never = f"more than {100 * BELOW_LABELS:.0f} point below labels_only"
        return (
            f"hat reaches {reached} % with good sources alone, labels_only {labels} %. "
            f"With up to {MOST_BAD:.0%} bad ones, it stays {within}{_listed(', but not with', lost)}. "
            f"It is {'' if below else 'nowhere '}{never}{_listed(' with', below)}.{failures(rows)}"
        )

    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """Accuracy over the share of bad sources, a curve a kind."""
        figure = new_figure(7.5, 5, "Accuracy of hat where a share of the sources is bad", where)
        axes = figure.subplots()
        mixtures = [self.read(value) for value in values_of(rows)]
        shares = sorted({one.share for one in mixtures})
        series = {
            kind: [_accuracy(rows, Mixture(kind, share) if share else Mixture(CLEAN, 0.0)) for share in shares]
            for kind in dict.fromkeys(one.kind for one in mixtures if one.kind != CLEAN)
        }
        draw_curves(axes, [f"{share:.0%}" for share in shares], series)
        alone = mean_accuracy(finished(rows, "labels_only"))
        if alone:
            axes.axhline(100 * alone["mean"], color="#888888", lw=1, ls=(0, (4, 3)), label="labels_only")
        axes.set(xlabel="share of bad sources", ylabel="accuracy on the test parts, % (95 % interval)")
        add_legend(axes)
        return figure


#: What a row has besides those of runs: of the chosen sources, how many are bad, and how many of either kind the report
#: names as suspicious.
_COUNTS = ("bad_chosen", "bad_named", "good_named")

#: Columns of the table behind accuracy.
_COLUMNS = ("against clean", "against labels_only", "bad ones chosen", "bad ones named", "good ones named")


def _variant(task: StudyTask, mixture: Mixture) -> Variant:
    return Variant(mixture.value, mixture.folder, {"zoo": _zoo(task, mixture)})


def _zoo(task: StudyTask, mixture: Mixture) -> str:
    """Folder of a zoo in the cache with the good sources and the bad ones."""
    data = task.asked
    good = sources_of_all(data, task.config, task.display)
    if mixture.kind == CLEAN:
        return good.url
    origins = good
    if mixture.kind == SHUFFLED:
        dealt = replace(data, domains=tuple(shuffled(domain, seed) for seed, domain in enumerate(data.domains)))
        origins = sources_of_all(dealt, task.config, task.display)
    zoo = Zoo.create(f"{good.url}-{mixture.folder}", good.info)
    if mixture.share < 1:
        fill(zoo, good)
    add_bad(zoo, origins, data, mixture.kind, num_bad(len(good.ids()), mixture.share))
    return zoo.url


def _account(task: StudyTask, folder: str, row: Row) -> dict[str, int | None]:
    """How many of the chosen sources are bad, and how many were named."""
    if row["failed"] or row["method"] != "hat":
        return dict.fromkeys(_COUNTS)
    result: Any = RunFolder(Path(task.config.out) / folder / "runs" / row["run"]).read_json("result.json")
    named = [one["source"] for one in result["suspicious"]]
    bad_named = sum(name.startswith(BAD) for name in named)
    bad_chosen = sum(name.startswith(BAD) for name in result["sources"])
    return dict(zip(_COUNTS, (bad_chosen, bad_named, len(named) - bad_named), strict=True))


def _accuracy(rows: Sequence[Row], mixture: Mixture) -> Interval | None:
    return mean_accuracy(finished(rows, "hat", mixture.value))


def _points(difference: Interval | None) -> str:
    return "-" if difference is None else in_points(difference)


def _mean(rows: Sequence[Row], column: str) -> str:
    return f"{sum(row[column] for row in rows) / len(rows):.1f}" if rows else "-"


def _listed(words: str, cases: Sequence[str]) -> str:
    return f"{words} {', '.join(cases)}" if cases else ""
