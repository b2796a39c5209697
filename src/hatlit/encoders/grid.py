"""Encoders for samples on a grid of two axes, whatever they are: pictures, depth maps, radar maps, spectrograms."""

from __future__ import annotations

from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from hatlit.encoders.base import InputSpec, register_encoder
from hatlit.encoders.blocks import SIZES, Blocks, MeanAndMax, require_axes

MIN_SIDE = 8

#: Pictures are summed up in this many cells along either axis, because what is seen depends on where it is.
CELLS = 4

#: A mixer looks at no more pixels than this along either axis; its weights grow with the number of places.
MIXER_SIDE = 48

_WIDTHS = {"nano": (16, 24, 32), "tiny": (24, 48, 64), "small": (24, 48, 80), "base": (40, 80, 128)}
_PICTURE_WIDTHS = {"nano": (16, 24, 16), "tiny": (24, 48, 32), "small": (32, 56, 64), "base": (48, 96, 112)}
_MIXER_SIZES = {"nano": (16, 1, 32), "tiny": (32, 2, 64), "small": (72, 3, 128), "base": (144, 5, 256)}
_RESIDUALS = {"nano": 0, "tiny": 0, "small": 1, "base": 2}


def register_pictures(modality: str) -> None:
    """Gives a modality of pictures the families that keep track of where in the picture something is, in all sizes."""
    register_encoder(modality, name="cnn", sizes=SIZES)(picture_cnn)
    register_encoder(modality, sizes=SIZES)(mixer)


def cnn(input_spec: InputSpec, size: str) -> nn.Module:
    """Three convolutions, each halving both axes, with residual blocks behind each in the larger sizes.

    Raises:
        InputError: the view is not a grid of at least ``MIN_SIDE`` places along either axis.
    """
    require_axes(input_spec, 2, MIN_SIDE)
    widths = _WIDTHS[size]
    return Blocks(input_spec, 2 * widths[-1], *_stages(input_spec, widths, size), MeanAndMax(2, 3))


def picture_cnn(input_spec: InputSpec, size: str) -> nn.Module:
    """Three convolutions, each halving both axes, then the mean of each of sixteen cells: the usual student.

    Raises:
        InputError: the view is not a grid of at least ``MIN_SIDE`` places along either axis.
    """
    require_axes(input_spec, 2, MIN_SIDE)
    widths = _PICTURE_WIDTHS[size]
    return Blocks(input_spec, CELLS**2 * widths[-1], *_stages(input_spec, widths, size), _Cells(_after(3, input_spec)))


def mixer(input_spec: InputSpec, size: str) -> nn.Module:
    """Perceptrons over all places and over all features in turn, behind two convolutions that each halve both axes.

    After Tolstikhin et al., "MLP-Mixer: An all-MLP Architecture for Vision", arXiv 2105.01601, with convolutions in
    place of the cut into patches. A view of more than ``MIXER_SIDE`` places along an axis is asked for at that size.

    Raises:
        InputError: the view is not a grid of at least ``MIN_SIDE`` places along either axis.
    """
    require_axes(input_spec, 2, MIN_SIDE)
    input_spec = input_spec.with_(shape=tuple(min(side, MIXER_SIDE) for side in input_spec.shape))
    width, depth, hidden = _MIXER_SIZES[size]
    stem = nn.Sequential(_Stage(input_spec.num_channels, width, residuals=0), _Stage(width, width, residuals=0))
    places = _after(2, input_spec)
    layers = [_Mixing(places, width, hidden) for _ in range(depth)]
    return Blocks(input_spec, CELLS**2 * width, stem, *layers, _Cells(places))


def _stages(input_spec: InputSpec, widths: tuple[int, int, int], size: str) -> list[nn.Module]:
    """Stages in a row; what leaves one enters the next."""
    return [_Stage(*step, _RESIDUALS[size]) for step in pairwise((input_spec.num_channels, *widths))]


class _Cells(nn.Module):
    """Maps (B, width, a, b) to the means (B, width * cells²) over a grid of cells; cells may cut a place in two."""

    down: Tensor
    across: Tensor

    def __init__(self, places: tuple[int, ...]) -> None:
        super().__init__()
        # As matrices, because ONNX knows no means over cells that are not whole numbers of places.
        for name, count in zip(("down", "across"), places, strict=True):
            self.register_buffer(name, _shares(count), persistent=False)

    def forward(self, grid: Tensor) -> Tensor:
        return (self.down @ grid @ self.across.T).flatten(1)


class _Mixing(nn.Module):
    """Two perceptrons beside shortcuts, across the places and across the features; (B, width, a, b) in and out."""

    def __init__(self, places: tuple[int, ...], width: int, hidden: int) -> None:
        super().__init__()
        count = prod(places)
        self.across_places = nn.Sequential(
            nn.GroupNorm(1, width), nn.Flatten(2), nn.Linear(count, hidden), nn.GELU(), nn.Linear(hidden, count)
        )
        self.across_features = nn.Sequential(
            nn.GroupNorm(1, width), nn.Conv2d(width, 2 * width, 1), nn.GELU(), nn.Conv2d(2 * width, width, 1)
        )

    def forward(self, grid: Tensor) -> Tensor:
        grid = grid + self.across_places(grid).reshape(grid.shape)
        return grid + self.across_features(grid)


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


def _shares(count: int) -> Tensor:
    """The share (cells, count) that each of ``count`` places has in each cell; a cell's add up to one."""
    # On the CPU even where a model is only outlined: arithmetic without numbers loads a compiler.
    edges = torch.linspace(0, count, CELLS + 1, device="cpu")
    place = torch.arange(count, device="cpu")
    overlap = torch.minimum(edges[1:, None], place + 1) - torch.maximum(edges[:-1, None], place)
    return overlap.clamp(min=0) * (CELLS / count)


def _after(stages: int, input_spec: InputSpec) -> tuple[int, ...]:
    """Sizes of the axes of a view once that many stages have halved them."""
    return tuple(-(-side // 2**stages) for side in input_spec.shape)
