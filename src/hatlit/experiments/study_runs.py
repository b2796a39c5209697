"""Studies made of runs: methods on the same targets and seeds, with some options varied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hatlit.config import CompareConfig, ExpansionConfig, StudyConfig, TrainConfig
from hatlit.errors import InputError
from hatlit.experiments.compare import run_config
from hatlit.experiments.fleet import cached_zoo, refuse_too_many
from hatlit.experiments.folder import RunFolder
from hatlit.experiments.pool import Runs
from hatlit.experiments.prepare import check_names
from hatlit.experiments.study import Row, StudyTask
from hatlit.experiments.summary import against, interval, percent, sign_of, spelled

#: Mean with the ends of its 95 % interval, ``low`` and ``high``; these are None over a single target.
Interval = Mapping[str, Any]

#: What of a run's row a study keeps.
KEPT = ("method", "target", "seed", "labels", "accuracy")


@dataclass(frozen=True)
class Variant:
    """One value of what a study goes through.

    Attributes:
        value: as ``study.csv`` has it.
        folder: below that of the study, for its runs; empty is that of the study itself.
        changes: top-level options that it replaces.
    """

    value: str
    folder: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


def run_variants(task: StudyTask, methods: Sequence[str], variants: Sequence[Variant]) -> list[Row]:
    """Runs every method on every target with every seed, once a variant; rows are in that order.

    Besides ``value`` and what ``KEPT`` names, a row has ``mixer_estimate`` and ``mixer_truth`` (None where the method
    has none): the accuracy of the mixer as its training saw it last, and that of its fused predictions on the test
    part; then the folder of the ``run`` and why it ``failed``.

    Raises:
        InputError: an option cannot be, or every run failed.
    """
    return run_plans(task, [(variant, _plan(task, methods, variant)) for variant in variants])


def run_plans(task: StudyTask, plans: Sequence[tuple[Variant, Sequence[TrainConfig]]]) -> list[Row]:
    """Does what ``run_variants`` does with runs that are made up already.

    Args:
        task: what to work on.
        plans: with each variant its runs, all of one ``out``; no two of them have the same method, target and seed.
    """
    for _, runs in plans:
        for run in runs:
            check_names(run)
    if any(not runs[0].zoo for _, runs in plans):
        train_sources(task)
    rows = [row for variant, runs in plans for row in _run(task, variant, runs)]
    if all(row["failed"] for row in rows):
        raise InputError(f"Every run failed, the first because: {rows[0]['failed']}")
    return rows


def train_sources(task: StudyTask) -> None:
    """Trains all sources that no zoo supplies, before runs begin that would train the same ones side by side."""
    config = task.config
    if config.zoo:
        return
    refuse_too_many("--num_sources", config.num_sources or 1, task.asked, config.sources)
    progress = partial(task.display.track, doing="training sources")
    for target in task.targets[:2]:  # the first zoo lacks the first target's source, which the second one adds
        cached_zoo(task.asked, task.asked.domain(target), config.sources, config.jobs, config.plugin, progress)


def run_of(config: StudyConfig, method: str, target: str, seed: int) -> TrainConfig:
    """The options of one run, which logs nothing elsewhere."""
    shared = {one.name: getattr(config, one.name) for one in fields(ExpansionConfig)}
    return run_config(CompareConfig(**shared, methods=[method], targets=[target]), method, target, seed)


def finished(rows: Sequence[Row], method: str, value: str | None = None) -> list[Row]:
    """The rows of a method that did not fail: all, or those of one value."""
    return [row for row in rows if row["method"] == method and not row["failed"] and value in (None, row["value"])]


def values_of(rows: Sequence[Row]) -> list[str]:
    """The values of the rows, in order, none twice."""
    return list(dict.fromkeys(row["value"] for row in rows))


def mean_accuracy(rows: Sequence[Row]) -> Interval | None:
    """Mean accuracy with its interval, None where there is no row."""
    return interval([row["accuracy"] for row in rows], [row["target"] for row in rows]) if rows else None


def lead(rows: Sequence[Row], others: Sequence[Row]) -> Interval | None:
    """How far some runs are ahead of others in accuracy, pair by pair of target and seed; None without a pair."""
    pairs = against(rows, others)
    return None if pairs is None else pairs["difference"]


def paired(rows: Sequence[Row], one: str, other: str) -> tuple[list[float], list[float]]:
    """Accuracies of two methods on the targets and seeds on which both came to their end."""
    theirs = {(row["target"], row["seed"]): row["accuracy"] for row in finished(rows, other)}
    pairs = [
        (row["accuracy"], theirs[row["target"], row["seed"]])
        for row in finished(rows, one)
        if (row["target"], row["seed"]) in theirs
    ]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def believed(rows: Sequence[Row]) -> list[Row]:
    """The rows with an accuracy of the mixer in training and one on the test part."""
    return [row for row in rows if row["mixer_estimate"] is not None and row["mixer_truth"] is not None]


def gap(rows: Sequence[Row]) -> Interval:
    """How far the mixer's accuracy in training lies above that on the test part."""
    return interval([row["mixer_estimate"] - row["mixer_truth"] for row in rows], [row["target"] for row in rows])


def verdict(difference: Interval) -> str:
    """Whether a difference is one: undecided is what has zero inside its interval."""
    return {1: "ahead of", -1: "behind", 0: "undecided against"}[sign_of(difference)]


def in_points(difference: Interval) -> str:
    """A difference of accuracies with its interval, in percentage points."""
    return spelled(difference, "+.1f", 100, " points")


def standing(
    rows: Sequence[Row], method: str, rival: str, named: Callable[[str], str] = lambda value: f"at {value}"
) -> str:
    """A sentence on where a method stands against a rival, value by value.

    Args:
        rows: of a study.
        method: whose side is taken.
        rival: what it is compared with.
        named: a value in words, as they follow "ahead of the rival".
    """
    groups: dict[str, list[str]] = {"ahead of": [], "undecided against": [], "behind": []}
    for value in values_of(rows):
        difference = lead(finished(rows, method, value), finished(rows, rival, value))
        if difference is not None:
            groups[verdict(difference)].append(f"{named(value)} ({in_points(difference)})".strip())
    parts = [f"{how} {rival} {', '.join(cases)}" for how, cases in groups.items() if cases]
    return f"{method} is {'; '.join(parts)}." if parts else f"No pair of runs compares {method} with {rival}."


def failures(rows: Sequence[Row]) -> str:
    """A sentence on runs that failed; empty where none did."""
    failed = [row for row in rows if row["failed"]]
    return f" {len(failed)} of {len(rows)} runs failed and are left out." if failed else ""


def accuracy_table(rows: Sequence[Row], column: str) -> list[dict[str, str]]:
    """A row a value, a column a method: mean accuracy with its interval, in percent."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    return [
        {column: value, **{method: cell(mean_accuracy(finished(rows, method, value))) for method in methods}}
        for value in values_of(rows)
    ]


def cell(share: Interval | None) -> str:
    """A share with its interval in percent, or a dash."""
    return "-" if share is None else percent(share)


def correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Pearson's correlation, None where either is constant."""
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _plan(task: StudyTask, methods: Sequence[str], variant: Variant) -> list[TrainConfig]:
    out = str(Path(task.config.out) / variant.folder)
    settings = {method: replace(task.of_method(method), **{"out": out, **variant.changes}) for method in methods}
    return [
        run_of(settings[method], method, target, seed)
        for target in task.targets
        for seed in range(task.config.seeds)
        for method in methods
    ]


def _run(task: StudyTask, variant: Variant, runs: Sequence[TrainConfig]) -> list[Row]:
    place = {(run.method, run.target, run.seed): number for number, run in enumerate(runs)}
    rows: list[Row] = []
    for row in task.display.track(Runs(runs, task.config.jobs), f"runs {variant.folder}".strip()):
        if row["failed"]:
            task.display.say(f"failed: {row['method']} on {row['target']}, seed {row['seed']}: {row['failed']}")
        rows.append(row)
    rows.sort(key=lambda row: place[row["method"], row["target"], row["seed"]])
    return [_measurement(variant, row, Path(runs[0].out)) for row in rows]


def _measurement(variant: Variant, row: Mapping[str, Any], folder: Path) -> Row:
    estimate = truth = None
    if not row["failed"]:
        run = RunFolder(folder / row["run"])
        mixer: Any = run.read_json("result.json")["mixer"]
        last = (run.epochs() or [{}])[-1]
        estimate, truth = last.get("mixer/accuracy"), mixer["accuracy"] if mixer else None
    kept = {column: row[column] for column in KEPT}
    mixed = {"mixer_estimate": estimate, "mixer_truth": truth}
    return {"value": variant.value, **kept, **mixed, "run": row["run"], "failed": row["failed"]}
