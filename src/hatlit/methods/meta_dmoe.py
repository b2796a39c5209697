"""Meta-DMoE: a transformer merges what the sources see, and the student distils what was merged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hatlit.config import DistillationConfig, OptimizerConfig
from hatlit.encoders.base import Classifier
from hatlit.fusion.bank import SourceBank
from hatlit.injection.losses.hint import FeatureHint
from hatlit.methods.base import label_losses, mean_over_rows, register_method
from hatlit.methods.distilling import DistillingMethod
from hatlit.types import Batch

#: Width of the tokens, and number of attention heads.
WIDTH, HEADS = 64, 4


class Aggregator(nn.Module):
    """A transformer encoder layer over one token a source, and a head on the mean of what comes out.

    Args:
        source_dims: widths of the sources' features.
        num_classes: K.
    """

    def __init__(self, source_dims: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Linear(width, WIDTH) for width in source_dims)
        self.mix = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, dropout=0.0, batch_first=True)
        self.head = nn.Linear(WIDTH, num_classes)

    def forward(self, source_features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Merges one (B, source_dims[i]) a source.

        Returns:
            The aggregated feature (B, WIDTH) and its logits (B, K).
        """
        tokens = [project(z) for project, z in zip(self.project, source_features, strict=True)]
        aggregate = self.mix(torch.stack(tokens, dim=1)).mean(1)
        return aggregate, self.head(aggregate)


@register_method("meta_dmoe")
class MetaDMoE(DistillingMethod):
    """Distils a transformer's merger of the sources' features (Meta-DMoE, Zhong et al. 2022, arXiv 2210.03885).

    The aggregator learns by cross-entropy on the labelled rows. On every row the student learns the aggregator's
    prediction, and its own features, mapped linearly, come close to the aggregated one. The original trains the
    aggregator through the student's own gradient step, over many source domains; with one target domain and sources
    that never change, nothing is left to train it on but the labels.

    Args:
        student: untrained, with K outputs.
        bank: the frozen sources with their outputs on the training rows.
        config: how much the prediction and the feature weigh.
        optimizer: how student and aggregator learn.
    """

    def __init__(
        self, student: Classifier, bank: SourceBank, config: DistillationConfig, optimizer: OptimizerConfig
    ) -> None:
        super().__init__(student, bank, config, optimizer)
        self.aggregator = Aggregator(bank.feature_dims, student.head.out_features)
        self.hint = FeatureHint(student.feature_dim, [WIDTH]) if config.hint_weight else None

    def trained_parts(self) -> dict[str, Sequence[nn.Parameter]]:
        """The aggregator, and the student with its linear map."""
        return {"aggregator": list(self.aggregator.parameters()), **super().trained_parts()}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of either; the student also learns what the aggregator makes of each row."""
        lesson = self.lesson(batch)
        aggregate, logits = self.aggregator(lesson.outputs.features)
        told = self.divergence(lesson, logits.detach().softmax(-1))
        missed = self.hint(lesson.features, [aggregate.detach()]) if self.hint else None
        student = self.student_loss(lesson, told, missed)
        return {"aggregator": mean_over_rows(*label_losses(logits, lesson.label)), "student": student}
