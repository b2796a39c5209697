"""Features of very wide sources, brought down to a width that costs each training step less."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


def narrowed(features: Tensor, width: int) -> Tensor:
    """As many random projections of features (B, feature_dim) as ``width`` says; the same ones at each call.

    The directions are at right angles. Products and distances stay near what they were, up to one factor (Johnson and
    Lindenstrauss 1984), and standardised features that do not vary together stay standardised. Features that are no
    wider, and all where ``width`` is 0, stay as they are.

    Returns:
        (B, width), or ``features``.
    """
    wide = features.shape[-1]
    return features if not 0 < width < wide else features @ _directions(wide, width).to(features)


@cache
def _directions(wide: int, narrow: int) -> Tensor:
    with torch.inference_mode(mode=False):  # else what is kept for ever could be in no gradient
        drawn = torch.randn(wide, narrow, generator=torch.Generator().manual_seed(wide), dtype=torch.float64)
        return torch.linalg.qr(drawn).Q
