"""KnFu: only sources whose knowledge is effective for the target are fused."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from hatlit.config import DistillationConfig, OptimizerConfig
from hatlit.encoders.base import Classifier
from hatlit.fusion.bank import SourceBank
from hatlit.fusion.mixer import SMALLEST, attention_weights
from hatlit.methods.base import TransferTask, register_method
from hatlit.methods.distilling import DistillingMethod, Lesson
from hatlit.types import UNLABELLED

#: How fast a source loses weight as its classes are shared out less like the target's.
SHARPNESS = 10.0


@register_method("knfu")
class KnFu(DistillingMethod):
    """Distils the sources whose knowledge fits the target (KnFu, Seyedmohammadi et al. 2024, arXiv 2403.11892).

    The paper lets clients of federated learning learn from their semantic neighbours alone. Our reading for frozen
    sources: π_i is the mean prediction of source i over the target's training rows, π the classes' shares of the
    labelled few, and w_i ∝ exp(−β KL(π ‖ π_i)) with β = 10. A source that is further from the target than the mean
    source is no neighbour and has no say. A source that abstains on a row counts less on it.

    Args:
        student: untrained, with K outputs.
        bank: the frozen sources with their outputs on the training rows.
        config: how much the sources' word weighs.
        optimizer: how the student learns.

    Attributes:
        effectiveness: (N,) logarithm of how much each source counts, up to a constant.
    """

    effectiveness: Tensor

    def __init__(
        self, student: Classifier, bank: SourceBank, config: DistillationConfig, optimizer: OptimizerConfig
    ) -> None:
        super().__init__(student, bank, config, optimizer)
        self.register_buffer("effectiveness", torch.zeros(len(bank)), persistent=False)

    @classmethod
    def build(cls, task: TransferTask) -> Self:
        """Compares each source's mean prediction with the labelled few."""
        method = super().build(task)
        labels = task.target.train_labels
        said = method.bank.predictions(torch.arange(len(labels)))
        shares = torch.bincount(labels[labels != UNLABELLED], minlength=task.num_classes).to(said)
        method.effectiveness.copy_(log_effectiveness(mean_prediction(said), shares / shares.sum()))
        return method

    def weights(self, lesson: Lesson) -> Tensor:
        """How much each source counts on each row: (B, N)."""
        return attention_weights(self.effectiveness.expand(len(lesson.label), 1, -1), lesson.outputs.known_mass)


def mean_prediction(probabilities: Tensor) -> Tensor:
    """Shares of the classes as each source sees them: from (R, N, K) over rows to (N, K), rows sum to one."""
    total = probabilities.sum(0)
    return total / total.sum(-1, keepdim=True).clamp_min(SMALLEST)


def log_effectiveness(shares: Tensor, wanted: Tensor) -> Tensor:
    """−β KL(wanted ‖ shares_i) of sources (N, K) for a target (K,): (N,), −∞ where it is not effective."""
    ratio = wanted.clamp_min(SMALLEST) / shares.clamp_min(SMALLEST)
    divergence = (wanted * ratio.log()).sum(-1)
    # Where all are alike, rounding may put the mean below each of them.
    effective = divergence <= torch.maximum(divergence.mean(), divergence.min())
    return torch.where(effective, -SHARPNESS * divergence, -torch.inf)
