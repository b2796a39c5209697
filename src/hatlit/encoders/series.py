"""Encoders for time series, whatever was measured: four families, each in four sizes.

All of them end in the mean and the maximum over time, so any length from eight samples on will do.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hatlit.encoders.base import InputSpec, register_encoder
from hatlit.encoders.blocks import SIZES, Blocks, MeanAndMax, require_axes

MIN_SAMPLES = 8


def register_series(modality: str) -> None:
    """Gives a modality of time series all families of this module in all sizes."""
    for family in (cnn, tcn, cnn_gru, transformer):
        register_encoder(modality, sizes=SIZES)(family)


def series(input_spec: InputSpec, feature_dim: int, *blocks: nn.Module) -> Blocks:
    """Puts blocks in a row that turn views (B, channels, time) into features (B, feature_dim).

    Raises:
        InputError: the view is not a time series of at least ``MIN_SAMPLES`` samples.
    """
    require_axes(input_spec, ("time",), MIN_SAMPLES)
    return Blocks(input_spec, feature_dim, *blocks)


def cnn(input_spec: InputSpec, size: str) -> nn.Module:
    """Three convolutions, each halving the time axis: the cheapest, and the usual student."""
    widths = {"nano": (16, 24, 32), "tiny": (24, 48, 64), "small": (48, 96, 160), "base": (96, 224, 384)}[size]
    return series(input_spec, 2 * widths[-1], *_convolutions(input_spec, widths), MeanAndMax(2))


def tcn(input_spec: InputSpec, size: str) -> nn.Module:
    """Temporal convolutional network: residual convolutions whose dilation doubles block by block.

    After Bai, Kolter and Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence
    Modeling", arXiv 1803.01271; centred instead of causal, because a window is known as a whole, and with a single
    convolution a block.
    """
    width, depth = {"nano": (16, 4), "tiny": (32, 4), "small": (64, 5), "base": (144, 6)}[size]
    stem = _Convolution(input_spec.num_channels, width, kernel=7)
    blocks = [_DilatedResidual(width, dilation=2**level) for level in range(depth)]
    return series(input_spec, 2 * width, stem, *blocks, MeanAndMax(2))


def cnn_gru(input_spec: InputSpec, size: str) -> nn.Module:
    """Convolutions that shorten the series eightfold, then a gated recurrent unit over what is left.

    After Ordóñez and Roggen, "Deep Convolutional and LSTM Recurrent Neural Networks for Multimodal Wearable Activity
    Recognition", Sensors 16(1), 2016.
    """
    widths = {"nano": (16, 24, 32), "tiny": (24, 40, 56), "small": (48, 96, 128), "base": (96, 192, 320)}[size]
    blocks = [*_convolutions(input_spec, widths), _Recurrence(widths[-1])]
    return series(input_spec, 2 * widths[-1], *blocks, MeanAndMax(1))


def transformer(input_spec: InputSpec, size: str) -> nn.Module:
    """Self-attention between overlapping patches of the series, pre-norm.

    After Dosovitskiy et al., "An Image is Worth 16x16 Words", arXiv 2010.11929, in one dimension, with sinusoidal
    positions and no class token.
    """
    width, depth = {"nano": (32, 1), "tiny": (40, 2), "small": (80, 4), "base": (160, 5)}[size]
    layers = [Attention(width, heads=4) for _ in range(depth)]
    # The closing norm joins the last layer, so that fine-tuning the last block moves more than a norm.
    last = nn.Sequential(layers.pop(), nn.LayerNorm(width))
    return series(input_spec, 2 * width, _Patches(input_spec, width), *layers, last, MeanAndMax(1))


class _Convolution(nn.Sequential):
    """Maps (B, channels, time) to (B, width, time / 2, rounded up): convolution, group norm, GELU."""

    def __init__(self, channels: int, width: int, kernel: int) -> None:
        super().__init__(
            nn.Conv1d(channels, width, kernel, stride=2, padding=kernel // 2), nn.GroupNorm(4, width), nn.GELU()
        )


class _DilatedResidual(nn.Module):
    """A dilated convolution beside a shortcut; (B, width, time) in and out."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv1d(width, width, kernel_size=5, padding=2 * dilation, dilation=dilation),
            nn.GroupNorm(4, width),
            nn.GELU(),
        )

    def forward(self, series: Tensor) -> Tensor:
        return series + self.residual(series)


class _Recurrence(nn.Module):
    """A gated recurrent unit; (B, width, time) in, (B, time, width) out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gru = nn.GRU(width, width, batch_first=True)

    def forward(self, series: Tensor) -> Tensor:
        states, _ = self.gru(series.transpose(1, 2))
        return states


class _Patches(nn.Module):
    """Cuts (B, channels, time) into patches of eight samples, every four, and embeds each: (B, patches, width)."""

    def __init__(self, input_spec: InputSpec, width: int) -> None:
        super().__init__()
        self.embed = nn.Conv1d(input_spec.num_channels, width, kernel_size=8, stride=4, padding=2)
        patches = (input_spec.shape[0] - 4) // 4 + 1
        # Computed anew from input_spec, so it is no part of the weights that a zoo stores.
        self.register_buffer("position", sinusoids(patches, width), persistent=False)

    def forward(self, series: Tensor) -> Tensor:
        return self.embed(series).transpose(1, 2) + self.position


class Attention(nn.Module):
    """A pre-norm transformer layer: self-attention, then two linear maps; (B, patches, width) in and out.

    Where ``seen`` (B, patches) is given, nothing attends to the patches that it marks as absent.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, patches: Tensor, seen: Tensor | None = None) -> Tensor:
        split = self.query_key_value(self.norm(patches)).unflatten(2, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (B, heads, patches, width / heads)
        # Large instead of infinite: a row in which nothing is seen must not become NaN.
        absent = None if seen is None else -1e4 * (~seen[:, None, None]).to(query)
        attended = F.scaled_dot_product_attention(query, key, value, absent)
        patches = patches + self.merge(attended.transpose(1, 2).flatten(2))
        return patches + self.feed_forward(patches)


def _convolutions(input_spec: InputSpec, widths: tuple[int, int, int]) -> list[nn.Module]:
    """Three convolutions in a row; what leaves one enters the next."""
    steps = pairwise((input_spec.num_channels, *widths))
    return [_Convolution(*step, kernel) for step, kernel in zip(steps, (7, 5, 5), strict=True)]


def sinusoids(positions: int, width: int) -> Tensor:
    """Sines and cosines (positions, width) of wavelengths that grow geometrically; Vaswani et al., arXiv 1706.03762."""
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angle = torch.arange(positions).unsqueeze(1) * rate
    return torch.cat([angle.sin(), angle.cos()], dim=1)
