"""One run from domains to student: what ``hatlit train`` does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from hatlit.config import TrainConfig
from hatlit.datamodules.base import DomainSet
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.datamodules.target.data import TargetData
from hatlit.errors import InputError
from hatlit.experiments.display import Display, human_bytes
from hatlit.experiments.environment import environment
from hatlit.experiments.epoch_table import EpochTable
from hatlit.experiments.fitting import EpochCounter, LastCheckpoint, fit, make_trainer, planned_epochs
from hatlit.experiments.fleet import open_zoo, read_asked, read_domains
from hatlit.experiments.folder import RunFolder
from hatlit.experiments.measure import quality
from hatlit.experiments.memory import peak_bytes, reset_peak
from hatlit.experiments.prepare import check, choose_sources, choose_target, selected, source_domains
from hatlit.experiments.report.page import write_report
from hatlit.experiments.result import Outcome, result_of
from hatlit.experiments.student import settle_student, with_best_student
from hatlit.experiments.tracking import WandbRun, start_wandb
from hatlit.experiments.tune import tuned
from hatlit.experiments.zoo import provenance_of, save_student
from hatlit.export.model_card import write_model_card
from hatlit.files import file_hash, refuse_unwritable
from hatlit.methods.base import METHODS, StudentMethod, TransferMethod, TransferTask
from hatlit.selection.protocol import Selection
from hatlit.stopwatch import Stopwatch
from hatlit.students.skeletons import AUTO

#: The method that stands beside every other one, so that no number stands alone.
BESIDE = "labels_only"


def train(
    config: TrainConfig, display: Display, one_of_many: bool = False, must_be_measured: bool = False
) -> dict[str, Any]:
    """Expands a zoo to one target and reports what it cost and how it compares.

    A run that is already done is shown again; an interrupted one goes on where it stopped. Two processes that are asked
    for the same run do not do it twice: the later one waits.

    Args:
        config: the options.
        display: speaks to the user.
        one_of_many: whether a comparison sets this run beside others; else a student that learns from the labels alone
            is trained beside it, and the run gets a report of its own.
        must_be_measured: whether a target without a test part is refused; else it gets a student and no scores.

    Returns:
        What ``result.json`` holds; empty in every process but the first of several.

    Raises:
        InputError: something in the options or in the data cannot be.
    """
    check(config)
    out = Path(config.out)
    if is_first_process() and not (os.access(out, os.X_OK) and out.is_dir()):  # else the run may be there already
        refuse_unwritable(out)
    reset_peak()
    clock = Stopwatch()
    with clock("data"):
        data = read_domains(config.modality, config.data, display)
        asked = read_asked(data, config.data, config.sources, display)
        target = choose_target(data, asked, config, display)
    if must_be_measured and not len(target.split.test):
        raise InputError(
            f"Target '{target.domain.name}' has no labelled sample to be measured by; leave it out of --targets."
        )
    return train_for(target, data, asked, config, display, clock, one_of_many)


def train_for(
    target: TargetData,
    data: DomainSet,
    asked: DomainSet,
    config: TrainConfig,
    display: Display,
    clock: Stopwatch,
    one_of_many: bool = False,
) -> dict[str, Any]:
    """Does what ``train`` does, for a target that is there already.

    Args:
        target: one without test rows gets a student, but no scores and nothing beside it.
        data: the domains as the student sees them; those besides the target matter only where there is no zoo.
        asked: the domains as sources see them; the same object where that is no different.
        config: the options, already checked.
        display: speaks to the user.
        clock: of the run.
        one_of_many: as in ``train``.
    """
    with clock("data"):
        config, student_spec = settle_student(target, config)
    zoo = open_zoo(config.zoo, asked.modality, config.data) if config.zoo else None
    sources_from = zoo.fingerprint if zoo else asked.fingerprint
    made_of = {"labels": target.labels_fingerprint, "sources": sources_from, **code_of(config.plugin)}
    folder = RunFolder.of(config, target.domain.name, made_of)
    if folder.is_done:
        return _show_again(folder, display)
    if is_first_process():
        refuse_unwritable(folder.path)
    folder.tell_of_others(display.say)
    selection = choose_sources(config, asked, target, zoo, display, clock)
    recordings = source_domains(config, data, selection)
    with folder.alone(display.say) if is_first_process() else nullcontext():
        if folder.is_done:  # by another process, for which this one has waited
            return _show_again(folder, display)
        if is_first_process():
            _begin(folder, config, selection)
        task = TransferTask(target, student_spec, selected(selection), config, recordings)
        task = _with_choices(task, folder, display, clock)
        selection = selection if task.sources else None  # they may have been asked for the student's sake alone
        alone = one_of_many or config.method == BESIDE or not len(target.split.test) or not len(target.split.labelled)
        plain = None if alone else _run_beside(task, folder, display, clock)
        wandb = _start_wandb(config, folder, display)
        outcome = _run(task, folder, wandb, display, clock)
        if not is_first_process():
            return {}
        result = result_of(data, task, outcome, plain, selection, clock)
        result |= {"run": folder.path.name, "peak_memory_bytes": peak_bytes()}
        if wandb:
            wandb.log_table("selection", selection.as_dict()["sources"] if selection else [])
            wandb.close(result)
        seen = {one.modality: one for one in (asked, data)}[outcome.method.view.modality]
        _keep(folder, task, outcome, result, seen, selection)
        if not one_of_many:
            write_report(folder, result, selection, outcome.weights)
        folder.finish()
    display.say(f"Everything is in {folder.path}")
    return _show(result, display)


def _begin(folder: RunFolder, config: TrainConfig, selection: Selection | None) -> None:
    folder.start(config)
    folder.write_json("environment.json", environment())
    folder.write_json("selection.json", selection.as_dict() if selection else {})


def _with_choices(task: TransferTask, folder: RunFolder, display: Display, clock: Stopwatch) -> TransferTask:
    """The task with the student and the options that the run is to choose by itself."""
    if task.config.student == AUTO:
        with clock("ranking of students"):
            task = with_best_student(task, folder, display)
        if not METHODS.get(task.config.method).needs_sources:
            task = replace(task, sources=())
    if task.config.tune:
        with clock("tuning"):
            task = replace(task, config=tuned(task, folder, display))
    return task


def _keep(
    folder: RunFolder,
    task: TransferTask,
    outcome: Outcome,
    result: dict[str, Any],
    seen: DomainSet,
    selection: Selection | None,
) -> None:
    """Writes what a finished run leaves behind; ``seen`` are the domains in the modality of what it predicts from."""
    if isinstance(outcome.method, StudentMethod):
        teachers = selection.cards if selection else []
        provenance = provenance_of(teachers[:1] if outcome.method.leaves == "source" else teachers)
        encoder = result["student"]["encoder"]
        shutil.rmtree(folder.path / "student", ignore_errors=True)  # of a process that got no further than this
        save_student(folder.path / "student", seen, task, outcome.method, encoder, provenance)
        write_model_card(folder.path / "student", result, selection.as_dict() if selection else {})
    folder.write_json("result.json", result)
    if outcome.label is not None:
        folder.write("predictions.safetensors", save(outcome.tensors()))


def _show_again(folder: RunFolder, display: Display) -> dict[str, Any]:
    display.say(f"This run is done already; its folder is {folder.path}")
    return _show(folder.read_json("result.json"), display)


def code_of(plugins: Sequence[str]) -> dict[str, str]:
    """By name, what tells apart the code that a run depends on."""
    return {"hatlit": version("hatlit"), **{f"plugin {path}": file_hash(Path(path)) for path in plugins}}


def is_first_process() -> bool:
    """Whether this is the process that writes files and speaks; launchers number the others from one."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0 and int(os.environ.get("RANK", "0")) == 0


def _run_beside(task: TransferTask, folder: RunFolder, display: Display, clock: Stopwatch) -> Outcome:
    plain = replace(task, config=replace(task.config, method=BESIDE), sources=())
    return _run(plain, RunFolder(folder.path / BESIDE), None, display, clock)


def _start_wandb(config: TrainConfig, folder: RunFolder, display: Display) -> WandbRun | None:
    if not is_first_process():
        return None
    return start_wandb(config.wandb, folder.path, folder.path.name, asdict(config), display.say, config.wandb_group)


def _run(task: TransferTask, folder: RunFolder, wandb: WandbRun | None, display: Display, clock: Stopwatch) -> Outcome:
    """Builds a method, trains it (from its last checkpoint, if there is one), and only then looks at the test part."""
    config = task.config
    with clock(f"{config.method}: preparation"):
        method = METHODS.get(config.method).build(task)
    if any(method.trained_parts().values()):
        _fit(method, task, folder, wandb, display, clock)
    with clock(f"{config.method}: test"):
        return _measure(method, task)


def _fit(
    method: TransferMethod,
    task: TransferTask,
    folder: RunFolder,
    wandb: WandbRun | None,
    display: Display,
    clock: Stopwatch,
) -> None:
    config = task.config
    batches = TargetDataModule(method.rows(task), config.trainer.batch_size, config.seed, config.trainer.augment)
    checkpoint = folder.last_checkpoint
    if checkpoint:
        display.say(f"{config.method}: going on from {checkpoint}")
    planned = planned_epochs(batches, config.trainer)
    settings = replace(config.trainer, max_epochs=planned)
    epochs = display.progress(f"{config.method} epochs", planned)
    with clock(f"{config.method}: training"), epochs as advance:
        keeper = LastCheckpoint(
            folder.path / "checkpoints" / "last.ckpt", config.trainer.checkpoint_seconds, display.say
        )
        loggers = [EpochTable(folder.path / "metrics.csv", display.say), *([wandb] if wandb else [])]
        trainer = make_trainer(settings, loggers, [EpochCounter(advance), keeper])
        fit(method, batches, trainer, config.seed, checkpoint)


def _measure(method: TransferMethod, task: TransferTask) -> Outcome:
    if not len(task.target.split.test):
        return Outcome(method)
    rows = task.target.test_rows(method.view)
    predicted = method.predict(rows)
    fused, weights = method.explain(rows)
    _refuse_not_finite(task.config.method, predicted, fused, weights)
    return Outcome(method, quality(predicted, rows.label), rows.label, predicted, fused, weights)


def _refuse_not_finite(method: str, *told: Tensor | None) -> None:
    """A method that predicts NaN still names a class, and would count as one that is right now and then."""
    if not all(one is None or bool(one.isfinite().all()) for one in told):
        raise InputError(
            f"Training diverged: {method} predicts numbers that are not finite; lower --optimizer.learning_rate, or "
            f"that of the sources, --adapt.learning_rate."
        )


def _show(result: dict[str, Any], display: Display) -> dict[str, Any]:
    title = f"{result['data']} ({'demo data, simulated' if result['is_demo'] else result['modality']})"
    common = {"target": result["target"], "labels": str(result["labels"])}
    rows = []
    if result["labels_only"]:
        rows.append({"method": BESIDE, **common, **_shares(result["labels_only"]), "bytes": "-", "seconds": "-"})
    moved = result["bytes"]
    rows.append(
        {
            "method": result["method"],
            **common,
            **_shares(result),
            "bytes": human_bytes(moved["total"]) if moved else "-",
            "seconds": f"{result['seconds']['total']:.1f}",
        }
    )
    display.table(title, rows)
    return result


def _shares(scores: dict[str, Any]) -> dict[str, str]:
    shown = {"accuracy": "accuracy", "balanced accuracy": "balanced_accuracy", "macro F1": "macro_f1"}
    return {label: "-" if scores[name] is None else f"{scores[name]:.3f}" for label, name in shown.items()}
