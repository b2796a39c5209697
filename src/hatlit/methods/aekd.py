"""AE-KD: the sources count as they agree on where the student should go."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from hatlit.fusion.mixer import attention_weights, conditional
from hatlit.injection.losses.distillation import distillation
from hatlit.methods.base import register_method
from hatlit.methods.distilling import DistillingMethod, Lesson
from hatlit.types import Batch

#: Exchanges of weight between two sources before the search for the shortest combination ends.
MOST_EXCHANGES = 1000

#: The search ends when no exchange of weight pays more than this share of the largest squared gradient.
PRECISION = 1e-9


@register_method("aekd")
class AEKD(DistillingMethod):
    """Weighs the sources batch by batch so that their gradients add up to the shortest vector.

    Du et al. 2020, "Agree to Disagree: Adaptive Ensemble Knowledge Distillation in Gradient Space" (NeurIPS): the
    weights are argmin_a ‖Σ_m a_m g_m‖² with Σ_m a_m = 1 and 0 ≤ a_m ≤ C, where g_m is the gradient of source m's mean
    divergence with respect to the student's logits, (B · K) numbers. The student's loss is Σ_m a_m L_m: each source's
    prediction is softened by itself, so that the gradients weighed are those that the student follows. The paper's
    code averages the gradients over the rows and scales them to length one first; ours does neither. A source that
    abstains on a row counts less there than its weight says.

    Attributes:
        most_weight: C, how much one source may weigh; raised to 1 / N where N sources could not fill up to one.
    """

    most_weight: ClassVar[float] = 0.6

    def weights(self, lesson: Lesson) -> Tensor:
        """How much each source counts on each row: (B, N), rows sum to one, alike but for abstentions."""
        gradients = self.gradients(lesson)
        shares = shortest_combination(gradients @ gradients.T, self.most_weight)
        mass = lesson.outputs.known_mass
        # The logarithm of a weight of zero is −∞, of which the softmax makes zero again.
        return attention_weights(shares.to(mass).log().expand(len(mass), 1, -1), mass)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy on the labelled rows, and the weighted sum of the divergences from each source."""
        lesson = self.lesson(batch)
        told = (self.weights(lesson) * self.divergences(lesson.logits, lesson)).sum(-1)
        return {"student": self.student_loss(lesson, told)}

    def divergences(self, logits: Tensor, lesson: Lesson) -> Tensor:
        """Divergence (B, N) of the student's logits (B, K) from what each source says by itself."""
        told = conditional(lesson.outputs.probabilities).unbind(1)
        return torch.stack([distillation(logits, one, self.config.temperature) for one in told], dim=-1)

    def gradients(self, lesson: Lesson) -> Tensor:
        """Gradient of each source's mean divergence with respect to the student's logits: (N, B · K), float64."""
        logits = lesson.logits.detach().requires_grad_()
        means = self.divergences(logits, lesson).mean(0)
        found = [torch.autograd.grad(one, logits, retain_graph=True)[0] for one in means]
        return torch.stack([one.flatten().double() for one in found])


def shortest_combination(products: Tensor, most_weight: float) -> Tensor:
    """Weights of the shortest convex combination of vectors, none above a bound.

    Minimises aᵀGa over the capped simplex as solvers of support vector machines do (Platt 1998): weight goes from the
    vector whose gain is worst to the one whose gain is best, as much as pays, until nothing pays any more.

    Args:
        products: (N, N) G, the inner products of the vectors.
        most_weight: C, the bound; raised to 1 / N where it lies below.

    Returns:
        (N,) float64, at least zero, sum to one.
    """
    gram = products.detach().double().cpu().numpy()
    count = len(gram)
    most_weight = max(most_weight, 1 / count)
    weights = np.full(count, 1 / count)
    for _ in range(MOST_EXCHANGES):
        slopes = gram @ weights
        giver = int(np.where(weights > 0, slopes, -np.inf).argmax())
        taker = int(np.where(weights < most_weight, slopes, np.inf).argmin())
        gain = slopes[giver] - slopes[taker]
        room = min(weights[giver], most_weight - weights[taker])
        if gain <= PRECISION * gram.diagonal().max() or room <= 0:
            break
        curvature = gram[giver, giver] + gram[taker, taker] - 2 * gram[giver, taker]
        step = min(room, gain / curvature) if curvature > 0 else room
        weights[giver] -= step
        weights[taker] += step
    return torch.from_numpy(weights / weights.sum())
