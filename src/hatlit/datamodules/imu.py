"""Views and augmentation of inertial recordings: accelerometers, gyroscopes and their like."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor
from torch.nn import functional as F

from hatlit.datamodules.base import MODALITIES, Modality
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError

#: How strongly ``augment`` changes a view. A strap that sits a little differently turns by about ten degrees.
ROTATION = 0.17  # radians, standard deviation
GAIN = 0.1  # relative, standard deviation
SHIFT = 0.1  # of the window's length, largest
JITTER = 0.05  # of a channel's standard deviation


def view(samples: Tensor, recorded: InputSpec, wanted: InputSpec) -> Tensor:
    """Shows recorded windows the way a model wants to see them.

    Channels are found by name, then resampled, normalised, and cropped or padded around the middle to the wanted
    length. What is padded is the mean, that is zero after normalisation.

    Args:
        samples: (B, channels, time) as recorded.
        recorded: how they were recorded.
        wanted: what the model expects. A rate of None on either side leaves the rate alone.

    Returns:
        (B, wanted channels, wanted time) float32.

    Raises:
        InputError: the recording lacks a channel.
    """
    chosen = samples[:, _channel_numbers(recorded, wanted)].float()
    if recorded.rate is not None and wanted.rate is not None:
        chosen = _resample(chosen, recorded.rate, wanted.rate)
    if wanted.mean:
        mean, std = (chosen.new_tensor(values)[:, None] for values in (wanted.mean, wanted.std))
        chosen = (chosen - mean) / std
    return _fit_length(chosen, wanted.shape[0])


def augment(views: Tensor, generator: torch.Generator) -> Tensor:
    """Returns copies of views as another wearing of the same device might have recorded them.

    A small rotation, the same for every triple of axes (left out where channels do not come in threes), a gain, a shift
    in time that holds the first or last value, and noise. Each sample gets its own.

    Args:
        views: (B, channels, time), normalised.
        generator: the only source of randomness.
    """
    batch, channels, time = views.shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=generator.device).to(views)

    changed = views
    if channels % 3 == 0:
        turn = _rotation(ROTATION * normal(batch, 3))
        triples = views.reshape(batch, channels // 3, 3, time)
        changed = torch.einsum("bij,bajt->bait", turn, triples).reshape(views.shape)
    changed = changed * (1 + GAIN * normal(batch, 1, 1))
    reach = int(SHIFT * time)
    shift = torch.randint(-reach, reach + 1, (batch, 1), generator=generator, device=generator.device).to(views.device)
    steps = (torch.arange(time, device=views.device) + shift).clamp(0, time - 1)
    changed = changed.gather(2, steps[:, None].expand(views.shape))
    return changed + JITTER * normal(*views.shape)


def _channel_numbers(recorded: InputSpec, wanted: InputSpec) -> list[int]:
    missing = [name for name in wanted.channels if name not in recorded.channels]
    if missing:
        raise InputError(
            f"The recording has no channel {', '.join(missing)}, which the model needs; "
            f"it has {', '.join(recorded.channels)}."
        )
    return [recorded.channels.index(name) for name in wanted.channels]


def _resample(samples: Tensor, rate: float, wanted_rate: float) -> Tensor:
    """Resamples (B, channels, time) with the windowed sinc filter of torchaudio.

    The filter takes what lies outside a window as zero, which would bend the ends of every channel that carries
    gravity; so the first and last value are held there, and what comes of them is cut off.
    """
    old, new = _whole_ratio(rate, wanted_rate)
    length = -(-samples.shape[-1] * new // old)
    if old == new:
        return samples
    if len(samples) == 0:  # torchaudio cannot resample nothing
        return samples.new_empty(*samples.shape[:-1], length)
    from torchaudio.functional import resample

    half_width = 6  # of torchaudio's filter, in samples of the lower rate
    blocks = half_width // min(old, new) + 1
    held = F.pad(samples, (blocks * old, blocks * old), mode="replicate")
    return resample(held, old, new)[..., blocks * new : blocks * new + length]


def _whole_ratio(rate: float, wanted_rate: float) -> tuple[int, int]:
    """Returns two small whole numbers in the ratio of two rates; rates within half a per cent may count as equal."""
    low, high = sorted((rate, wanted_rate))
    ratio = Fraction(high / low).limit_denominator(100)
    return (ratio.numerator, ratio.denominator) if rate > wanted_rate else (ratio.denominator, ratio.numerator)


def _fit_length(samples: Tensor, length: int) -> Tensor:
    surplus = samples.shape[-1] - length
    if surplus >= 0:
        return samples[..., surplus // 2 : surplus // 2 + length]
    before = -surplus // 2
    return F.pad(samples, (before, -surplus - before))


def _rotation(turns: Tensor) -> Tensor:
    """Maps rotation vectors (B, 3), axis times angle in radians, to rotation matrices (B, 3, 3)."""
    x, y, z = turns.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(-1, 3, 3)
    return torch.linalg.matrix_exp(cross)


MODALITIES.add("imu", Modality(view=view, augment=augment))
