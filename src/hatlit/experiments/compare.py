"""Methods side by side: the same targets, seeds and labels for each, and intervals on every number."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file

from hatlit.config import CompareConfig, ExpansionConfig, TrainConfig
from hatlit.datamodules.base import DomainSet
from hatlit.errors import InputError
from hatlit.experiments.comparison_folder import ComparisonFolder, shared_by
from hatlit.experiments.display import Display, counted
from hatlit.experiments.environment import versions
from hatlit.experiments.executors import Executor, open_executor
from hatlit.experiments.fleet import cached_zoo, open_zoo, read_asked, read_domains, refuse_too_many
from hatlit.experiments.folder import RunFolder
from hatlit.experiments.pool import Row
from hatlit.experiments.prepare import check_names
from hatlit.experiments.report.comparison import ComparisonReport, RunExample, write_comparison
from hatlit.experiments.report.document import Table
from hatlit.experiments.summary import finding, summarise, summary_table
from hatlit.experiments.tracking import start_wandb
from hatlit.experiments.train import code_of
from hatlit.experiments.tune import left_alone
from hatlit.files import as_json, file_hash, refuse_unwritable, write_atomically
from hatlit.methods.base import METHODS
from hatlit.options import parse


def compare(settings: Mapping[str, CompareConfig], display: Display, words: Sequence[str] = ()) -> dict[str, Any]:
    """Runs every method on every target with every seed, as many at a time as there are jobs.

    Runs that are done already are not repeated. A run that fails is a row with its reason, and is tried again by the
    next call.

    Args:
        settings: the options of each method; they differ only in what its shipped settings change.
        display: speaks to the user.
        words: the command line that the options came from.

    Returns:
        What ``summary.json`` holds.

    Raises:
        InputError: something in the options or in the data cannot be, or every run failed.
    """
    config = next(iter(settings.values()))
    refuse_unwritable(Path(config.out))
    data = read_domains(config.modality, config.data, display)
    asked = read_asked(data, config.data, config.sources, display)
    targets = choose_targets(data, config)
    runs = [
        run_config(settings[method], method, target, seed)
        for target in targets
        for seed in range(config.seeds)
        for method in settings
    ]
    for run in runs:
        check_names(run)
    folder = _folder_of(config, list(settings), data, asked, words)
    if config.tune and (untouched := left_alone(list(settings))):
        display.say(untouched)
    with open_executor(config) as execute:
        folder.keep([])
        _train_missing_sources(asked, targets, config, settings, display)
        rows = _run(runs, execute, folder, display)
    if all(row["failed"] for row in rows):
        raise InputError(f"Every run failed, the first because: {rows[0]['failed']}")
    with folder.alone():
        kept = folder.keep(rows)
        rows = folder.finished(kept)
        summary = _summary(rows, config, data, targets, folder.words)
        write_atomically(folder.path / "summary.json", as_json(summary))
        example = _example(folder.path, summary["reference"], rows)
        write_comparison(folder.path, ComparisonReport(summary, rows, example))
    if unfinished := sorted({row["method"] for row in kept} - set(summary["methods"])):
        display.say(f"Not all runs of {', '.join(unfinished)} are there yet, so the summary leaves that out.")
    _log(summary, config, display)
    _tell(summary, config, display)
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
        **{**shared, "out": str(Path(config.out) / "runs")},
        method=method,
        target=target,
        seed=seed,
        wandb=config.wandb,
        wandb_group=_group_of(config),
    )


def _group_of(config: CompareConfig) -> str:
    """Name of the group on Weights & Biases: the folder's, which ``.`` does not say."""
    return Path(config.out).resolve().name


def labels_of(config: ExpansionConfig) -> str:
    """How many labels the target has, in words."""
    share, each = config.labels.fraction, config.labels.per_class
    drawn = f"{share:.0%} of the labels" if share else f"{1 if each is None else each} a class"
    named = f"those of {Path(config.labels.also).name}" if config.labels.also else ""
    return " and ".join(part for part in ("" if each == 0 else drawn, named) if part) or "none"


def title_of(summary: Mapping[str, Any]) -> str:
    """One line that says what was run."""
    kind = "demo data, simulated" if summary["is_demo"] else summary["modality"]
    runs = f"{counted(len(summary['targets']), 'target')} x {counted(summary['seeds'], 'seed')}"
    return f"{summary['data']} ({kind}): {runs}, labels: {summary['labels']}"


def _folder_of(
    config: CompareConfig, methods: Sequence[str], data: DomainSet, asked: DomainSet, words: Sequence[str]
) -> ComparisonFolder:
    """The folder, which knows this comparison by all that does not depend on the method."""
    shared = parse(CompareConfig, "compare", "", words) if words else config
    targets = choose_targets(data, config)
    also = [Path(config.labels.also)] if config.labels.also else []
    inputs = [
        *targets,
        data.fingerprint,
        asked.fingerprint,
        open_zoo(config.zoo, asked.modality, config.data).fingerprint if config.zoo else "",
        *(file_hash(path) for path in also if path.is_file()),
        *code_of(config.plugin).values(),
    ]
    pairs = [(target, seed) for target in targets for seed in range(config.seeds)]
    return ComparisonFolder(Path(config.out), words, methods, pairs, shared_by(shared, inputs))


def _summary(
    rows: Sequence[Row], config: CompareConfig, data: DomainSet, targets: Sequence[str], words: Sequence[str]
) -> dict[str, Any]:
    """What ``summary.json`` holds."""
    summary = {
        "data": data.name,
        "is_demo": data.is_demo,
        "modality": config.modality,
        "targets": list(targets),
        "seeds": config.seeds,
        "labels": labels_of(config),
        "command": shlex.join(["hatlit", "compare", *words]),
        "date": str(datetime.now(UTC).date()),
        "versions": versions(),
        "data_fingerprint": data.fingerprint[:16],
        "labels_fingerprint": _same_labels(rows),
        **summarise(rows),
    }
    return {**summary, "finding": finding(summary)}


def _run(runs: Sequence[TrainConfig], execute: Executor, folder: ComparisonFolder, display: Display) -> list[Row]:
    """Runs all, and keeps ``results.csv`` at what is known so far; rows are in the order of the runs."""
    place = {(run.method, run.target, run.seed): number for number, run in enumerate(runs)}
    rows: list[Row] = []
    for row in display.track(execute(runs), "runs"):
        if row["failed"]:
            display.say(f"failed: {row['method']} on {row['target']}, seed {row['seed']}: {row['failed']}")
        rows.append(row)
        rows.sort(key=lambda one: place[one["method"], one["target"], one["seed"]])
        folder.keep(rows)
    return rows


def _same_labels(rows: Sequence[Row]) -> str:
    """A hash of the labels of all runs, after making sure that the methods of each pair had the same ones."""
    known: dict[tuple[str, int], str] = {}
    for row in rows:
        if (
            not row["failed"]
            and known.setdefault((row["target"], row["seed"]), row["labels_fingerprint"]) != (row["labels_fingerprint"])
        ):
            raise AssertionError(f"The methods had different labels on {row['target']}, seed {row['seed']}.")
    return hashlib.sha256(json.dumps(sorted(map(str, known.items()))).encode()).hexdigest()[:16]


def _example(out: Path, reference: str, rows: Sequence[Row]) -> RunExample | None:
    """The first finished run of the reference, for the report to show from within."""
    finished = [row for row in rows if row["method"] == reference and not row["failed"]]
    if not finished:
        return None
    folder = RunFolder(out / "runs" / finished[0]["run"])
    tensors = load_file(folder.path / "predictions.safetensors")
    return RunExample(
        result=folder.read_json("result.json"),
        selection=folder.read_json("selection.json"),
        epochs=folder.epochs(),
        weights=tensors["weights"].numpy() if "weights" in tensors else None,
        label=tensors["label"].numpy(),
        probabilities=tensors["predicted"].numpy(),
    )


def _log(summary: Mapping[str, Any], config: CompareConfig, display: Display) -> None:
    """One more run in the group on Weights & Biases, with the table and the report."""
    out, group = Path(config.out), _group_of(config)
    # The hash keeps apart comparisons whose folders have the same name; the same one again goes on with its run.
    known_by = json.dumps([summary["command"], summary["data_fingerprint"]])
    name = f"comparison-{group}-{hashlib.sha256(known_by.encode()).hexdigest()[:8]}"
    wandb = start_wandb(config.wandb, out, name, asdict(config), display.say, group)
    if wandb:
        wandb.log_table("summary", list(summary_table(summary)))
        files = [out / name for name in ("report.html", "results.csv", "summary.json")]
        wandb.log_files("report", [*files, *sorted((out / "figures").glob("*.png"))])
        wandb.close({name: one["accuracy"]["mean"] for name, one in summary["methods"].items()})


def _tell(summary: Mapping[str, Any], config: CompareConfig, display: Display) -> None:
    table = summary_table(summary)
    display.table(title_of(summary), table)
    display.say(summary["finding"])
    display.say(f"The report is {Path(config.out) / 'report.html'}")
    if config.markdown:
        _write(Path(config.markdown), f"{title_of(summary)}\n\n{Table(table).markdown()}\n")


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text)
    except OSError as error:
        raise InputError(f"'{path}' cannot be written ({error.strerror}); choose another place.") from error


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
    refuse_too_many("--num_sources", config.num_sources or 1, data, config.sources)
    progress = partial(display.track, doing="training sources")
    for target in targets[:2]:  # the first zoo lacks the first target's source, which the second one adds
        cached_zoo(data, data.domain(target), config.sources, config.jobs, config.plugin, progress)
