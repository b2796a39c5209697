"""Distillation with learned, static weights: each source counts the same on every row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hatlit.config import DistillationConfig, OptimizerConfig
from hatlit.encoders.base import Classifier
from hatlit.fusion.bank import SourceBank
from hatlit.fusion.mixer import attention_weights, mixer_loss
from hatlit.methods.base import mean_over_rows, register_method
from hatlit.methods.distilling import DistillingMethod, Lesson
from hatlit.methods.ensembles import TIMES_LEARNING_RATE
from hatlit.types import UNLABELLED, Batch


@register_method("kd_weighted")
class KDWeighted(DistillingMethod):
    """Distils a mean of the sources whose weights are learned from the labels, one number a source.

    The weights a = softmax(w) minimise the cross-entropy −log Σ_i a_i p_i(x)_y of the labelled rows (a linear opinion
    pool with fitted weights, as in stacking, Wolpert 1992); the student distils the pool (Hinton et al. 2015, arXiv
    1503.02531) and does not move them. A source that abstains on a row counts less there.

    Args:
        student: untrained, with K outputs.
        bank: the frozen sources with their outputs on the training rows.
        config: how much the sources' word weighs.
        optimizer: how student and weights learn.
    """

    def __init__(
        self, student: Classifier, bank: SourceBank, config: DistillationConfig, optimizer: OptimizerConfig
    ) -> None:
        super().__init__(student, bank, config, optimizer)
        self.weight_logits = nn.Parameter(torch.zeros(len(bank)))

    def trained_parts(self) -> dict[str, Sequence[nn.Parameter]]:
        """The weights of the sources and the student."""
        return {"weights": [self.weight_logits], **super().trained_parts()}

    def weights(self, lesson: Lesson) -> Tensor:
        """The learned weights on each row: (B, N), rows sum to one."""
        mass = lesson.outputs.known_mass
        return attention_weights(self.weight_logits.expand(len(mass), 1, -1), mass)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Labels move the weights; labels and what is fused move the student."""
        lesson = self.lesson(batch)
        fused = self.taught(lesson)
        missed = mixer_loss(fused, lesson.label.clamp_min(0))
        return {
            "weights": mean_over_rows(missed, lesson.label != UNLABELLED),
            "student": self.student_loss(lesson, self.divergence(lesson, fused.detach())),
        }

    def optimizer_settings(self, part: str) -> dict[str, float]:
        """The weights learn as boldly as those of the weighted ensemble."""
        settings = super().optimizer_settings(part)
        return {**settings, "lr": settings["lr"] * TIMES_LEARNING_RATE} if part == "weights" else settings
