"""Encoders for clouds of points: what they answer does not depend on the order in which the points come."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from hatlit.encoders.base import InputSpec
from hatlit.encoders.blocks import Blocks, MeanAndMax, require_axes

MIN_POINTS = 8

_WIDTHS = {"nano": (32, 64, 96), "tiny": (64, 128, 192), "small": (128, 256, 512), "base": (256, 512, 1024)}


def pointnet(input_spec: InputSpec, size: str) -> nn.Module:
    """PointNet: the same small network looks at each point alone, then the mean and the maximum over all points.

    After Qi, Su, Mo and Guibas, "PointNet: Deep Learning on Point Sets for 3D Classification and Segmentation",
    arXiv 1612.00593, without the networks that turn its input and with layer norm in place of batch norm. A point that
    comes twice changes the mean a little and the maximum not at all.

    Raises:
        InputError: the view is not a cloud of at least ``MIN_POINTS`` points.
    """
    require_axes(input_spec, ("point",), MIN_POINTS)
    widths = _WIDTHS[size]
    *first, (narrow, wide) = pairwise((input_spec.num_channels, *widths))
    layers = [nn.Sequential(nn.Linear(*step), nn.LayerNorm(step[1]), nn.GELU()) for step in first]
    last = nn.Sequential(nn.Linear(narrow, wide), nn.LayerNorm(wide))
    return Blocks(input_spec, 2 * wide, _ChannelsLast(), *layers, last, MeanAndMax(1))


class _ChannelsLast(nn.Module):
    """Maps (B, channels, points) to (B, points, channels)."""

    def forward(self, points: Tensor) -> Tensor:
        return points.transpose(1, 2)
