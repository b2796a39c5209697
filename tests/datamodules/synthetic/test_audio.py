from __future__ import annotations

import numpy as np
import pytest
import torch

from hatlit.datamodules.audio import view
from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.synthetic.audio import (
    LENGTH,
    RATE,
    TAKES,
    WORDS,
    _buzz,
    _overlap,
    _resonances,
    _spectra,
)
from hatlit.encoders.audio import mel_view


def test_what_the_fleet_looks_like(demo: DomainSet) -> None:
    assert demo.class_names == WORDS
    for domain in demo.domains:
        assert domain.samples.shape == (TAKES * len(WORDS), 1, LENGTH)
        assert domain.samples.dtype == np.int16
        assert (domain.recorded.shape, domain.recorded.rate) == ((LENGTH,), float(RATE))
        assert np.bincount(domain.labels).tolist() == [TAKES] * len(WORDS)
        assert len(set(domain.groups)) == len(domain)
        assert domain.samples.std(axis=2).min() > 10
        assert (np.abs(domain.samples.astype(int)) == 32768).mean() < 0.01  # hardly anything is clipped


@pytest.fixture(scope="module")
def table(demo: DomainSet, transfer, nearest_centroid) -> np.ndarray:
    """Accuracy (home, away) of the nearest mean spectrogram."""

    def spectrograms(domain: Domain, rows: np.ndarray) -> np.ndarray:
        samples = torch.from_numpy(domain.samples[rows])
        return view(samples, domain.recorded, mel_view(domain.recorded)).flatten(1).double().numpy()

    return transfer(demo.domains, spectrograms, nearest_centroid)


def test_a_speaker_is_understood_at_home_and_less_so_elsewhere(table: np.ndarray) -> None:
    others = table[~np.eye(len(table), dtype=bool)]
    assert np.diag(table).mean() > others.mean() + 0.2
    assert others.mean() > 1.5 / len(WORDS)


def test_who_shares_a_voice_is_understood_best(table: np.ndarray) -> None:
    number = np.arange(len(table))
    alike, others = number[:, None] % 3 == number % 3, ~np.eye(len(table), dtype=bool)
    assert table[alike & others].mean() > table[~alike].mean() + 0.1


def test_a_buzz_has_the_pitch_it_is_given() -> None:
    pulses = _buzz(np.full((2, LENGTH // 80), 100.0), np.random.default_rng(0))
    assert np.count_nonzero(pulses, axis=1) == pytest.approx([60, 60], abs=1)  # in 0.6 s
    assert (pulses**2).mean() == pytest.approx(1, rel=0.05)


def test_frames_add_up_to_what_they_were_cut_from() -> None:
    sound = np.random.default_rng(0).standard_normal((2, LENGTH), dtype=np.float32)
    inner = slice(160, -160)
    np.testing.assert_allclose(_overlap(_spectra(sound))[:, inner], sound[:, inner], atol=0.05)


def test_a_vocal_tract_resonates_at_its_formants() -> None:
    gain = _resonances(np.array([[[500.0, 1500.0, 2500.0]]], np.float32))[0, 0]
    peaks = [bin for bin in range(1, 128) if gain[bin] > max(gain[bin - 1], gain[bin + 1])]
    assert [bin * RATE / 256 for bin in peaks] == pytest.approx([500, 1500, 2500], abs=32)
