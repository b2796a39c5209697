"""The best selected source, fine-tuned on the labelled few: no student, the source's own architecture."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from hatlit.encoders.base import Classifier
from hatlit.fusion.adapt import keep_batch_statistics
from hatlit.methods.base import SelectedSource, StudentMethod, TransferTask, register_method
from hatlit.selection.labels import UNKNOWN, align
from hatlit.types import Batch

#: Fine-tuning moves gently: a share of the learning rate that an untrained student gets.
SHARE_OF_LEARNING_RATE = 0.15

#: The logit of a class that a source does not know, as long as nothing has taught it.
NEVER = -100.0


@register_method()
class BestSource(StudentMethod):
    """Fine-tunes the source that selection ranked first, whole, on the labelled few.

    Args:
        source: the source with a head for the target's classes.
        optimizer: how it learns.
    """

    uses_unlabelled: ClassVar[bool] = False
    leaves: ClassVar[Literal["student", "source", "ensemble"]] = "source"

    @classmethod
    def build(cls, task: TransferTask) -> Self:
        """Takes the best source and gives it a head for the target's classes."""
        best = task.sources[0]
        return cls(with_target_head(best, task.target.class_names, task.config.seed), task.config.optimizer)

    def train(self, mode: bool = True) -> Self:
        """As any module, but that batch norm keeps the statistics of the source's own domain, as in ``adapt``."""
        super().train(mode)
        keep_batch_statistics(self.student)
        return self

    def optimizer_settings(self, part: str) -> dict[str, float]:
        """As the student's, with a gentler learning rate."""
        settings = super().optimizer_settings(part)
        return {**settings, "lr": settings["lr"] * SHARE_OF_LEARNING_RATE}


@register_method()
class BestSourceZeroShot(BestSource):
    """Takes the source that selection ranked first as it is."""

    needs_labels: ClassVar[bool] = False
    tunable: ClassVar[bool] = False

    @classmethod
    def build(cls, task: TransferTask) -> Self:
        """Takes the best source; it never says a class that it does not know."""
        method, best = super().build(task), task.sources[0]
        columns = torch.tensor(align(best.class_names, task.target.class_names))
        with torch.no_grad():
            method.student.head.weight[columns == UNKNOWN] = 0.0
            method.student.head.bias[columns == UNKNOWN] = NEVER
        return method

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """None."""
        return {}

    def trained_parts(self) -> dict[str, Sequence[nn.Parameter]]:
        """Nothing."""
        return {}


def with_target_head(source: SelectedSource, target_classes: Sequence[str], seed: int) -> Classifier:
    """Copies a source, its head rearranged to the target's classes; classes it does not know start from scratch."""
    columns = align(source.class_names, target_classes)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Classifier(copy.deepcopy(source.model.encoder), len(target_classes))
    with torch.no_grad():
        for row, column in enumerate(columns):
            if column != UNKNOWN:
                model.head.weight[row] = source.model.head.weight[column]
                model.head.bias[row] = source.model.head.bias[column]
    return model.requires_grad_(True).train()
