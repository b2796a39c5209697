"""Distillation: the student learns a distribution."""

import torch
import torch.nn.functional as F
from torch import Tensor


def distillation(logits: Tensor, taught: Tensor, temperature: float = 1.0) -> Tensor:
    """T² KL(taught_T ‖ softmax(logits / T)) of each row (Hinton et al. 2015).

    The taught probabilities are softened as their logarithm divided by T would be. The entropy of the taught
    distribution is part of the divergence, so a student that matches it exactly has loss zero.

    Args:
        logits: (B, K) of the student.
        taught: (B, K), rows sum to one.
        temperature: T; softens both sides.

    Returns:
        (B,)
    """
    softened = taught if temperature == 1 else F.softmax(taught.clamp_min(1e-12).log() / temperature, dim=-1)
    student = F.log_softmax(logits / temperature, dim=-1)
    # What F.kl_div computes, which knows no way to do it for many students at a time.
    entropy = softened * softened.clamp_min(torch.finfo(softened.dtype).tiny).log()
    return temperature**2 * (entropy - softened * student).sum(-1)
