"""Encoders of sound ask for the view they need, keep the contract, and tell sounds apart."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hatlit.datamodules.base import build_view
from hatlit.encoders.audio import MELS, mel_view
from hatlit.encoders.base import ENCODERS, InputSpec, build_encoder, suits
from hatlit.encoders.blocks import SIZES
from hatlit.errors import InputError
from hatlit.students.skeletons import default_student
from hatlit.zoo.train_source import default_encoders

FAMILIES = ("mel_cnn", "mel_gru", "wave_cnn")
NAMES = [f"{family}_{size}" for family in FAMILIES for size in SIZES]


def waveform(seconds: float = 0.25, rate: float | None = 8000.0, channels: int = 1) -> InputSpec:
    names = tuple(f"c{number}" for number in range(channels))
    return InputSpec(modality="audio", channels=names, shape=(round(seconds * (rate or 8000)),), rate=rate)


def test_every_family_and_size_is_registered() -> None:
    assert set(NAMES) <= set(ENCODERS.names("audio"))
    assert default_student(waveform()) == "mel_cnn_nano"
    assert default_encoders(waveform()) == [f"{family}_tiny" for family in FAMILIES]


@pytest.mark.parametrize("name", NAMES)
def test_keeps_the_contract(name: str, check_contract: Callable[[str, InputSpec], None]) -> None:
    check_contract(name, build_encoder(name, waveform(channels=2)).input_spec)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rate", [1000.0, 4000.0, 11025.0, 44100.0])
def test_shapes_at_any_rate(family: str, rate: float) -> None:
    encoder = build_encoder(f"{family}_nano", waveform(rate=rate))
    assert encoder(encoder.input_spec.blank(2)).shape == (2, encoder.feature_dim)


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_grow(family: str, num_parameters: Callable[..., int]) -> None:
    counts = [num_parameters(build_encoder(f"{family}_{size}", waveform())) for size in SIZES]
    assert counts == sorted(set(counts))
    assert counts[0] < 20_000
    assert counts[-1] < 1_500_000


def test_a_spectrogram_has_a_frame_every_ten_milliseconds() -> None:
    spec = waveform(1.0).with_(mean=(3.0,), std=(2.0,))
    wanted = mel_view(spec)
    assert (wanted.axes, wanted.shape, wanted.rate) == (("mel", "time"), (MELS, 100), 8000.0)
    assert (wanted.mean, wanted.std) == ((3.0,), (2.0,))
    assert mel_view(waveform(1.0, rate=4000.0)).shape == (MELS, 100)
    assert mel_view(wanted) == wanted


@pytest.mark.parametrize("family", ["mel_cnn", "mel_gru"])
def test_encoders_of_spectrograms_need_a_rate(family: str) -> None:
    for unsuitable in (waveform(rate=None), waveform(seconds=8, rate=50.0)):
        with pytest.raises(InputError, match="sampling rate of 1000 Hz or more"):
            build_encoder(f"{family}_nano", unsuitable)
        assert default_student(unsuitable) == "wave_cnn_nano"


@pytest.mark.parametrize("name", ["mel_cnn_nano", "mel_gru_nano", "wave_cnn_nano"])
def test_what_is_too_short_or_no_sound_is_refused(name: str) -> None:
    assert not suits(name, waveform(seconds=0.04))
    assert not suits(name, waveform().with_(shape=(64, 64), axes=("height", "width")))


def test_the_waveform_encoder_hears_no_loudness() -> None:
    torch.manual_seed(0)
    encoder, view = build_encoder("wave_cnn_nano", waveform()), torch.randn(3, 1, 2000)
    torch.testing.assert_close(encoder(10 * view), encoder(view), rtol=1e-4, atol=1e-5)
    assert encoder(torch.zeros(1, 1, 2000)).isfinite().all()


def test_the_filters_of_the_waveform_encoder_start_on_the_mel_scale() -> None:
    encoder = build_encoder("wave_cnn_tiny", waveform())
    filters = next(encoder.parameters()).detach()[:, 0]
    torch.testing.assert_close(filters.norm(dim=1), torch.ones(len(filters)))
    loudest = torch.fft.rfft(filters, 8000).abs().argmax(1).float()  # a bin a Hz
    steps = (1127 * torch.log1p(loudest / 700)).diff()
    assert loudest[-1].item() == pytest.approx(3600, abs=20)
    assert steps[5:].std() < 0.1 * steps[5:].mean()


def vowels(rows_per_class: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two tones in one of three pairings, at any phase and loudness, in noise: (B, 1, 2000) at 8 kHz and (B,)."""
    label = torch.arange(3).repeat_interleave(rows_per_class)
    frequency = torch.tensor([[300.0, 900.0], [300.0, 2300.0], [800.0, 1300.0]])[label]
    phase = 2 * math.pi * torch.rand(len(label), 2, 1, generator=generator)
    tones = torch.sin(2 * math.pi * frequency[..., None] * torch.arange(2000) / 8000 + phase).sum(1, keepdim=True)
    tones *= torch.hann_window(2000)
    noisy = tones + 0.1 * torch.randn(len(label), 1, 2000, generator=generator)
    return noisy * torch.exp(torch.randn(len(label), 1, 1, generator=generator)), label


@pytest.mark.parametrize("family", FAMILIES)
def test_the_smallest_learns_vowels_from_few(family: str, accuracy_after_learning: Callable[..., float]) -> None:
    generator = torch.Generator().manual_seed(0)
    wanted = build_encoder(f"{family}_nano", waveform()).input_spec
    seen, unseen = (
        (build_view(sounds, waveform(), wanted), label) for sounds, label in (vowels(16, generator) for _ in range(2))
    )
    assert accuracy_after_learning(f"{family}_nano", wanted, seen, unseen) > 0.9
