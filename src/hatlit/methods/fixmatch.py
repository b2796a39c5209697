"""FixMatch: what the student is sure of on a row must hold on a strongly changed copy of it."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from hatlit.datamodules.base import MODALITIES
from hatlit.methods.base import StudentMethod, label_losses, mean_over_rows, register_method
from hatlit.types import UNLABELLED, Batch

#: A prediction at least this probable becomes a pseudo-label.
THRESHOLD = 0.95

#: Factor of the loss on unlabelled rows.
UNLABELLED_WEIGHT = 1.0

#: How often a weakly changed view is changed again to be a strongly changed one.
CHANGES = 2


@register_method("fixmatch")
class FixMatch(StudentMethod):
    """Trains the student on labels and on its own sure predictions (FixMatch, Sohn et al. 2020, arXiv 2001.07685).

    The batch comes weakly augmented; the strong view has been through the modality's augmentation twice more. No
    source is asked.
    """

    needs_sources: ClassVar[bool] = False

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy on the labelled rows, and to the pseudo-labels of the strong views of the unlabelled ones."""
        weak, strong = self.student(torch.cat([batch.target, self.strengthen(batch.target)])).chunk(2)
        consistent = mean_over_rows(pseudo_losses(weak.detach(), strong), batch.label == UNLABELLED)
        return {"student": mean_over_rows(*label_losses(weak, batch.label)) + UNLABELLED_WEIGHT * consistent}

    def strengthen(self, view: Tensor) -> Tensor:
        """Strongly changed copies of views (B, channels, *shape); what happens depends on the global random state."""
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        augment = MODALITIES.get(self.view.modality).augment
        for _ in range(CHANGES):
            view = augment(view, self.view, generator)
        return view


def pseudo_losses(weak: Tensor, strong: Tensor) -> Tensor:
    """1(max p ≥ τ) · CE(strong, argmax p) with p = softmax(weak), of logits (B, K) each: (B,).

    Unsure rows count as zero, not as absent: the mean over them grows as the student gets sure.
    """
    probability, label = weak.softmax(-1).max(-1)
    return (probability >= THRESHOLD) * F.cross_entropy(strong, label, reduction="none")
