"""Views and augmentation of sound: waveforms, and spectrograms that are computed once, when the view is built."""

from __future__ import annotations

import math
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hatlit.datamodules.augment import Chance, gain, jitter, mask_span, shift, warp_time
from hatlit.datamodules.base import MODALITIES, Modality
from hatlit.datamodules.views import fit_normalisation, numeric_view
from hatlit.encoders.audio import LOWEST_RATE, hop_length, mel_view
from hatlit.encoders.base import MOST_NUMBERS, InputSpec
from hatlit.errors import InputError

WAVEFORM, SPECTROGRAM = ("time",), ("mel", "time")

WINDOW = 0.025  # s, of sound in a frame of a spectrogram
LOWEST = 60.0  # Hz, where the first mel band begins; below lie hum and offset
DYNAMICS = 4.0  # bel below the loudest place of a spectrogram, where it ends

#: How strongly ``augment`` changes a view.
GAIN = 0.2  # relative, standard deviation
SHIFT = 0.1  # of the length, largest
JITTER = 0.05  # of the standard deviation of a waveform
DROPOUT = 0.1  # of the length of a waveform, longest
TILT = 0.3  # bel from the lowest to the highest band of a spectrogram, standard deviation
WARP = 0.06  # of the length of a spectrogram, largest
BANDS = 0.15  # of the bands of a spectrogram, longest mask
FRAMES = 0.1  # of the frames of a spectrogram, longest mask


def view(samples: Tensor, recorded: InputSpec, wanted: InputSpec) -> Tensor:
    """Shows recorded sound the way a model wants to see it.

    Channels are found by name, time is resampled, the waveform normalised, and then cropped or padded with its mean
    around its middle. Where the model wants a spectrogram, it is computed of that waveform.

    Args:
        samples: (B, channels, *shape) as recorded.
        recorded: how they were recorded.
        wanted: what the model expects: a waveform, or a spectrogram of one with ``wanted.rate``.

    Returns:
        (B, wanted channels, time) or (B, wanted channels, mel, time) float32.

    Raises:
        InputError: the recording lacks a channel, or is a spectrogram and the model expects a waveform, or the
            spectrogram is one that nobody computes.
    """
    if (recorded.axes, wanted.axes) != (WAVEFORM, SPECTROGRAM):
        return numeric_view(samples, recorded, wanted)
    rate = wanted.rate or recorded.rate or LOWEST_RATE
    mels, frames = wanted.shape
    length = frames * hop_length(rate)
    too_much = max(mels * _fft_length(rate, mels), wanted.num_channels * length) > MOST_NUMBERS
    if rate < LOWEST_RATE or too_much:
        raise InputError(f"The model expects {mels} x {frames} mel bands and frames at {rate:g} Hz; nobody hears that.")
    waveform = wanted.with_(axes=WAVEFORM, shape=(length,))
    return log_mel(numeric_view(samples, recorded, waveform), rate, mels)


def log_mel(waveforms: Tensor, rate: float, mels: int) -> Tensor:
    """Computes spectrograms on the mel scale, in bel: powers of ten of energy.

    What lies more than ``DYNAMICS`` below the loudest place of a sound is silence. Then each band is told relative to
    its mean over the frames, in which loud ones count more: level and colour of a recording say more about the
    microphone than about the sound. (Mean normalisation after Atal, "Effectiveness of Linear Prediction
    Characteristics of the Speech Wave for Automatic Speaker Identification and Verification", JASA 55(6), 1974.)

    Args:
        waveforms: (..., time).
        rate: samples per second (Hz).
        mels: number of bands, from ``LOWEST`` to half the rate.

    Returns:
        (..., mels, frames) with a frame for each ``hop_length`` samples.
    """
    if waveforms.numel() == 0:  # torch cannot transform nothing
        return waveforms.new_empty(*waveforms.shape[:-1], mels, waveforms.shape[-1] // hop_length(rate))
    transform = _mel_transform(rate, mels, waveforms.dtype, waveforms.device)
    spectrum = partial(_spectrum, transform.spectrogram) if torch.onnx.is_in_onnx_export() else transform.spectrogram
    energy = transform.mel_scale(spectrum(waveforms))[..., :-1]  # the last frame is centred behind the end
    loudest = energy.amax((-2, -1), keepdim=True).clamp(min=torch.finfo(energy.dtype).tiny)
    energy = energy / loudest
    bels = torch.log10(energy + 10**-DYNAMICS)
    loudness = (energy.mean(-2, keepdim=True) + 10**-DYNAMICS).sqrt()
    return bels - (bels * loudness).sum(-1, keepdim=True) / loudness.sum(-1, keepdim=True)


def augment(views: Tensor, spec: InputSpec, generator: torch.Generator) -> Tensor:
    """Returns copies of views as another microphone or moment might have recorded them.

    Args:
        views: (B, channels, time) or (B, channels, mel, time), as ``view`` builds them.
        spec: their form.
        generator: the only source of randomness.
    """
    chance = Chance(views, generator)
    return augment_waveform(views, chance) if spec.axes == WAVEFORM else augment_spectrogram(views, chance)


def augment_waveform(views: Tensor, chance: Chance) -> Tensor:
    """Changes when a sound begins and how loud it is, leaves a moment out and adds noise."""
    length = views.shape[2]
    changed = gain(shift(views, 2, int(SHIFT * length), chance), GAIN, chance)
    return jitter(mask_span(changed, 2, int(DROPOUT * length), chance), JITTER, chance)


def augment_spectrogram(views: Tensor, chance: Chance) -> Tensor:
    """Changes when a sound begins, its pace and its colour, and covers some bands and frames.

    The masks are those of Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech
    Recognition", arXiv 1904.08779.
    """
    rows, _, mels, frames = views.shape
    changed = warp_time(shift(views, 3, int(SHIFT * frames), chance), 3, WARP, chance)
    colour = torch.linspace(-0.5, 0.5, mels).to(views)[:, None] * TILT * chance.normal(rows, 1, 1, 1)
    changed = mask_span(changed + colour, 2, int(BANDS * mels), chance)
    return mask_span(changed, 3, int(FRAMES * frames), chance)


def summary_view(spec: InputSpec) -> InputSpec:
    """The spectrogram of a waveform: what statistics are computed on. What has none is taken as it is."""
    return mel_view(spec) if spec.axes == WAVEFORM and (spec.rate or 0) >= LOWEST_RATE else spec


@lru_cache(maxsize=16)
def _mel_transform(rate: float, mels: int, dtype: torch.dtype, device: torch.device) -> Any:
    """What turns waveforms into mel bands; kept, so that exported graphs hold its numbers and not their making."""
    from torchaudio.transforms import MelSpectrogram

    return MelSpectrogram(
        sample_rate=round(rate),
        n_fft=_fft_length(rate, mels),
        win_length=round(WINDOW * rate),
        hop_length=hop_length(rate),
        f_min=LOWEST,
        f_max=rate / 2,
        n_mels=mels,
        pad_mode="constant",
    ).to(device, dtype)


def _spectrum(transform: Any, waveforms: Tensor) -> Tensor:
    """What torchaudio's ``Spectrogram`` makes of waveforms (..., time), (..., frequencies, frames), as a convolution:
    graphs of ONNX know no complex numbers."""
    half, length = transform.n_fft // 2, transform.win_length
    before = (length + 1) // 2  # samples of a window that lie before its centre
    angle = 2 * torch.pi / transform.n_fft * torch.arange(half + 1)[:, None] * torch.arange(length)
    waves = torch.cat([angle.cos(), angle.sin()]) * transform.window  # (2 * frequencies, length)
    flat = waveforms.reshape(-1, 1, waveforms.shape[-1])
    parts = F.conv1d(flat, waves[:, None].to(flat), stride=transform.hop_length, padding=before)
    power = parts.unflatten(1, (2, half + 1)).square().sum(1)
    return power.reshape(*waveforms.shape[:-1], half + 1, power.shape[-1])


def _fft_length(rate: float, mels: int) -> int:
    """A power of two, no shorter than the window, with which no mel band lies between two frequencies.

    Mel bands are narrowest at the lowest frequency; there the scale rises by 1127 / (700 Hz + frequency) a Hz.
    """
    highest, lowest = (1127 * math.log1p(frequency / 700) for frequency in (rate / 2, LOWEST))
    narrowest = (highest - lowest) / (mels + 1) * (700 + LOWEST) / 1127
    return 2 ** math.ceil(math.log2(max(WINDOW * rate, rate / narrowest)))


MODALITIES.add(
    "audio",
    Modality(
        view=view,
        augment=augment,
        fit=fit_normalisation,
        layouts=(WAVEFORM, SPECTROGRAM),
        usual_channels={1: ("microphone",), 2: ("left", "right")},
        summary_view=summary_view,
    ),
)
