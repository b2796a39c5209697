"""AMTML-KD: latent factors of the sources meet the student's features, and say how much each counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hatlit.config import DistillationConfig, OptimizerConfig
from hatlit.encoders.base import Classifier
from hatlit.fusion.bank import SourceBank
from hatlit.fusion.mixer import SMALLEST, attention_weights, fuse, mixer_loss
from hatlit.injection.losses.hint import FeatureHint
from hatlit.methods.base import mean_over_rows, register_method
from hatlit.methods.distilling import DistillingMethod, Lesson
from hatlit.types import UNLABELLED, Batch

#: A difference of two predictions that is shorter than this has no clear direction, and is not stretched to length one.
SHORTEST = 1e-3


@register_method("amtml")
class AMTML(DistillingMethod):
    """Learns how much each source counts on each row, and distils predictions, angles between them, and features.

    Liu, Zhang and Wang 2020, "Adaptive Multi-Teacher Multi-Level Knowledge Distillation" (Neurocomputing 415, arXiv
    2103.04062): source t has a latent factor θ_t, and its weight on a row with student features z is
    softmax_t(vᵀ(θ_t ⊙ z)). The student's loss is the cross-entropy on the labels + ``distillation.weight`` times
    (divergence from the fused predictions + ``angle_loss``) + ``distillation.hint_weight`` times the hint on features.
    Factors and v learn from the divergence and from the cross-entropy of the fused predictions on the labelled rows.

    Left out: the groups of hints at several depths (sources of any kind have only their last features in common, so
    these are the one hint), the maximum over positions before the weights (features are vectors already; they are
    standardised within), the loss on distances that the paper's code adds, and a penalty on θ and v other than weight
    decay. In that code factors and student learn together in a first phase, 50 of 250 epochs, and the weights are fixed
    in a second. Here the factors learn all along: when they stopped learning from the divergence after a fifth of the
    steps, the student lost 0.8 points on UWB, 0.9 on SPAR and 0.5 on mTransSee (one label a class, 10 runs each), and
    2.2 on UWB when they never did.

    Args:
        student: untrained, with K outputs.
        bank: the frozen sources with their outputs on the training rows.
        config: how much the sources' word and features weigh.
        optimizer: how student, factors and hint learn.
    """

    def __init__(
        self, student: Classifier, bank: SourceBank, config: DistillationConfig, optimizer: OptimizerConfig
    ) -> None:
        super().__init__(student, bank, config, optimizer)
        self.factors = nn.Parameter(torch.randn(len(bank), student.feature_dim))
        # Starts small, so that the first fused prediction is close to the plain mean.
        self.direction = nn.Parameter(1e-2 * torch.randn(student.feature_dim))
        self.hint = FeatureHint(student.feature_dim, bank.feature_dims) if config.hint_weight else None

    def trained_parts(self) -> dict[str, Sequence[nn.Parameter]]:
        """The factors with v, and the student with the map from its features to the sources'."""
        return {"weights": [self.factors, self.direction], **super().trained_parts()}

    def weights(self, lesson: Lesson) -> Tensor:
        """softmax_t(vᵀ(θ_t ⊙ z)) on each row: (B, N), rows sum to one."""
        features = F.layer_norm(lesson.features, lesson.features.shape[-1:])
        scores = torch.einsum("bd,nd,d->bn", features, self.factors, self.direction)
        return attention_weights(scores.unsqueeze(1), lesson.outputs.known_mass)

    def taught(self, lesson: Lesson) -> Tensor:
        """The fused predictions (B, K), rows sum to one."""
        # A class that every source rules out would have an infinite gradient in the divergence.
        return fuse(self.weights(lesson), lesson.outputs.probabilities).clamp_min(SMALLEST)

    def missed(self, lesson: Lesson) -> Tensor | None:
        """How far the mapped features are from the sources': (B,)."""
        return self.hint(lesson.features, lesson.outputs.features) if self.hint else None

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """What the fused predictions cost on the labelled rows, and what the student costs."""
        lesson = self.lesson(batch)
        fused = self.taught(lesson)
        arranged = self.config.weight * angle_loss(lesson.logits.softmax(-1), fused.detach())
        missed = mixer_loss(fused, lesson.label.clamp_min(0))
        return {
            "weights": mean_over_rows(missed, lesson.label != UNLABELLED),
            "student": self.student_loss(lesson, self.divergence(lesson, fused), self.missed(lesson)) + arranged,
        }


def angle_loss(student: Tensor, taught: Tensor) -> Tensor:
    """How differently student and teacher arrange the rows of a batch (Park et al. 2019, "Relational KD").

    The mean over all triples (i, j, k) of the Huber loss between the cosines of the angles at row i between rows j and
    k, among them the triples in which rows coincide, which cost nothing.

    Args:
        student: (B, K) predictions of the student.
        taught: (B, K) what it is taught.

    Returns:
        A scalar.
    """
    return F.smooth_l1_loss(_cosines(student), _cosines(taught))


def _cosines(points: Tensor) -> Tensor:
    """Cosines (B, B, B) of the angles at row i between rows j and k of points (B, K)."""
    directions = F.normalize(points.unsqueeze(0) - points.unsqueeze(1), dim=-1, eps=SHORTEST)
    return directions @ directions.transpose(1, 2)
