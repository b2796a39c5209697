"""Distillation weighted by entropy: the surer a source, the more it counts."""

from __future__ import annotations

import torch
from torch import Tensor

from hatlit.fusion.bank import SourceOutputs
from hatlit.fusion.mixer import SMALLEST, attention_weights, conditional
from hatlit.methods.base import register_method
from hatlit.methods.distilling import DistillingMethod, Lesson


@register_method("ebkd")
class EBKD(DistillingMethod):
    """Weighs the sources row by row by the inverse entropy of what they say.

    Kwon et al. 2020, "Adaptive Knowledge Distillation Based on Entropy" (ICASSP): a_i(x) = (1 / H_i) / Σ_j (1 / H_j)
    with H_i the entropy of source i's prediction. Weights sum to one on each row, and the student distils the weighted
    mean. The variant in CA-MKD's comparison, 1 − H_i / Σ_j H_j, is flatter and does not sum to one.
    """

    def weights(self, lesson: Lesson) -> Tensor:
        """Inverse entropies on each row: (B, N), rows sum to one."""
        return entropy_weights(lesson.outputs)


def entropy_weights(outputs: SourceOutputs) -> Tensor:
    """Weights (B, N) in proportion to known mass / entropy, the entropy being that over the target's classes.

    An entropy below ``SMALLEST`` counts as this much: one source that is certain gets nearly all the weight, two share.
    """
    predictions = conditional(outputs.probabilities)
    entropy = -torch.xlogy(predictions, predictions).sum(-1)
    return attention_weights(-entropy.clamp_min(SMALLEST).log().unsqueeze(1), outputs.known_mass)
