"""FitNet: the student learns features and predictions of one source."""

from __future__ import annotations

import torch
from torch import Tensor

from hatlit.config import DistillationConfig, OptimizerConfig
from hatlit.encoders.base import Classifier
from hatlit.fusion.bank import SourceBank
from hatlit.injection.losses.hint import FeatureHint
from hatlit.methods.base import register_method
from hatlit.methods.distilling import DistillingMethod, Lesson


@register_method("fitnet")
class FitNet(DistillingMethod):
    """Teaches the student what the best source sees and says (Romero et al. 2015, "FitNets", arXiv 1412.6550).

    The loss is cross-entropy on the labels + ``distillation.weight`` · divergence from the best source's predictions +
    ``distillation.hint_weight`` · mean squared error of a linear map from the student's features to the source's. The
    paper fits the hint first and distils afterwards; here both are learned together, which its successors do, too. The
    hint reaches the whole encoder, because feature vectors are all that architectures of any kind have in common.

    Args:
        student: untrained, with K outputs.
        bank: the frozen sources with their outputs on the training rows, the best first; the others are heard only
            about classes that the best does not know.
        config: how much the source's word and features weigh.
        optimizer: how the student learns.
    """

    def __init__(
        self, student: Classifier, bank: SourceBank, config: DistillationConfig, optimizer: OptimizerConfig
    ) -> None:
        super().__init__(student, bank, config, optimizer)
        self.hint = FeatureHint(student.feature_dim, bank.feature_dims[:1]) if config.hint_weight else None

    def weights(self, lesson: Lesson) -> Tensor:
        """One for the best source, zero for the others: (B, N)."""
        weights = torch.zeros_like(lesson.outputs.known_mass)
        weights[:, 0] = 1
        return weights

    def missed(self, lesson: Lesson) -> Tensor | None:
        """How far the mapped features are from the best source's: (B,)."""
        return self.hint(lesson.features, lesson.outputs.features[:1]) if self.hint else None
