"""Encoders of sound: of its log-mel spectrogram, which they ask the data module for, or of the waveform itself."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hatlit.encoders import grid, series
from hatlit.encoders.base import InputSpec, register_encoder
from hatlit.encoders.blocks import SIZES, Blocks, MeanAndMax, require_axes
from hatlit.errors import InputError

MELS = 40  # bands of a spectrogram
HOP = 0.01  # s, from one frame of a spectrogram to the next
MIN_FRAMES = 8
USUAL_RATE = 8000.0  # Hz, of a waveform whose rate is not known
LOWEST_RATE = 1000.0  # Hz, of a waveform that a spectrogram makes sense of

_WAVE_AXES = ("time",)
_MEL_AXES = ("mel", "time")


@register_encoder("audio", sizes=SIZES)
def mel_cnn(input_spec: InputSpec, size: str) -> nn.Module:
    """Three 2-D convolutions over the log-mel spectrogram, then the mean and the maximum over time: the usual student.

    Raises:
        InputError: the view is neither a waveform with a sampling rate nor a spectrogram, or it is too short.
    """
    view = mel_view(input_spec)
    over_both = grid.cnn(view, size)
    stages = list(over_both.children())[:-1]
    # Averaged over the bands too, a low sound would look like a high one.
    bands = -(-view.shape[0] // 2 ** len(stages))
    return Blocks(view, bands * int(over_both.feature_dim), *stages, nn.Flatten(1, 2), MeanAndMax(2))  # type: ignore[arg-type]


@register_encoder("audio", sizes=SIZES)
def mel_gru(input_spec: InputSpec, size: str) -> nn.Module:
    """Convolutions over the frames of the log-mel spectrogram, its bands as channels, then a gated recurrent unit.

    Raises:
        InputError: the view is neither a waveform with a sampling rate nor a spectrogram, or it is too short.
    """
    view = mel_view(input_spec)
    bands = tuple(f"{channel} {band}" for channel in view.channels for band in range(view.shape[0]))
    frames = series.cnn_gru(InputSpec(modality=view.modality, channels=bands, shape=view.shape[1:]), size)
    return Blocks(view, int(frames.feature_dim), nn.Flatten(1, 2), *frames.children())  # type: ignore[arg-type]


@register_encoder("audio", sizes=SIZES)
def wave_cnn(input_spec: InputSpec, size: str) -> nn.Module:
    """A bank of learned filters over the waveform, the logarithm of their energy, and 1-D convolutions over that.

    After Sainath, Weiss, Senior, Wilson and Vinyals, "Learning the Speech Front-end With Raw Waveform CLDNNs",
    Interspeech 2015, with the filters' start after Zeghidour, Teboul, Quitry and Tagliasacchi, "LEAF: A Learnable
    Frontend for Audio Classification", arXiv 2101.08596.

    Raises:
        InputError: the view is no waveform, or shorter than eight frames.
    """
    bank, *widths = {
        "nano": (32, 32, 40),
        "tiny": (40, 64, 80),
        "small": (64, 144, 192),
        "base": (80, 320, 448),
    }[size]
    filters = _FilterBank(input_spec, bank)
    require_axes(input_spec, _WAVE_AXES, MIN_FRAMES * filters.hop)
    steps = pairwise((bank, *widths))
    return Blocks(input_spec, 2 * widths[-1], filters, *(_Stage(*step) for step in steps), MeanAndMax(2))


def mel_view(spec: InputSpec) -> InputSpec:
    """The log-mel spectrogram of a waveform as a view; a spectrogram is left as it is.

    Its rate stays that of the waveform, and its frames are ``HOP`` seconds apart.

    Raises:
        InputError: the view is neither, or its rate is unknown or below ``LOWEST_RATE``.
    """
    if spec.axes == _MEL_AXES:
        return spec
    require_axes(spec, _WAVE_AXES, 1)
    if spec.rate is None or spec.rate < LOWEST_RATE:
        raise InputError(
            f"A spectrogram needs sound with a sampling rate of {LOWEST_RATE:g} Hz or more, "
            f"and this recording has {f'{spec.rate:g} Hz' if spec.rate else 'none'}."
        )
    return spec.with_(axes=_MEL_AXES, shape=(MELS, -(-spec.shape[0] // hop_length(spec.rate))))


def hop_length(rate: float) -> int:
    """Samples of a waveform from one frame of its spectrogram to the next."""
    return round(HOP * rate)


class _FilterBank(nn.Module):
    """Maps waveforms (B, channels, time) to the log-energy of filters (B, filters, frames), of mean 0 and variance 1.

    The filters start as tones of 16 ms that swell and fade, spaced evenly on the mel scale.
    """

    def __init__(self, input_spec: InputSpec, filters: int) -> None:
        super().__init__()
        rate = input_spec.rate or USUAL_RATE
        self.stride = max(1, round(rate / 1000))
        self.hop = 10 * self.stride
        kernel = max(3, round(0.016 * rate) | 1)
        self.convolve = nn.Conv1d(
            input_spec.num_channels, filters, kernel, self.stride, padding=kernel // 2, bias=False
        )
        self.norm = nn.GroupNorm(1, filters)
        with torch.no_grad():
            self.convolve.weight.copy_(_tones(filters, kernel, rate)[:, None] / input_spec.num_channels)

    def forward(self, waveform: Tensor) -> Tensor:
        # As loud as any other, so that the small number below means the same for all.
        level = waveform.square().mean((1, 2), keepdim=True)
        energy = F.avg_pool1d(self.convolve(waveform).square(), self.hop // self.stride, ceil_mode=True)
        return self.norm((energy / (level + 1e-8) + 1e-3).log())


class _Stage(nn.Sequential):
    """Maps (B, channels, time) to (B, width, time / 2, rounded up): convolution, group norm, GELU."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(nn.Conv1d(channels, width, 5, stride=2, padding=2), nn.GroupNorm(4, width), nn.GELU())


def _tones(filters: int, length: int, rate: float) -> Tensor:
    """Tones (filters, length) under a Hann window, of frequencies evenly spaced on the mel scale, each of norm one."""
    highest = 1127 * math.log1p(0.45 * rate / 700)
    frequency = 700 * torch.expm1(torch.linspace(highest / filters, highest, filters) / 1127)
    time = (torch.arange(length) - length // 2) / rate
    tones = torch.cos(2 * torch.pi * frequency[:, None] * time) * torch.hann_window(length + 2)[1:-1]
    return F.normalize(tones, dim=1)
