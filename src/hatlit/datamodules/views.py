"""How recorded samples become the view that a model wants: what the modalities share.

A view is built axis by axis, by what the axes are. Time is resampled and then cropped or padded around its middle;
points are thinned out or repeated; everything else is stretched.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError, on_one_line


def numeric_view(samples: Tensor, recorded: InputSpec, wanted: InputSpec) -> Tensor:
    """Shows recorded measurements the way a model wants to see them.

    Channels are found by name, then the axes are fitted and the channels normalised. What is padded in time is the
    mean, that is zero after normalisation.

    Args:
        samples: (B, channels, *shape) as recorded.
        recorded: how they were recorded.
        wanted: what the model expects. A rate of None on either side leaves the rate alone.

    Returns:
        (B, wanted channels, *wanted shape) float32.

    Raises:
        InputError: the recording lacks a channel, or has other axes than the model expects.
    """
    if recorded.axes != wanted.axes:
        raise InputError(
            f"The model expects samples over {' x '.join(wanted.axes)}, "
            f"and the recording is over {' x '.join(recorded.axes)}."
        )
    chosen = normalise(fit_space(choose_channels(samples, recorded, wanted), recorded, wanted), wanted)
    return fit_time(chosen, wanted)


def choose_channels(samples: Tensor, recorded: InputSpec, wanted: InputSpec) -> Tensor:
    """Takes the wanted channels, found by name, as float32 (B, wanted channels, *recorded shape).

    Raises:
        InputError: the recording lacks one.
    """
    missing = [name for name in wanted.channels if name not in recorded.channels]
    if missing:
        raise InputError(
            f"The recording has no channel {on_one_line(', '.join(missing))}, which the model needs; "
            f"it has {on_one_line(', '.join(recorded.channels))}."
        )
    if wanted.channels == recorded.channels:
        return samples.float()
    return samples[:, [recorded.channels.index(name) for name in wanted.channels]].float()


def fit_space(samples: Tensor, recorded: InputSpec, wanted: InputSpec) -> Tensor:
    """Brings time to the wanted rate, and every other axis of (B, channels, *shape) to the wanted size."""
    for place, (name, size) in enumerate(zip(wanted.axes, wanted.shape, strict=True), start=2):
        if name == "time":
            if recorded.rate is not None and wanted.rate is not None:
                samples = _along(samples, place, partial(resample, rate=recorded.rate, wanted_rate=wanted.rate))
        elif name == "point":
            samples = samples.index_select(place, spread(samples.shape[place], size).to(samples.device))
        elif samples.shape[place] != size:
            samples = _along(samples, place, partial(stretch, size=size))
    return samples


def fit_time(samples: Tensor, wanted: InputSpec) -> Tensor:
    """Crops or pads the time axis of (B, channels, *shape) around the middle to the wanted length."""
    if "time" not in wanted.axes:
        return samples
    place = wanted.axes.index("time")
    return _along(samples, place + 2, partial(fit_length, length=wanted.shape[place]))


def normalise(samples: Tensor, wanted: InputSpec) -> Tensor:
    """Subtracts the mean and divides by the standard deviation of each channel, where the view has them."""
    if not wanted.mean:
        return samples
    mean, std = (
        samples.new_tensor(values).reshape(-1, *[1] * (samples.ndim - 2)) for values in (wanted.mean, wanted.std)
    )
    return (samples - mean) / std


def resample(samples: Tensor, rate: float, wanted_rate: float) -> Tensor:
    """Resamples the last axis with the windowed sinc filter of torchaudio.

    The filter takes what lies outside a window as zero, which would bend the ends of every channel that carries
    an offset such as gravity; so the first and last value are held there, and what comes of them is cut off.
    """
    old, new = _whole_ratio(rate, wanted_rate)
    length = (samples.shape[-1] * new + old - 1) // old  # positive throughout, because ONNX rounds towards zero
    if old == new:
        return samples
    if samples.numel() == 0:  # torchaudio cannot resample nothing
        return samples.new_empty(*samples.shape[:-1], length)
    from torchaudio.functional import resample as sinc

    half_width = 6  # of torchaudio's filter, in samples of the lower rate
    blocks = half_width // min(old, new) + 1
    flat = samples.reshape(1, -1, samples.shape[-1])
    held = F.pad(flat, (blocks * old, blocks * old), mode="replicate")
    return sinc(held, old, new)[..., blocks * new : blocks * new + length].reshape(*samples.shape[:-1], length)


def fit_length(samples: Tensor, length: int) -> Tensor:
    """Crops the last axis to ``length`` around its middle, or pads it with zeros."""
    surplus = samples.shape[-1] - length
    if surplus >= 0:
        return samples[..., surplus // 2 : surplus // 2 + length]
    before = -surplus // 2
    return F.pad(samples, (before, -surplus - before))


def stretch(samples: Tensor, size: int) -> Tensor:
    """Interpolates the last axis to another size; what it averages when shrinking does not alias."""
    if torch.onnx.is_in_onnx_export():
        return samples @ _stretching(int(samples.shape[-1]), size)
    flat = samples.reshape(-1, 1, 1, samples.shape[-1])
    changed = F.interpolate(flat, size=(1, size), mode="bilinear", antialias=True, align_corners=False)
    return changed.reshape(*samples.shape[:-1], size)


def _stretching(there: int, wanted: int) -> Tensor:
    """What ``stretch`` does as a matrix (there, wanted), because torch cannot export its interpolation to ONNX."""
    step = there / wanted
    centres, places = (np.arange(wanted) + 0.5) * step, np.arange(there)[:, None] + 0.5
    weights = np.clip(1 - np.abs(places - centres) / max(1.0, step), 0, None)
    return torch.from_numpy((weights / weights.sum(0)).astype(np.float32))


def spread(count: int, wanted: int) -> Tensor:
    """Numbers (wanted,) of things, out of ``count``: evenly spread where there are more, over and over where fewer."""
    if count >= wanted:
        return (torch.arange(wanted) * count) // wanted
    return torch.arange(wanted) % count


def fit_normalisation(samples: np.ndarray, recorded: InputSpec) -> InputSpec:
    """Returns the recorded form with the mean and standard deviation of each channel of samples (N, channels, *shape).

    A channel that never changes gets a standard deviation of one, so that it becomes zero instead of amplified noise.
    """
    axes = (0, *range(2, samples.ndim))
    mean = samples.mean(axes, dtype=np.float64)
    std = samples.std(axes, dtype=np.float64)
    return recorded.with_(**normalisation(mean, std))


def normalisation(mean: np.ndarray, std: np.ndarray) -> dict[str, tuple[float, ...]]:
    """The attributes ``mean`` and ``std`` of a spec from two arrays (channels,); a std of (nearly) zero becomes one."""
    std = np.where(std <= 1e-6 * np.abs(mean), 1.0, std)
    return {"mean": tuple(mean.tolist()), "std": tuple(std.tolist())}


def _along(samples: Tensor, axis: int, change: Callable[[Tensor], Tensor]) -> Tensor:
    return change(samples.transpose(axis, -1)).transpose(axis, -1)  # ONNX has trouble with movedim


def _whole_ratio(rate: float, wanted_rate: float) -> tuple[int, int]:
    """Returns two small whole numbers in the ratio of two rates; rates within half a per cent may count as equal."""
    low, high = sorted((rate, wanted_rate))
    ratio = Fraction(high / low).limit_denominator(100)
    return (ratio.numerator, ratio.denominator) if rate > wanted_rate else (ratio.denominator, ratio.numerator)
