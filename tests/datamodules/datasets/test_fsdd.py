from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from hatlit.datamodules.datasets.arrays import arrays
from hatlit.datamodules.datasets.fsdd import fsdd
from hatlit.errors import InputError


def write(root: Path, name: str, samples: np.ndarray, rate: int = 8000, channels: int = 1) -> Path:
    path = root / "recordings" / name
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as opened:
        opened.setnchannels(channels)
        opened.setsampwidth(samples.itemsize)
        opened.setframerate(rate)
        opened.writeframes(samples.tobytes())
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two speakers, words of several lengths, and what the reader must pass over."""
    write(tmp_path, "0_theo_0.wav", np.arange(1, 4, dtype="<i2"))
    write(tmp_path, "7_theo_10.wav", np.arange(9000, dtype="<i2"))
    write(tmp_path, "7_theo_2.wav", np.zeros(8000, dtype="<i2"))
    write(tmp_path, "3_george_0.wav", np.full(8000, -5, dtype="<i2"))
    (tmp_path / "recordings" / "notes.txt").write_text("prose")
    (tmp_path / "recordings" / "trimmed_3_george_0.wav").write_text("another name")
    return tmp_path


@pytest.mark.parametrize("inside", ["", "recordings"])
def test_words_of_each_speaker(root: Path, inside: str) -> None:
    fleet = fsdd(root / inside, "audio")
    assert fleet.names == ["george", "theo"]
    theo = fleet.domain("theo")
    assert theo.labels.tolist() == [0, 7, 7]
    assert len(set(theo.groups)) == 3
    assert theo.samples.shape == (3, 1, 8000)
    assert theo.samples.dtype == np.int16
    assert (theo.recorded.shape, theo.recorded.axes, theo.recorded.rate) == ((8000,), ("time",), 8000.0)
    assert (fleet.domain("george").samples == -5).all()


def test_short_words_lie_in_the_middle_and_long_ones_lose_their_end(root: Path) -> None:
    short, long, _ = fsdd(root, "audio").domain("theo").samples[:, 0]
    assert np.flatnonzero(short).tolist() == [3998, 3999, 4000]
    assert short[3998:4001].tolist() == [1, 2, 3]
    assert (long == np.arange(8000)).all()


@pytest.mark.parametrize(
    ("samples", "form", "fault"),
    [
        (np.zeros(8000, "<i2"), {"rate": 16000}, "1 channels of 16 bits at 16000 Hz"),
        (np.zeros(8000, "<i2"), {"channels": 2}, "2 channels of 16 bits at 8000 Hz"),
        (np.zeros(8000, "u1"), {}, "1 channels of 8 bits at 8000 Hz"),
    ],
)
def test_a_recording_of_another_form_is_named(
    root: Path, samples: np.ndarray, form: dict[str, int], fault: str
) -> None:
    write(root, "1_theo_0.wav", samples, **form)
    with pytest.raises(InputError, match=rf"1_theo_0\.wav' has {fault}"):
        fsdd(root, "audio")


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no sound at all, but quite a few bytes of it"])
def test_a_damaged_recording_is_named(root: Path, content: bytes) -> None:
    (root / "recordings" / "1_theo_0.wav").write_bytes(content)
    with pytest.raises(InputError, match=r"1_theo_0\.wav' is not a readable wav file: [^\n]+\.$"):
        fsdd(root, "audio")


def test_a_recording_without_sound_is_named(root: Path) -> None:
    write(root, "1_theo_0.wav", np.zeros(0, "<i2"))
    with pytest.raises(InputError, match=r"1_theo_0\.wav' holds no sound"):
        fsdd(root, "audio")


def test_refuses_no_root_and_folders_without_recordings(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data\.root"):
        fsdd(None, "audio")
    with pytest.raises(InputError, match=r"no free-spoken-digit-dataset/recordings"):
        fsdd(tmp_path, "audio")
    (tmp_path / "recordings").mkdir()
    with pytest.raises(InputError, match=r"named like 7_jackson_32\.wav"):
        fsdd(tmp_path, "audio")


@pytest.mark.real_data
def test_reads_what_the_arrays_hold(real_data_root: Path) -> None:
    fleet = fsdd(real_data_root / "raw" / "audio" / "fsdd", "audio")
    published = arrays(real_data_root / "audio-fsdd.npz", "audio")
    with np.load(real_data_root / "audio-fsdd.npz") as stored:
        take, speaker = stored["take"], stored["domain_names"][stored["domain"]]
    assert fleet.names == published.names
    for domain in fleet.domains:
        same = published.domain(domain.name)
        rows = take[speaker == domain.name] < 15  # the raw recordings that are at hand
        assert np.array_equal(domain.samples, same.samples[rows])
        assert np.array_equal(domain.labels, same.labels[rows])
        assert domain.recorded == same.recorded
