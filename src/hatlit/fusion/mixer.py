"""The cross-attention mixer: how much each source counts, sample by sample."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Probabilities below this count as this much, so that logarithms stay finite.
SMALLEST = 1e-6


def attention_logits(query: Tensor, keys: Tensor) -> Tensor:
    """Scaled dot products q · k_i / √d.

    Args:
        query: (B, heads, d) one query a sample.
        keys: (B, N, heads, d) one key a sample and source.

    Returns:
        (B, heads, N)
    """
    return torch.einsum("bhd,bnhd->bhn", query, keys) / math.sqrt(query.shape[-1])


def attention_weights(logits: Tensor, prior: Tensor) -> Tensor:
    """Softmax over sources of (logit + log prior), averaged over the heads.

    Args:
        logits: (B, heads, N)
        prior: (B, N) what speaks for each source before attention does, up to a factor: the mass that it gives to the
            target's classes, for one, so that a source that abstains loses weight.

    Returns:
        (B, N), rows sum to one.
    """
    evidence = prior.clamp_min(SMALLEST).log().unsqueeze(1)
    return torch.softmax(logits + evidence, dim=-1).mean(dim=1)


def prior_weights(prior: Tensor) -> Tensor:
    """The weights (B, N) that a prior (B, N) alone gives, without attention; rows sum to one."""
    return attention_weights(torch.zeros_like(prior).unsqueeze(1), prior)


def conditional(probabilities: Tensor) -> Tensor:
    """Predictions (B, N, K) given that the class is one of the target's; uniform where a source knows none of them."""
    mass = probabilities.sum(-1, keepdim=True)
    return torch.where(mass > SMALLEST, probabilities / mass.clamp_min(SMALLEST), 1 / probabilities.shape[-1])


def fuse(weights: Tensor, probabilities: Tensor) -> Tensor:
    """Weighted mean of the sources' predictions, p(x) = Σ_i a_i(x) p_i(x), each p_i taken over the target's classes.

    Args:
        weights: (B, N), rows sum to one.
        probabilities: (B, N, K), rows sum to at most one.

    Returns:
        (B, K), rows sum to one.
    """
    return torch.einsum("bn,bnk->bk", weights, conditional(probabilities))


def mixer_loss(fused: Tensor, label: Tensor) -> Tensor:
    """−log p(x)_y of each labelled row: fused (B, K), label (B,) gives (B,)."""
    return F.nll_loss(fused.clamp_min(SMALLEST).log(), label, reduction="none")


def divergence_from_prior(weights: Tensor, prior: Tensor) -> Tensor:
    """KL(a(x) ‖ π(x)) = Σ_i a_i log(a_i / π_i) of attention weights (B, N) and a prior (B, N) up to a factor: (B,)."""
    return (weights * (weights.clamp_min(SMALLEST) / prior_weights(prior).clamp_min(SMALLEST)).log()).sum(-1)


class CrossAttentionMixer(nn.Module):
    """Attends from the student's features to the sources' features (HaT's heterogeneity-aware mixing).

    Each source has a key projection of its own, because each has a feature width of its own. The query starts small, so
    the first weights are close to the prior.

    Args:
        query_dim: width of the student's features.
        feature_dims: widths of the sources' features.
        dim: width of queries and keys, over all heads.
        heads: number of attention heads.
    """

    def __init__(self, query_dim: int, feature_dims: Sequence[int], dim: int = 32, heads: int = 2) -> None:
        super().__init__()
        self._heads = heads
        self.query = nn.Linear(query_dim, dim)
        self.keys = nn.ModuleList(nn.Linear(width, dim) for width in feature_dims)
        nn.init.normal_(self.query.weight, std=1e-2)
        nn.init.zeros_(self.query.bias)

    def forward(self, student_features: Tensor, source_features: Sequence[Tensor], prior: Tensor) -> Tensor:
        """Weighs the sources.

        Args:
            student_features: (B, query_dim); standardised within.
            source_features: one (B, feature_dims[i]) a source, standardised.
            prior: (B, N) what speaks for each source before attention does, up to a factor.

        Returns:
            (B, N) attention weights, rows sum to one.
        """
        standardised = F.layer_norm(student_features, student_features.shape[-1:])
        query = self._split(self.query(standardised))
        keys = torch.stack([self._split(key(z)) for key, z in zip(self.keys, source_features, strict=True)], dim=1)
        return attention_weights(attention_logits(query, keys), prior)

    def _split(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (self._heads, -1))
