"""Samples between two: what sources can be asked about beyond what was recorded.

After mixup (Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018), as it serves distillation (Beyer
et al., "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022): the teacher is asked about the
blend itself, so no label has to be made up.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hatlit.encoders.base import InputSpec

#: Axes along which neighbours in the list are no neighbours in value, so that sums of two samples mean nothing.
SPLICED_AXES = ("byte", "point")

_SPACE = 32


def blend(samples: Tensor, others: Tensor, share: Tensor, recorded: InputSpec) -> Tensor:
    """Blends each sample with another: a weighted sum; of texts and point clouds the beginning of one and the end of
    the other.

    Args:
        samples: (B, channels, *shape) as recorded.
        others: (B, channels, *shape) what each is blended with.
        share: (B,) how much of the first is in the blend, from 0 to 1.
        recorded: what the axes are.

    Returns:
        (B, channels, *shape)
    """
    spliced = [number for number, axis in enumerate(recorded.axes) if axis in SPLICED_AXES]
    if recorded.axes == ("byte",):
        return _join_texts(samples, others, share)
    if spliced:
        return _splice(samples, others, share, spliced[0] + 2)
    share = share.view(-1, *[1] * (samples.ndim - 1)).to(samples)
    return share * samples + (1 - share) * others


def _splice(samples: Tensor, others: Tensor, share: Tensor, axis: int) -> Tensor:
    place = torch.arange(samples.shape[axis]).view(-1, *[1] * (samples.ndim - 1 - axis))
    until = (share * samples.shape[axis]).round().long().view(-1, *[1] * (samples.ndim - 1))
    return torch.where(place < until, samples, others)


def _join_texts(samples: Tensor, others: Tensor, share: Tensor) -> Tensor:
    """(B, 1, length) bytes with zeros behind: the beginning of one text, a space, and the rest of the other."""
    place = torch.arange(samples.shape[-1]).view(1, 1, -1)
    share = share.view(-1, 1, 1)
    taken = (share * (samples > 0).sum(-1, keepdim=True)).long()
    skipped = (share * (others > 0).sum(-1, keepdim=True)).long()
    behind = place - taken - 1 + skipped
    length = samples.shape[-1]
    rest = others.gather(-1, behind.clamp(0, length - 1)).masked_fill(behind >= length, 0)
    joined = torch.where(place < taken, samples, rest)
    return joined.masked_fill(place == taken, _SPACE)
