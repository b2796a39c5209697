"""The cross-attention mixer: how much each source counts, sample by sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import cast

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
    # By hand: einsum would copy the keys into another order, forward and backward.
    return (query.unsqueeze(1) * keys).sum(-1).transpose(1, 2) / math.sqrt(query.shape[-1])


def attention_weights(logits: Tensor, prior: Tensor) -> Tensor:
    """Softmax over sources of (logit + log prior), averaged over the heads.

    Args:
        logits: (B, heads, N)
        prior: (B, N) what speaks for each source before attention does, up to a factor: the mass that it gives to the
            target's classes, for one, so that a source that abstains loses weight.

    Returns:
        (B, N), rows sum to one.
    """
    return _mean_of_heads(logits, prior.clamp_min(SMALLEST).log())


def log_prior(prior: Tensor) -> Tensor:
    """log π of the weights π (B, N) that a prior (B, N) gives without attention; rows of π sum to one."""
    return prior.clamp_min(SMALLEST).log().log_softmax(-1)


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
    return (weights.unsqueeze(1) @ conditional(probabilities)).squeeze(1)


def mixer_loss(fused: Tensor, label: Tensor) -> Tensor:
    """−log p(x)_y of each labelled row: fused (B, K), label (B,) gives (B,)."""
    return F.nll_loss(fused.clamp_min(SMALLEST).log(), label, reduction="none")


def divergence_from_prior(weights: Tensor, log_prior: Tensor) -> Tensor:
    """KL(a(x) ‖ π(x)) = Σ_i a_i (log a_i − log π_i) of attention weights (B, N) and what ``log_prior`` gives: (B,)."""
    return (weights * (weights.clamp_min(SMALLEST).log() - log_prior)).sum(-1)


def _mean_of_heads(logits: Tensor, log_prior: Tensor) -> Tensor:
    return torch.softmax(logits + log_prior.unsqueeze(1), dim=-1).mean(dim=1)


class CrossAttentionMixer(nn.Module):
    """Attends from the student's features to the sources' features (HaT's heterogeneity-aware mixing).

    Each source has a key projection of its own, because each has a feature width of its own. Neighbours of
    equal width share one product, because each product by itself costs more than what it computes. The query starts
    small, so the first weights are close to the prior.

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
        self._runs = [list(run) for _, run in groupby(range(len(feature_dims)), key=feature_dims.__getitem__)]
        nn.init.normal_(self.query.weight, std=1e-2)
        nn.init.zeros_(self.query.bias)

    def forward(self, student_features: Tensor, source_features: Sequence[Tensor], log_prior: Tensor) -> Tensor:
        """Weighs the sources.

        Args:
            student_features: (B, query_dim); standardised within.
            source_features: one (B, feature_dims[i]) a source, standardised.
            log_prior: (B, N) what ``log_prior`` makes of what speaks for each source before attention does.

        Returns:
            (B, N) attention weights, rows sum to one.
        """
        standardised = F.layer_norm(student_features, student_features.shape[-1:])
        logits = attention_logits(self._split(self.query(standardised)), self._split(self._keys(source_features)))
        return _mean_of_heads(logits, log_prior)

    def _keys(self, source_features: Sequence[Tensor]) -> Tensor:
        """The keys (B, N, dim) of all sources."""
        keys, found = cast("list[nn.Linear]", list(self.keys)), []
        for numbers in self._runs:
            weight = torch.stack([keys[number].weight for number in numbers])
            bias = torch.stack([keys[number].bias for number in numbers])
            features = torch.stack([source_features[number] for number in numbers])
            found.append(torch.baddbmm(bias.unsqueeze(1), features, weight.mT))
        return torch.cat(found).transpose(0, 1)

    def _split(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (self._heads, -1))
