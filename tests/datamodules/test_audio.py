from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from hatlit.config import DeviceConfig
from hatlit.datamodules.audio import augment, log_mel, summary_view, view
from hatlit.datamodules.base import MODALITIES
from hatlit.encoders.audio import mel_view
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.students.device import device_view


def spec(time: int = 4000, rate: float | None = 8000.0, **changes: object) -> InputSpec:
    return InputSpec(modality="audio", channels=("microphone",), shape=(time,), rate=rate).with_(**changes)


def tone(frequency: float, time: int = 4000, rate: float = 8000.0) -> Tensor:
    """A tone (1, 1, time) that swells and fades."""
    return (torch.sin(2 * math.pi * frequency * torch.arange(time) / rate) * torch.hann_window(time))[None, None]


def test_a_waveform_is_normalised_and_padded_with_its_mean() -> None:
    samples = torch.arange(4.0)[None, None]
    seen = view(samples, spec(4), spec(7, mean=(1.0,), std=(2.0,)))
    assert seen[0, 0].tolist() == [0, -0.5, 0, 0.5, 1, 0, 0]


def test_spectrogram_tells_where_and_when_a_tone_sounds() -> None:
    sound = torch.cat([tone(500.0), tone(2000.0)], dim=2)
    mel = view(sound, spec(8000), mel_view(spec(8000)))
    assert mel.shape == (1, 1, 40, 100)
    loudest = (mel[0, 0].argmax(0)[[25, 75]] + 0.5) / 40  # middle of a band, counted from the lowest to the highest
    scale = [1127 * math.log1p(frequency / 700) for frequency in (60, 500, 2000, 4000)]
    expected = [(scale[1] - scale[0]) / (scale[3] - scale[0]), (scale[2] - scale[0]) / (scale[3] - scale[0])]
    torch.testing.assert_close(loudest, torch.tensor(expected), atol=0.02, rtol=0)


def test_spectrogram_does_not_depend_on_level() -> None:
    sound = torch.randn(2, 1, 4000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(log_mel(200 * sound, 8000.0, 40), log_mel(sound, 8000.0, 40), atol=1e-3, rtol=0)


def test_the_colour_of_a_microphone_is_taken_out() -> None:
    generator = torch.Generator().manual_seed(0)
    sound = torch.randn(1, 1, 4001, generator=generator) * (1.5 + torch.sin(torch.arange(4001) / 300))
    coloured = sound[..., 1:] + 0.5 * sound[..., :-1]  # a low pass
    plain, dull = (log_mel(one, 8000.0, 40)[..., 5:-5] for one in (sound[..., 1:], coloured))
    assert (plain - dull).abs().mean() < 0.2 * plain.abs().mean()


def test_mean_over_loud_frames_is_zero_in_every_band() -> None:
    mel = log_mel(torch.randn(3, 4000), 8000.0, 40)
    torch.testing.assert_close(mel.mean(2), torch.zeros(3, 40), atol=0.1, rtol=0)  # noise is about as loud everywhere


def test_silence_is_finite() -> None:
    torch.testing.assert_close(log_mel(torch.zeros(1, 1, 4000), 8000.0, 40), torch.zeros(1, 1, 40, 50))
    assert view(torch.zeros(0, 1, 4000), spec(), mel_view(spec())).shape == (0, 1, 40, 50)


@pytest.mark.parametrize(("rate", "mels"), [(4000.0, 40), (8000.0, 40), (8000.0, 80), (11025.0, 64), (44100.0, 128)])
def test_no_band_lies_between_two_frequencies(rate: float, mels: int) -> None:
    noise = torch.randn(1, 1, int(rate), generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torchaudio warns of bands without any frequency
        mel = log_mel(noise, rate, mels)
    assert mel.shape[-2] == mels
    assert (mel.std(-1) > 0.02).all()


def test_a_device_of_half_the_rate_sees_the_same_frames() -> None:
    sound = torch.cat([tone(500.0), tone(900.0)], dim=2)
    full, half = mel_view(spec(8000)), mel_view(device_view(spec(8000), DeviceConfig(rate=4000.0)))
    assert half.shape == full.shape
    peaks = [view(sound, spec(8000), wanted)[0, 0].amax(0) for wanted in (full, half)]
    torch.testing.assert_close(*peaks, atol=0.3, rtol=0)


def test_other_rates_lengths_and_channels_are_brought_to_the_wanted() -> None:
    stereo = InputSpec(modality="audio", channels=("left", "right"), shape=(16000,), rate=16000.0)
    samples = torch.cat([torch.zeros(1, 1, 16000), tone(1000.0, 16000, 16000.0)], dim=1)
    wanted = mel_view(spec(6000, channels=("right",)))
    seen = view(samples, stereo, wanted)
    expected = view(tone(1000.0, 8000), spec(8000, channels=("right",)), wanted)
    torch.testing.assert_close(seen, expected, atol=0.2, rtol=0)


def test_spectrograms_may_be_recorded_but_do_not_become_waveforms() -> None:
    recorded = spec(1).with_(axes=("mel", "time"), shape=(40, 20), rate=100.0)
    samples = torch.randn(2, 1, 40, 20)
    assert torch.equal(view(samples, recorded, recorded), samples)
    with pytest.raises(InputError, match="expects samples over time, and the recording is over mel x time"):
        view(samples, recorded, spec())


def test_fit_takes_the_whole_numbers_of_a_recording() -> None:
    samples = np.array([[[0, 2, 4]], [[6, 8, 10]]], np.int16)
    fitted = MODALITIES.get("audio").fit(samples, spec(3))
    assert fitted.mean == (5.0,)
    assert fitted.std == pytest.approx((math.sqrt(35 / 3),))


def test_summary_is_a_spectrogram_where_there_can_be_one() -> None:
    assert summary_view(spec()) == mel_view(spec())
    for other in (spec(rate=None), spec(rate=100.0), mel_view(spec())):
        assert summary_view(other) == other


@pytest.mark.parametrize("form", [spec(), mel_view(spec())], ids=["waveform", "spectrogram"])
def test_augment_obeys_its_generator_alone(form: InputSpec) -> None:
    views = torch.randn(4, 1, *form.shape)
    kept = views.clone()
    torch.manual_seed(1)
    first = augment(views, form, torch.Generator().manual_seed(5))
    torch.manual_seed(2)
    assert torch.equal(first, augment(views, form, torch.Generator().manual_seed(5)))
    assert not torch.equal(first, augment(views, form, torch.Generator().manual_seed(6)))
    assert torch.equal(views, kept)
    assert first.shape == views.shape


@pytest.mark.parametrize("form", [spec(), mel_view(spec())], ids=["waveform", "spectrogram"])
def test_augment_changes_each_row_in_its_own_way_but_mildly(form: InputSpec) -> None:
    sound = view(tone(700.0).expand(16, 1, 4000), spec(), form)
    changed = augment(sound, form, torch.Generator().manual_seed(0))
    assert not torch.equal(changed[0], changed[1])
    likeness = torch.nn.functional.cosine_similarity(changed.abs().flatten(1), sound.abs().flatten(1))
    assert likeness.mean() > 0.5
    assert changed.std().item() == pytest.approx(sound.std().item(), rel=0.3)
