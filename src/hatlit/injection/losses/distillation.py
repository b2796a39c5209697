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
    if temperature == 1:
        return _divergence(taught, F.log_softmax(logits, dim=-1))
    softened = F.softmax(taught.clamp_min(1e-12).log() / temperature, dim=-1)
    return temperature**2 * _divergence(softened, F.log_softmax(logits / temperature, dim=-1))


def _divergence(taught: Tensor, student: Tensor) -> Tensor:
    """KL of each row between probabilities (B, K) and the logarithms (B, K) of the student's: (B,).

    What F.kl_div computes, which knows no way to do it for many students at a time.
    """
    return (taught * (taught.clamp_min(torch.finfo(taught.dtype).tiny).log() - student)).sum(-1)
