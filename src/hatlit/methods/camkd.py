"""CA-MKD: a source counts as much as it knows the label."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hatlit.config import DistillationConfig, OptimizerConfig
from hatlit.encoders.base import Classifier
from hatlit.fusion.bank import SourceBank
from hatlit.fusion.mixer import SMALLEST
from hatlit.methods.base import register_method
from hatlit.methods.distilling import DistillingMethod, Lesson, even_weights
from hatlit.selection.labels import to_target_classes
from hatlit.types import UNLABELLED


@register_method("camkd")
class CAMKD(DistillingMethod):
    """Weighs the sources row by row by their cross-entropy on the label, for predictions and for features.

    Zhang, Chen and Wang 2022, "Confidence-Aware Multi-Teacher Knowledge Distillation" (arXiv 2201.00007):
    a_i = (1 − exp(CE_i) / Σ_j exp(CE_j)) / (N − 1) with CE_i the cross-entropy of source i, or, in the loss on
    features, of source i's head applied to the student's features after a linear map to the source's. On rows without a
    label the sources count alike.

    Conventions: N − 1 makes the weights of a row sum to one, as in the paper, and the loss is a mean over the rows; the
    paper's code divides by the number of sources once more. A single source has weight one. Cross-entropy on
    predictions is that of what the bank says for a source, which puts the others' word for classes that it does not
    know; in the loss on features a source that does not know the class has hardly any weight. The weights are
    constants: the student is taught by them, not for them. As in all methods here, what the sources say is averaged
    before it is softened, and the divergence has the factor T².

    Args:
        student: untrained, with K outputs.
        bank: the frozen sources with their outputs on the training rows.
        config: how much the sources' word and features weigh.
        optimizer: how the student learns.
    """

    def __init__(
        self, student: Classifier, bank: SourceBank, config: DistillationConfig, optimizer: OptimizerConfig
    ) -> None:
        super().__init__(student, bank, config, optimizer)
        self.hint = ConfidentHint(student.feature_dim, bank) if config.hint_weight else None

    def weights(self, lesson: Lesson) -> Tensor:
        """How much each source counts on each row: (B, N), rows sum to one."""
        return confidence_weights(lesson.outputs.probabilities, lesson.label, even_weights(lesson.outputs))

    def missed(self, lesson: Lesson) -> Tensor | None:
        """How far the mapped features are from the sources', weighted: (B,)."""
        return self.hint(lesson) if self.hint else None


class ConfidentHint(nn.Module):
    """Linear maps from the student's features to each source's, which count as much as the source's head likes them.

    Args:
        student_dim: width of the student's features.
        bank: the frozen sources; their heads are kept as constants that belong to no checkpoint.
    """

    def __init__(self, student_dim: int, bank: SourceBank) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Linear(student_dim, width) for width in bank.feature_dims)
        self._columns = bank.columns
        for number, source in enumerate(bank.sources):
            # The bank's features are standardised, the head was trained on plain ones: W (σ z + μ) + b.
            mean, std = bank.get_buffer(f"mean_{number}"), bank.get_buffer(f"std_{number}")
            weight, bias = source.head.weight.detach(), source.head.bias.detach()
            self.register_buffer(f"weight_{number}", weight * std, persistent=False)
            self.register_buffer(f"bias_{number}", weight @ mean + bias, persistent=False)

    def forward(self, lesson: Lesson) -> Tensor:
        """Weighted mean over the sources of the mean squared error of each row: (B,)."""
        projected = [project(lesson.features) for project in self.project]
        missed = [(one - z).square().mean(-1) for one, z in zip(projected, lesson.outputs.features, strict=True)]
        return (self.weights(projected, lesson) * torch.stack(missed, dim=-1)).sum(-1)

    @torch.no_grad()
    def weights(self, projected: Sequence[Tensor], lesson: Lesson) -> Tensor:
        """Weights (B, N) by what the heads make of projected features, one (B, feature_dims[i]) a source."""
        answers = [
            to_target_classes(self._head(number, one).softmax(-1), columns)
            for number, (one, columns) in enumerate(zip(projected, self._columns, strict=True))
        ]
        return confidence_weights(torch.stack(answers, dim=1), lesson.label, even_weights(lesson.outputs))

    def _head(self, number: int, features: Tensor) -> Tensor:
        return F.linear(features, self.get_buffer(f"weight_{number}"), self.get_buffer(f"bias_{number}"))


def confidence_weights(probabilities: Tensor, label: Tensor, otherwise: Tensor) -> Tensor:
    """(1 − softmax_i(CE_i)) / (N − 1) on the labelled rows.

    Args:
        probabilities: (B, N, K), rows sum to at most one.
        label: (B,) class numbers, ``UNLABELLED`` where the class is not known.
        otherwise: (B, N) the weights of rows without a label, and of a single source; rows sum to one.

    Returns:
        (B, N), rows sum to one.
    """
    count = probabilities.shape[1]
    if count == 1:
        return otherwise
    place = label.clamp_min(0)[:, None, None].expand(-1, count, 1)
    cross_entropy = -probabilities.gather(-1, place).squeeze(-1).clamp_min(SMALLEST).log()
    confident = (1 - cross_entropy.softmax(-1)) / (count - 1)
    return torch.where((label != UNLABELLED).unsqueeze(-1), confident, otherwise)
