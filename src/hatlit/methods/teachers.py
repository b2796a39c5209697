"""The frozen sources as every method that is taught by them gets them: adapted alike, with outputs computed once."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace

import torch
from torch import Tensor

from hatlit.config import ExpertsConfig
from hatlit.datamodules.target.data import NO_BLENDS, Blends, TargetData, some_of
from hatlit.encoders.base import Classifier, InputSpec
from hatlit.files import cache_folder
from hatlit.fusion.adapt import ROWS_A_STEP, Unlabelled, adapt, freeze
from hatlit.fusion.bank import SourceBank, run_on_views
from hatlit.fusion.cache import cached_outputs, output_key
from hatlit.fusion.experts import train_expert
from hatlit.fusion.foresight import log_likelihood, voices_from
from hatlit.methods.base import SelectedSource, TransferTask
from hatlit.selection.labels import UNKNOWN, align, to_source_classes, to_target_classes
from hatlit.stopwatch import part
from hatlit.students.budget import threads_for
from hatlit.types import UNLABELLED

#: Experts draw their initial weights from here on.
FIRST_SEED_OF_EXPERTS = 1_000_000

#: So many unlabelled rows at most are enough to adapt a source.
UNLABELLED_ROWS = 4096


def frozen_bank(
    task: TransferTask,
    train_heads: bool = False,
    experts: Sequence[Classifier] = (),
    blends: Blends = NO_BLENDS,
    width: int = 0,
) -> SourceBank:
    """Adapts the selected sources as ``adapt`` says, freezes them, and computes their outputs on the training rows.

    Args:
        task: whose sources and rows.
        train_heads: whether copies of the heads learn later.
        experts: the target's own models, which are asked as well.
        blends: of the training rows, about which all are asked, too.
        width: wider features are kept as so many random projections of them, if it is not 0.
    """
    target = task.target
    known_by = f"{target.rows_fingerprint}{blends if blends.count else ''}"
    adapted = adapted_sources(task)
    with part("sources asked"):
        return SourceBank(
            adapted,
            [*[source.id for source in task.sources], *[f"own-expert-{number}" for number in range(len(experts))]],
            [source.class_names for source in task.sources],
            target.class_names,
            target.with_blends(blends),
            target.asked.recorded,
            known_by,
            train_heads=train_heads,
            experts=experts,
            views=target.view(experts[0].input_spec, blends=blends) if experts else None,
            cache=task.config.cache,
            width=width,
        )


@part("adaptation")
def adapted_sources(task: TransferTask) -> list[Classifier]:
    """Fine-tunes each selected source on the target's rows; methods with the same labels share the result on disk."""
    if not task.config.adapt.steps:
        return [freeze(copy.deepcopy(source.model)) for source in task.sources]
    return [_adapted(source, task) for source in task.sources]


def voices_of_sources(task: TransferTask) -> dict[str, float]:
    """By id, how much the word of each selected source counts, as it foretold the labels; empty where there is none."""
    target = task.target
    few = torch.nonzero(target.train_labels != UNLABELLED).flatten()
    if not len(few):
        return {}
    likelihoods = []
    for source in task.sources:
        columns = align(source.class_names, target.class_names)
        (outputs,) = run_on_views([freeze(copy.deepcopy(source.model))], target.view(source.model.input_spec, few))
        said = to_target_classes(outputs["logits"].softmax(-1), columns)
        likelihoods.append(log_likelihood(said, target.train_labels[few], columns))
    return dict(
        zip([source.id for source in task.sources], voices_from(torch.tensor(likelihoods)).tolist(), strict=True)
    )


def _adapted(source: SelectedSource, task: TransferTask) -> Classifier:
    target, config = task.target, task.config
    made_of = json.dumps([target.labels_fingerprint, source.class_names, asdict(config.adapt), config.seed])
    key = hashlib.sha256(
        f"{output_key(source.model, target.asked.recorded, target.rows_fingerprint)}{made_of}".encode()
    ).hexdigest()

    def compute(places: list[int]) -> list[dict[str, Tensor]]:
        view, columns = source.model.input_spec, align(source.class_names, target.class_names)
        few = torch.nonzero(target.train_labels != UNLABELLED).flatten()
        labels = to_source_classes(target.train_labels[few], columns)
        others = _unlabelled(target, view, columns) if config.adapt.indecision else None
        with threads_for(source.model, ROWS_A_STEP):
            adapted = adapt(source.model, target.view(view, few), labels, config.adapt, config.seed, others)
        return [weights_of(adapted)]

    (weights,) = cached_outputs([key], compute, cache_folder() / "adapted")
    return with_weights(copy.deepcopy(source.model), weights)


def _unlabelled(target: TargetData, view: InputSpec, columns: Sequence[int]) -> Unlabelled | None:
    rows = some_of(torch.nonzero(target.train_labels == UNLABELLED).flatten(), UNLABELLED_ROWS)
    known = torch.tensor([column for column in columns if column != UNKNOWN], dtype=torch.long)
    return Unlabelled(target.view(view, rows), known) if len(rows) and len(known) else None


@part("experts")
def own_experts(task: TransferTask, config: ExpertsConfig) -> list[Classifier]:
    """Trains the target's own experts, each from other initial weights; runs with the same labels share them.

    Without a label there is nothing that they could learn, and there are none.
    """
    if not len(task.target.split.labelled):
        return []
    return [_expert(task, config, number) for number in range(config.count)]


def _expert(task: TransferTask, config: ExpertsConfig, number: int) -> Classifier:
    # Not the student's own seed: an expert that starts as the student does would agree with it too easily.
    seed = FIRST_SEED_OF_EXPERTS + task.config.seed * config.count + number
    untrained = replace(task, config=replace(task.config, seed=seed)).new_student()
    target = task.target
    augment = task.config.trainer.augment
    made_of = json.dumps([target.labels_fingerprint, asdict(config), seed, augment])
    key = output_key(untrained, target.domain.recorded, made_of)

    def compute(places: list[int]) -> list[dict[str, Tensor]]:
        few = torch.nonzero(target.train_labels != UNLABELLED).flatten()
        with torch.random.fork_rng(), threads_for(untrained, ROWS_A_STEP):
            torch.manual_seed(seed)  # of dropout
            view = target.view(untrained.input_spec, few)
            expert = train_expert(copy.deepcopy(untrained), view, target.train_labels[few], config, seed, augment)
        return [weights_of(expert)]

    (weights,) = cached_outputs([key], compute, cache_folder() / "adapted")
    return with_weights(untrained, weights)


def weights_of(model: Classifier) -> dict[str, Tensor]:
    """A model's tensors, as they can be written."""
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items()}


def with_weights(model: Classifier, weights: dict[str, Tensor]) -> Classifier:
    """Gives a model other weights and freezes it."""
    model.load_state_dict(weights)
    return freeze(model)
