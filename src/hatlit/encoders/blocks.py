"""What the encoders that hatlit brings have in common.

They are blocks in a row, so the last child with parameters is the last block, which can be fine-tuned alone. Nothing
looks across the rows of a batch (group and layer norm, no batch norm, no dropout): the features of a sample are the
same alone, in any batch and on any number of processes. Features are signed: no family ends in a rectifier.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError

SIZES = ("nano", "tiny", "small", "base")


class Blocks(nn.Sequential):
    """Blocks in a row that turn views (B, channels, *shape) into features (B, feature_dim); fulfils ``Encoder``.

    Args:
        input_spec: the view it expects.
        feature_dim: width of a feature vector, what the blocks together answer with.
        blocks: in order; the last one with parameters is what adaptation calls the last block.
    """

    def __init__(self, input_spec: InputSpec, feature_dim: int, *blocks: nn.Module) -> None:
        super().__init__(*blocks)
        self.input_spec = input_spec
        self.feature_dim = feature_dim


class MeanAndMax(nn.Module):
    """Sums up some axes of a tensor: the mean and the maximum over them, side by side, (B, 2 * width)."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, values: Tensor) -> Tensor:
        return torch.cat([values.mean(self.axes), values.amax(self.axes)], dim=1)


def require_axes(input_spec: InputSpec, axes: tuple[str, ...] | int, least: int) -> None:
    """Refuses a view that an encoder cannot take.

    Args:
        input_spec: the view.
        axes: those it must have, or how many, whatever they are.
        least: smallest size of each.

    Raises:
        InputError: the view has other axes, or is smaller.
    """
    fits = len(input_spec.axes) == axes if isinstance(axes, int) else input_spec.axes == axes
    if not fits or min(input_spec.shape) < least:
        what = f"{axes} axes" if isinstance(axes, int) else " x ".join(axes)
        found = " x ".join(f"{size} {axis}" for size, axis in zip(input_spec.shape, input_spec.axes, strict=True))
        raise InputError(f"This encoder takes samples over {what} with at least {least} of each, not {found}.")
