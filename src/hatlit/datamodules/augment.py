"""Random changes of views: what the modalities share. Every row of a batch gets its own."""

from __future__ import annotations

import torch
from torch import Tensor


class Chance:
    """Draws random numbers from one generator, on the device and in the number type of some views.

    Args:
        views: (B, channels, *shape) that the numbers are for.
        generator: the only source of randomness.
    """

    def __init__(self, views: Tensor, generator: torch.Generator) -> None:
        self._views, self._generator = views, generator

    def normal(self, *shape: int) -> Tensor:
        """Numbers (*shape) of mean 0 and variance 1."""
        return torch.randn(shape, generator=self._generator, device=self._generator.device).to(self._views)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Numbers (*shape) between two bounds."""
        drawn = torch.rand(shape, generator=self._generator, device=self._generator.device)
        return (low + (high - low) * drawn).to(self._views)

    def whole(self, low: int, high: int, *shape: int) -> Tensor:
        """Whole numbers (*shape), int64, from ``low`` to ``high``, both included."""
        device = self._generator.device
        return torch.randint(low, high + 1, shape, generator=self._generator, device=device).to(self._views.device)


def gain(views: Tensor, spread: float, chance: Chance) -> Tensor:
    """Multiplies each row by a number near one, with standard deviation ``spread``."""
    return views * (1 + spread * chance.normal(len(views), *[1] * (views.ndim - 1)))


def jitter(views: Tensor, spread: float, chance: Chance) -> Tensor:
    """Adds noise of standard deviation ``spread`` to every number."""
    return views + spread * chance.normal(*views.shape)


def shift(views: Tensor, axis: int, reach: int, chance: Chance) -> Tensor:
    """Shifts each row along an axis of (B, channels, *shape) by up to ``reach`` places; the edge is held."""
    size = views.shape[axis]
    place = (torch.arange(size, device=views.device) + chance.whole(-reach, reach, len(views), 1)).clamp(0, size - 1)
    return views.gather(axis, _along_axis(place, views, axis).expand(views.shape))


def warp_time(views: Tensor, axis: int, strength: float, chance: Chance) -> Tensor:
    """Lets time run a little faster here and slower there, along one axis of (B, channels, *shape); ends stay in place.

    The delay is a half and a whole sine wave over the window, of random size: at the most about ``strength`` of the
    window. Below 0.2 time never runs backwards. Values between two samples are interpolated.
    """
    size = views.shape[axis]
    phase = torch.linspace(0, torch.pi, size).to(views)
    size_of_wave = chance.uniform(-strength / 2, strength / 2, len(views), 2)
    delay = size_of_wave[:, :1] * torch.sin(phase) + size_of_wave[:, 1:] * torch.sin(2 * phase)
    place = (torch.arange(size).to(views) + size * delay).clamp(0, size - 1)
    before = place.floor().long()
    share = _along_axis(place - before, views, axis)
    now, then = (
        _along_axis(one, views, axis).expand(views.shape) for one in (before, (before + 1).clamp(max=size - 1))
    )
    return torch.lerp(views.gather(axis, now), views.gather(axis, then), share.expand(views.shape))


def mask_span(views: Tensor, axis: int, longest: int, chance: Chance, fill: float = 0.0) -> Tensor:
    """Overwrites in each row one span along an axis, of up to ``longest`` places, as SpecAugment does."""
    return views.masked_fill(_span(views, axis, longest, chance), fill)


def cut_out(views: Tensor, largest: float, chance: Chance, fill: float = 0.0) -> Tensor:
    """Overwrites in each row of (B, channels, a, b) a rectangle of up to the share ``largest`` of either axis."""
    down, across = (_span(views, axis, int(largest * views.shape[axis]), chance) for axis in (2, 3))
    return views.masked_fill(down & across, fill)


def _span(views: Tensor, axis: int, longest: int, chance: Chance) -> Tensor:
    """A mask that broadcasts over views, with one span along an axis in each row, of up to ``longest`` places."""
    size = views.shape[axis]
    length = chance.whole(0, longest, len(views), 1)
    start = (chance.uniform(0, 1, len(views), 1) * (size - length + 1)).long()
    place = torch.arange(size, device=views.device)
    return _along_axis((place >= start) & (place < start + length), views, axis)


def _along_axis(values: Tensor, views: Tensor, axis: int) -> Tensor:
    """Brings values (B, size) into the form of views, with one where the other axes are."""
    form = [1] * views.ndim
    form[0], form[axis] = values.shape
    return values.reshape(form)
