"""FixMatch: what the student is sure of on a row must hold on a strongly changed copy of it."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from hatlit.config import OptimizerConfig
from hatlit.datamodules.base import MODALITIES
from hatlit.encoders.base import Classifier
from hatlit.methods.base import (
    StudentMethod,
    TransferTask,
    label_losses,
    mean_over_rows,
    register_method,
    sum_over_processes,
)
from hatlit.types import UNLABELLED, Batch

#: A prediction at least this probable becomes a pseudo-label.
THRESHOLD = 0.95

#: Factor of the loss on unlabelled rows.
UNLABELLED_WEIGHT = 1.0

#: How often a weakly changed view is changed again to be a strongly changed one.
CHANGES = 2

#: How far a batch moves the memory of what the student says of unlabelled rows.
MOMENTUM = 0.1

#: A class that is said less often than this counts as said this often, so that none is pushed up without end.
SELDOM = 1e-3


@register_method("fixmatch")
class FixMatch(StudentMethod):
    """Trains the student on labels and on its own sure predictions (FixMatch, Sohn et al. 2020, arXiv 2001.07685).

    The batch comes weakly augmented; the strong view has been through the modality's augmentation twice more. No
    source is asked. With distribution alignment (ReMixMatch, Berthelot et al. 2020, arXiv 1911.09785), which the paper
    adds on CIFAR-100 with four labels a class: without it a student of one label a class soon says the same class of
    every row, and believes itself.

    Left out: the exponential average of the weights that the paper evaluates with. The learning rate falls to zero, so
    the last weights are settled without it; with it (decay 0.999, less at first) ten students on UWB were as accurate
    to the last test sample.

    Args:
        student: untrained, with K outputs.
        optimizer: how it learns.
        wanted: (K,) how frequent the classes are, as far as the labels tell; sums to one.

    Attributes:
        seen: (K,) how frequent the student says they are among unlabelled rows, a moving average over batches.
    """

    needs_sources: ClassVar[bool] = False

    seen: Tensor
    wanted: Tensor

    def __init__(self, student: Classifier, optimizer: OptimizerConfig, wanted: Tensor) -> None:
        super().__init__(student, optimizer)
        self.register_buffer("wanted", wanted, persistent=False)
        self.register_buffer("seen", wanted.clone())

    @classmethod
    def build(cls, task: TransferTask) -> Self:
        """Takes a new student, and the classes' shares of the labelled few; even ones where no row has a label."""
        labels = task.target.train_labels
        counts = torch.bincount(labels[labels != UNLABELLED], minlength=task.num_classes).float()
        wanted = counts / counts.sum() if counts.any() else torch.full_like(counts, 1 / len(counts))
        return cls(task.new_student(), task.config.optimizer, wanted)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy on the labelled rows, and to the pseudo-labels of the strong views of the unlabelled ones."""
        weak, strong = self.student(torch.cat([batch.target, self.strengthen(batch.target)])).chunk(2)
        unlabelled = batch.label == UNLABELLED
        believed = self.aligned(weak.detach().softmax(-1), unlabelled)
        consistent = mean_over_rows(pseudo_losses(believed, strong), unlabelled)
        return {"student": mean_over_rows(*label_losses(weak, batch.label)) + UNLABELLED_WEIGHT * consistent}

    def aligned(self, probabilities: Tensor, mask: Tensor) -> Tensor:
        """Predictions (B, K) times ``wanted`` / ``seen``, rows sum to one; the masked (B,) are first added to ``seen``.

        So a class that the student says too often takes more to be sure of.
        """
        count = sum_over_processes(mask.sum())
        if count:
            total = sum_over_processes(torch.where(mask.unsqueeze(-1), probabilities, 0.0).sum(0))
            self.seen.lerp_((total / count).to(self.seen), MOMENTUM)
        scaled = probabilities * (self.wanted / self.seen.clamp_min(SELDOM))
        return scaled / scaled.sum(-1, keepdim=True)

    def strengthen(self, view: Tensor) -> Tensor:
        """Strongly changed copies of views (B, channels, *shape); what happens depends on the global random state."""
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        augment = MODALITIES.get(self.view.modality).augment
        for _ in range(CHANGES):
            view = augment(view, self.view, generator)
        return view


def pseudo_losses(believed: Tensor, strong: Tensor) -> Tensor:
    """1(max p ≥ τ) · CE(strong, argmax p) of probabilities p (B, K) of weak views, and logits (B, K) of strong: (B,).

    Unsure rows count as zero, not as absent: the mean over them grows as the student gets sure.
    """
    probability, label = believed.max(-1)
    return (probability >= THRESHOLD) * F.cross_entropy(strong, label, reduction="none")
