"""Encoders for samples on a grid of two axes, whatever they are: pictures, depth maps, radar maps, spectrograms."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from hatlit.encoders.base import InputSpec
from hatlit.encoders.blocks import Blocks, MeanAndMax, require_axes

MIN_SIDE = 8

_WIDTHS = {"nano": (16, 24, 32), "tiny": (24, 48, 64), "small": (48, 96, 160), "base": (64, 160, 288)}
_RESIDUALS = {"nano": 0, "tiny": 0, "small": 1, "base": 2}


def cnn(input_spec: InputSpec, size: str) -> nn.Module:
    """Three convolutions, each halving both axes, with residual blocks behind each in the larger sizes.

    Raises:
        InputError: the view is not a grid of at least ``MIN_SIDE`` places along either axis.
    """
    require_axes(input_spec, 2, MIN_SIDE)
    widths = _WIDTHS[size]
    stages = [_Stage(*step, _RESIDUALS[size]) for step in pairwise((input_spec.num_channels, *widths))]
    return Blocks(input_spec, 2 * widths[-1], *stages, MeanAndMax(2, 3))


class _Stage(nn.Sequential):
    """Maps (B, channels, a, b) to (B, width, a / 2, b / 2), rounded up."""

    def __init__(self, channels: int, width: int, residuals: int) -> None:
        super().__init__(
            nn.Conv2d(channels, width, kernel_size=3, padding=1, stride=2),
            nn.GroupNorm(4, width),
            nn.GELU(),
            *(_Residual(width) for _ in range(residuals)),
        )


class _Residual(nn.Module):
    """Two convolutions beside a shortcut; (B, width, a, b) in and out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(width, width, kernel_size=3, padding=1),
            nn.GroupNorm(4, width),
            nn.GELU(),
            nn.Conv2d(width, width, kernel_size=3, padding=1),
            nn.GroupNorm(4, width),
        )

    def forward(self, grid: Tensor) -> Tensor:
        return grid + self.residual(grid)
