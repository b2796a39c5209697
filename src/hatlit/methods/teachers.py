"""The frozen sources as every method that is taught by them gets them: adapted alike, with outputs computed once."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict

import torch
from torch import Tensor

from hatlit.encoders.base import Classifier
from hatlit.files import cache_folder
from hatlit.fusion.adapt import adapt, freeze
from hatlit.fusion.bank import SourceBank
from hatlit.fusion.cache import cached_outputs, output_key
from hatlit.methods.base import SelectedSource, TransferTask
from hatlit.selection.labels import align, to_source_classes
from hatlit.types import UNLABELLED


def frozen_bank(task: TransferTask, train_heads: bool = False) -> SourceBank:
    """Adapts the selected sources as ``adapt`` says, freezes them, and computes their outputs on the training rows.

    Args:
        task: whose sources and rows.
        train_heads: whether copies of the heads learn later.
    """
    target = task.target
    return SourceBank(
        adapted_sources(task),
        [source.id for source in task.sources],
        [source.class_names for source in task.sources],
        target.class_names,
        target.asked_samples,
        target.asked.recorded,
        target.rows_fingerprint,
        train_heads=train_heads,
    )


def adapted_sources(task: TransferTask) -> list[Classifier]:
    """Fine-tunes each selected source on the labelled few; methods with the same labels share the result on disk."""
    if not task.config.adapt.steps:
        return [freeze(copy.deepcopy(source.model)) for source in task.sources]
    return [_adapted(source, task) for source in task.sources]


def _adapted(source: SelectedSource, task: TransferTask) -> Classifier:
    target, config = task.target, task.config
    made_of = json.dumps([target.labels_fingerprint, source.class_names, asdict(config.adapt), config.seed])
    key = hashlib.sha256(
        f"{output_key(source.model, target.asked.recorded, target.rows_fingerprint)}{made_of}".encode()
    ).hexdigest()

    def compute(places: list[int]) -> list[dict[str, Tensor]]:
        few = torch.nonzero(target.train_labels != UNLABELLED).flatten()
        labels = to_source_classes(target.train_labels[few], align(source.class_names, target.class_names))
        view = target.view(source.model.input_spec, few)
        weights = adapt(source.model, view, labels, config.adapt, config.seed).state_dict()
        return [{name: tensor.contiguous() for name, tensor in weights.items()}]

    (weights,) = cached_outputs([key], compute, cache_folder() / "adapted")
    adapted = copy.deepcopy(source.model)
    adapted.load_state_dict(weights)
    return freeze(adapted)
