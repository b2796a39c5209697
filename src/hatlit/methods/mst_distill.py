"""MST-Distill: a router picks the few sources that teach each sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hatlit.config import DistillationConfig, OptimizerConfig
from hatlit.encoders.base import Classifier
from hatlit.fusion.bank import SourceBank
from hatlit.fusion.mixer import SMALLEST, attention_weights, fuse, mixer_loss
from hatlit.methods.base import mean_over_rows, register_method
from hatlit.methods.distilling import DistillingMethod, Lesson
from hatlit.types import UNLABELLED, Batch

#: Sources that teach a sample.
CHOSEN = 2

#: Factor of the loss that keeps the router from sending every sample to the same sources.
BALANCE = 0.1


@register_method("mst_distill")
class MSTDistill(DistillingMethod):
    """Distils the sources that a router picks for each sample (MST-Distill, Li et al. 2025, arXiv 2507.07015).

    The router is one linear layer on the student's features. Of its softmax the largest ``CHOSEN`` are kept and add up
    to one again, so that cross-entropy of the fused prediction on labelled rows moves it; the original picks with a
    hard choice that no gradient passes. The original also trains masks that specialise its teachers; ours are
    specialised by the domains that they come from, and stay as they are.

    Args:
        student: untrained, with K outputs.
        bank: the frozen sources with their outputs on the training rows.
        config: how much the sources' word weighs.
        optimizer: how student and router learn.
    """

    def __init__(
        self, student: Classifier, bank: SourceBank, config: DistillationConfig, optimizer: OptimizerConfig
    ) -> None:
        super().__init__(student, bank, config, optimizer)
        self.router = nn.Linear(student.feature_dim, len(bank))

    def trained_parts(self) -> dict[str, Sequence[nn.Parameter]]:
        """Router and student."""
        return {"router": list(self.router.parameters()), "student": list(self.student.parameters())}

    def gate(self, lesson: Lesson) -> Tensor:
        """The router's softmax over all sources: (B, N). It looks at the student, and does not move it."""
        features = F.layer_norm(lesson.features.detach(), lesson.features.shape[-1:])
        return attention_weights(self.router(features).unsqueeze(1), lesson.outputs.known_mass)

    def weights(self, lesson: Lesson) -> Tensor:
        """How much each of the chosen sources counts: (B, N), zero for the others."""
        return keep_largest(self.gate(lesson), CHOSEN)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The router gets the labelled rows right and every source some rows; the student learns what is fused."""
        lesson = self.lesson(batch)
        gate = self.gate(lesson)
        fused = fuse(keep_largest(gate, CHOSEN), lesson.outputs.probabilities)
        return {
            "router": task_loss(fused, lesson.label) + BALANCE * imbalance(gate),
            "student": self.student_loss(lesson, self.divergence(lesson, fused.detach())),
        }


def keep_largest(gate: Tensor, count: int) -> Tensor:
    """Keeps the ``count`` largest weights of each row (B, N), and divides them by their sum."""
    chosen = gate.topk(min(count, gate.shape[-1]), dim=-1).indices
    kept = gate * torch.zeros_like(gate).scatter(-1, chosen, 1.0)
    return kept / kept.sum(-1, keepdim=True)


def task_loss(fused: Tensor, label: Tensor) -> Tensor:
    """Mean cross-entropy of fused predictions (B, K) on the rows that ``label`` (B,) knows."""
    return mean_over_rows(mixer_loss(fused, label.clamp_min(0)), label != UNLABELLED)


def imbalance(gate: Tensor) -> Tensor:
    """KL(uniform ‖ mean gate) over the rows of (B, N): zero where all sources get the same share of the batch."""
    share = gate.mean(0).clamp_min(SMALLEST)
    return -(share * len(share)).log().mean()
