"""SHOT: the best source learns the target's domain without a single label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hatlit.config import OptimizerConfig
from hatlit.datamodules.target.data import TargetRows
from hatlit.encoders.base import Classifier
from hatlit.methods.base import TransferTask, label_losses, mean_over_rows, register_method
from hatlit.methods.best_source import BestSource, with_target_head
from hatlit.types import UNLABELLED, Batch

#: Factor of the cross-entropy to the pseudo-labels, as the paper has it beyond digits.
PSEUDO_WEIGHT = 0.3


@register_method("shot")
class Shot(BestSource):
    """Moves the best source's encoder to the target's unlabelled rows (SHOT, Liang et al. 2020, arXiv 2002.08546).

    The head stays. The encoder learns by information maximisation, each prediction sure and all classes in use, and by
    cross-entropy to pseudo-labels: at the start of each epoch every row gets the class of the nearest centroid in
    feature space. No label is read; labelled rows only help to place the centroids, as rows.

    Args:
        source: with a head for the target's classes.
        rows: the target's training rows as the source sees them.
        optimizer: how the encoder learns.

    Attributes:
        pseudo_labels: (R,) the class that each training row is taken for; ``UNLABELLED`` before the first epoch.
    """

    needs_labels: ClassVar[bool] = False
    uses_unlabelled: ClassVar[bool] = True

    pseudo_labels: Tensor
    _views: Tensor

    def __init__(self, source: Classifier, rows: TargetRows, optimizer: OptimizerConfig) -> None:
        super().__init__(source, optimizer)
        self.student.head.requires_grad_(False)
        self.register_buffer("_views", rows.target, persistent=False)
        self.register_buffer("pseudo_labels", torch.full_like(rows.label, UNLABELLED), persistent=False)

    @classmethod
    def build(cls, task: TransferTask) -> Self:
        """Takes the best source, its head rearranged to the target's classes."""
        source = with_target_head(task.sources[0], task.target.class_names, task.config.seed)
        return cls(source, task.target.rows(source.input_spec), task.config.optimizer)

    def train(self, mode: bool = True) -> Self:
        """As any module: batch norm takes the target's statistics, which is a part of how SHOT adapts."""
        return super(BestSource, self).train(mode)

    def trained_parts(self) -> dict[str, Sequence[nn.Parameter]]:
        """The encoder."""
        return {"student": list(self.student.encoder.parameters())}

    def on_train_epoch_start(self) -> None:
        """Clusters the training rows anew."""
        self.pseudo_labels.copy_(self._cluster())

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Information maximisation and cross-entropy to the pseudo-labels, on the unlabelled rows."""
        logits = self.student(batch.target)
        unlabelled = batch.label == UNLABELLED
        counts = unlabelled | ~unlabelled.any()  # where every row has a label, rows are rows
        to_pseudo, _ = label_losses(logits, self.pseudo_labels[batch.index])
        loss = uncertainty(logits.softmax(-1), counts) + PSEUDO_WEIGHT * mean_over_rows(to_pseudo, counts)
        return {"student": loss}

    @torch.no_grad()
    def _cluster(self) -> Tensor:
        was_training = self.student.training
        self.student.eval()
        answers = [self.student.both(chunk) for chunk in self._views.split(self.student.input_spec.rows_a_pass)]
        self.student.train(was_training)
        features, logits = (torch.cat(part) for part in zip(*answers, strict=True))
        return nearest_centroid(features, logits.softmax(-1))


def uncertainty(probabilities: Tensor, mask: Tensor) -> Tensor:
    """Mean entropy minus entropy of the mean, of the masked rows of (B, K); least where rows are sure and differ."""
    counted = torch.where(mask.unsqueeze(-1), probabilities, 0.0)
    mean = counted.sum(0) / mask.sum().clamp_min(1)
    return mean_over_rows(entropy(probabilities), mask) - entropy(mean)


def entropy(probabilities: Tensor) -> Tensor:
    """−Σ_k p_k log p_k over the last axis of (..., K)."""
    return -torch.special.xlogy(probabilities, probabilities.clamp_min(1e-12)).sum(-1)


def nearest_centroid(features: Tensor, probabilities: Tensor) -> Tensor:
    """Classes (R,) of the nearest centroids by cosine, for features (R, feature_dim) and predictions (R, K).

    The centroids are means weighted by the predictions, and then once more means of the rows assigned to each.
    """
    directions = F.normalize(features, dim=-1)
    first = _nearest(directions, probabilities)
    return _nearest(directions, F.one_hot(first, probabilities.shape[-1]).to(directions))


def _nearest(directions: Tensor, belongs: Tensor) -> Tensor:
    centroids = F.normalize(belongs.T @ directions, dim=-1)
    empty = belongs.sum(0) == 0
    return (directions @ centroids.T).masked_fill(empty, -torch.inf).argmax(-1)
