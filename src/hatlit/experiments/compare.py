"""Methods side by side: the same targets, seeds and labels for each, and intervals on every number."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence, Sized
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hatlit.config import CompareConfig, ExpansionConfig, TrainConfig
from hatlit.datamodules.base import DomainSet
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import cached_zoo, read_asked, read_domains
from hatlit.experiments.train import check_names, train
from hatlit.files import write_atomically
from hatlit.methods.base import METHODS
from hatlit.registry import load_plugin

#: The method that the others are measured against, pair by pair.
REFERENCE = "hat"

SCORES = ("accuracy", "balanced_accuracy", "macro_f1")

#: Resamplings behind each interval.
RESAMPLINGS = 2000

Row = dict[str, Any]


def compare(settings: Mapping[str, CompareConfig], display: Display) -> dict[str, Any]:
    """Runs every method on every target with every seed, as many at a time as there are jobs.

    Runs that are done already are not repeated. A run that fails is a row with its reason.

    Args:
        settings: the options of each method; they differ only in what its shipped settings change.
        display: speaks to the user.

    Returns:
        What ``summary.json`` holds.

    Raises:
        InputError: something in the options or in the data cannot be, or every run failed.
    """
    config = next(iter(settings.values()))
    data = read_domains(config.modality, config.data, display)
    targets = choose_targets(data, config)
    runs = [
        run_config(settings[method], method, target, seed)
        for target in targets
        for seed in range(config.seeds)
        for method in settings
    ]
    for run in runs:
        check_names(run)
    _train_missing_sources(read_asked(data, config.data, config.sources, display), targets, config, settings, display)
    rows = list(display.track(_Runs(runs, config.jobs), "runs"))
    write_atomically(Path(config.out) / "results.csv", as_csv(rows))
    finished = [row for row in rows if not row["failed"]]
    for row in rows:
        if row["failed"]:
            display.say(f"failed: {row['method']} on {row['target']}, seed {row['seed']}: {row['failed']}")
    if not finished:
        raise InputError(f"Every run failed, the first because: {rows[0]['failed']}")
    summary = {
        "data": data.name,
        "is_demo": data.is_demo,
        "targets": targets,
        "seeds": config.seeds,
        **summarise(finished),
    }
    write_atomically(Path(config.out) / "summary.json", json.dumps(summary, indent=2) + "\n")
    table = summary_table(summary)
    display.table(title_of(summary, config), table)
    display.say(finding(summary))
    if config.markdown:
        write_atomically(Path(config.markdown), f"{title_of(summary, config)}\n\n{as_markdown(table)}\n")
    return summary


def choose_targets(data: DomainSet, config: CompareConfig) -> list[str]:
    """Names of the targets: all, so many evenly spread over the data set, or those named.

    Raises:
        InputError: a name is unknown, or more are asked for than there are.
    """
    wanted = list(config.targets)
    if wanted == ["all"]:
        return data.names
    if len(wanted) == 1 and wanted[0].isdigit() and wanted[0] not in data.names:
        count = int(wanted[0])
        if not 1 <= count <= len(data.names):
            raise InputError(f"--targets {count} asks for that many of the {len(data.names)} domains of '{data.name}'.")
        return [data.names[place] for place in np.linspace(0, len(data.names) - 1, count).round().astype(int)]
    return [data.domain(name).name for name in dict.fromkeys(wanted)]


def run_config(config: CompareConfig, method: str, target: str, seed: int) -> TrainConfig:
    """The options of one run of a comparison."""
    shared = {field.name: getattr(config, field.name) for field in fields(ExpansionConfig)}
    return TrainConfig(
        **{**shared, "out": str(Path(config.out) / "runs")}, method=method, target=target, seed=seed, wandb="off"
    )


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Mean and 95 % interval of every score of every method, and of its distance to the reference, pair by pair.

    Intervals resample whole targets, because runs of one target resemble one another whatever the seed.
    """
    methods = list(dict.fromkeys(row["method"] for row in rows))
    by_pair = {(row["method"], row["target"], row["seed"]): row for row in rows}
    described: dict[str, Any] = {}
    for method in methods:
        own = [row for row in rows if row["method"] == method]
        targets = [row["target"] for row in own]
        described[method] = {"n": len(own), **{s: interval([row[s] for row in own], targets) for s in SCORES}}
        described[method]["bytes"] = float(np.mean([row["bytes"] for row in own]))
        described[method]["seconds"] = float(np.median([row["seconds"] for row in own]))
        paired = [row for row in own if (REFERENCE, row["target"], row["seed"]) in by_pair]
        if paired and method != REFERENCE:
            ahead = [by_pair[REFERENCE, row["target"], row["seed"]]["accuracy"] - row["accuracy"] for row in paired]
            described[method][f"{REFERENCE}_minus_this"] = interval(ahead, [row["target"] for row in paired])
    return {"methods": described}


def interval(values: Sequence[float], targets: Sequence[str]) -> dict[str, float]:
    """Mean of values with a 95 % bootstrap interval that resamples whole targets, always with the same random numbers.

    Args:
        values: one a run.
        targets: the target of each.
    """
    sample = np.asarray(values, dtype=np.float64)
    _, place = np.unique(np.asarray(targets), return_inverse=True)
    sums, counts = np.bincount(place, sample), np.bincount(place)
    drawn = np.random.default_rng(0).integers(0, len(counts), (RESAMPLINGS, len(counts)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [2.5, 97.5])
    return {"mean": float(sample.mean()), "low": float(low), "high": float(high)}


def summary_table(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    """The closing table: a row a method, best first."""
    ranked = sorted(summary["methods"].items(), key=lambda item: -item[1]["accuracy"]["mean"])
    return [
        {
            "method": method,
            "runs": str(one["n"]),
            "accuracy": _percent(one["accuracy"]),
            "balanced accuracy": _percent(one["balanced_accuracy"]),
            "macro F1": _percent(one["macro_f1"]),
            f"{REFERENCE} ahead by": _percent(one[f"{REFERENCE}_minus_this"])
            if f"{REFERENCE}_minus_this" in one
            else "-",
            "kB moved": f"{one['bytes'] / 1000:.0f}",
            "seconds": f"{one['seconds']:.1f}",
        }
        for method, one in ranked
    ]


def finding(summary: Mapping[str, Any]) -> str:
    """One sentence on where the reference stands; undecided is what has zero inside its interval."""
    verdicts: dict[str, list[str]] = {"ahead of": [], "behind": [], "undecided against": []}
    for method, one in summary["methods"].items():
        lead = one.get(f"{REFERENCE}_minus_this")
        if lead is None:
            continue
        verdict = "ahead of" if lead["low"] > 0 else "behind" if lead["high"] < 0 else "undecided against"
        verdicts[verdict].append(f"{method} ({100 * lead['mean']:+.1f} points)")
    parts = [f"{verdict} {', '.join(methods)}" for verdict, methods in verdicts.items() if methods]
    return f"{REFERENCE} is {'; '.join(parts)}." if parts else ""


def title_of(summary: Mapping[str, Any], config: CompareConfig) -> str:
    """One line that says what was run."""
    labels = (
        f"{config.labels.fraction:.0%} of the labels"
        if config.labels.fraction
        else f"{config.labels.per_class or 1} a class"
    )
    kind = "demo data, simulated" if summary["is_demo"] else config.modality
    return f"{summary['data']} ({kind}): {len(summary['targets'])} targets x {summary['seeds']} seeds, labels: {labels}"


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def as_markdown(table: Sequence[Mapping[str, str]]) -> str:
    """Rows of texts as a Markdown table."""
    head = list(table[0])
    lines = [head, ["---"] * len(head), *(list(row.values()) for row in table)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


class _Runs(Sized):
    """Runs in processes of one thread each; hands out a row a run, in order."""

    def __init__(self, runs: Sequence[TrainConfig], jobs: int) -> None:
        self._runs = runs
        self._jobs = min(jobs or os.cpu_count() or 1, len(runs))

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Row]:
        # Spawned, because a forked process inherits locks of threads that do not exist in it.
        context = multiprocessing.get_context("spawn")
        plugins = list(self._runs[0].plugin)
        with ProcessPoolExecutor(self._jobs, context, initializer=_prepare, initargs=(plugins,)) as pool:
            waiting = [(run, pool.submit(_run_one, run)) for run in self._runs]
            for run, future in waiting:
                try:
                    yield future.result()
                except BrokenProcessPool:
                    yield _failed(run, "its process was killed; the same command runs it again")


def _prepare(plugins: Sequence[str]) -> None:
    torch.set_num_threads(1)
    for path in plugins:
        load_plugin(path)


def _run_one(config: TrainConfig) -> Row:
    try:
        result = train(config, Display(silent=True), beside=False)
    except InputError as error:
        return _failed(config, str(error))
    except Exception as error:  # one run's misfortune, whatever it is, must not end the others
        return _failed(config, ": ".join([type(error).__name__, *str(error).splitlines()[:1]]))
    seconds = sum(value for stage, value in result["seconds"].items() if stage.startswith(f"{config.method}:"))
    return {
        **_identity(config),
        **{score: result[score] for score in SCORES},
        "labels": result["labels"],
        "labels_fingerprint": result["labels_fingerprint"][:16],
        "bytes": result["bytes"]["total"] if result["bytes"] else 0,
        "seconds": round(seconds, 2),
        "failed": "",
    }


def _failed(config: TrainConfig, reason: str) -> Row:
    empty = dict.fromkeys([*SCORES, "labels", "labels_fingerprint", "bytes", "seconds"])
    return {**_identity(config), **empty, "failed": reason}


def _identity(config: TrainConfig) -> Row:
    return {"method": config.method, "target": config.target, "seed": config.seed}


def _train_missing_sources(
    data: DomainSet,
    targets: Sequence[str],
    config: CompareConfig,
    methods: Mapping[str, CompareConfig],
    display: Display,
) -> None:
    """Trains all sources before the runs begin, which would otherwise train the same ones side by side."""
    if config.zoo or not any(METHODS.get(method).needs_sources for method in methods):
        return
    progress = partial(display.track, doing="training sources")
    for target in targets[:2]:  # the first zoo lacks the first target's source, which the second one adds
        cached_zoo(data, data.domain(target), config.sources, config.jobs, config.plugin, progress)


def _percent(one: Mapping[str, float]) -> str:
    return f"{100 * one['mean']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"
