"""A fleet of speakers who never lived: short spoken commands simulated from a model of voices and rooms.

A buzz at the speaker's pitch, and breath where the voice is silent, excite a vocal tract whose resonances glide from
the targets of one sound to those of the next: the source-filter model of Fant, "Acoustic Theory of Speech Production",
1960. Then a room echoes it, and a microphone colours it and adds noise. Speakers differ in pitch, tract, accent, tempo
and breathiness. Some share a kind of voice, some a kind of room, so it matters whom a newcomer learns from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hatlit.datamodules.base import Domain, DomainSet, register_dataset
from hatlit.datamodules.synthetic.common import refuse_root
from hatlit.encoders.base import InputSpec

RATE = 8000  # Hz
LENGTH = 4800  # samples, 0.6 s
TAKES = 20  # of each word by each speaker

_HOP = 80  # samples, a frame of the vocal tract
_FRAME = 160  # samples, excited at a time; frames overlap by half
_FFT = 256
_FREQUENCIES = np.fft.rfftfreq(_FFT, 1 / RATE).astype(np.float32)  # Hz


@dataclass(frozen=True)
class Sound:
    """What mouth and throat do during one sound.

    Attributes:
        formants: resonances of the vocal tract (Hz); of a hiss, where it is loudest.
        voice: loudness of the buzz.
        breath: loudness of the hiss.
        length: seconds.
    """

    formants: tuple[float, float, float]
    voice: float
    breath: float
    length: float


#: Vowels after Peterson and Barney, "Control Methods Used in a Study of the Vowels", 1952.
_SOUNDS = {
    "a": Sound((730, 1090, 2440), 1.0, 0.02, 0.14),
    "e": Sound((530, 1840, 2480), 0.9, 0.02, 0.12),
    "i": Sound((270, 2290, 3010), 0.7, 0.02, 0.10),
    "o": Sound((570, 840, 2410), 1.0, 0.02, 0.13),
    "u": Sound((300, 870, 2240), 0.7, 0.02, 0.10),
    "n": Sound((250, 1400, 2500), 0.35, 0.0, 0.08),
    "l": Sound((360, 1100, 2600), 0.5, 0.0, 0.07),
    "g": Sound((250, 1500, 2200), 0.25, 0.05, 0.05),
    "s": Sound((3300, 3600, 3900), 0.0, 0.5, 0.12),
    "f": Sound((1200, 2400, 3600), 0.0, 0.15, 0.09),
    "t": Sound((2600, 3200, 3800), 0.0, 0.4, 0.03),
    "p": Sound((700, 1500, 2400), 0.0, 0.3, 0.03),
    "-": Sound((500, 1500, 2500), 0.0, 0.0, 0.05),
}
_WORDS = {"yes": "ies", "no": "nou", "go": "gou", "down": "gaun", "left": "lef-t", "stop": "s-top"}
WORDS = tuple(_WORDS)
_VOICES = ((105.0, 1.15), (140.0, 1.0), (215.0, 0.84))  # pitch (Hz), length of the vocal tract relative to the middle
_ROOMS = 2
_PARAMETERS = 5  # of a sound: three formants, voice, breath


@dataclass(frozen=True)
class _Speaker:
    """One person in front of one microphone."""

    pitch: float  # Hz
    formants: np.ndarray  # (sounds, 3) Hz
    lengths: np.ndarray  # (sounds,) s
    breathiness: float  # factor on every breath
    tilt: float  # how fast the buzz loses strength toward high frequencies
    echo: np.ndarray  # (time,) answer of the room to a click
    colour: np.ndarray  # (frequencies,) gain of the microphone
    noise: float  # standard deviation, relative to that of the speech
    level: float  # standard deviation of a recording, of int16


@register_dataset("demo", "audio")
def demo(root: Path | None, modality: str) -> DomainSet:
    """Synthetic: 12 simulated speakers x 6 spoken commands of 0.6 s, microphone at 8 kHz.

    Licence: as the package itself; nothing here was recorded.
    Citation: none; the model stands in ``hatlit.datamodules.synthetic.audio``.

    Raises:
        InputError: a root was given.
    """
    refuse_root(root)
    return DomainSet("demo", modality, build_fleet(), WORDS, is_demo=True)


def build_fleet(num_domains: int = 12, seed: int = 0) -> tuple[Domain, ...]:
    """Simulates a fleet. Domain number n is the same in fleets of any size with the same seed.

    Args:
        num_domains: how many speakers.
        seed: of everything random.

    Returns:
        Domains named ``demo-01`` and so on, with ``TAKES`` takes of each of six words, (N, 1, time) int16.
    """
    return tuple(_record(number, seed) for number in range(num_domains))


def _record(number: int, seed: int) -> Domain:
    rng = np.random.default_rng((seed, 1, number))
    speaker = _meet(number, seed, rng)
    words = np.concatenate([_speak(speaker, word, rng) for word in _WORDS.values()])
    samples = _microphone(words, speaker, rng)
    return Domain(
        name=f"demo-{number + 1:02d}",
        samples=samples[:, None],
        labels=np.repeat(np.arange(len(WORDS)), TAKES),
        groups=np.arange(len(samples)),
        recorded=InputSpec(modality="audio", channels=("microphone",), shape=(LENGTH,), rate=float(RATE)),
        class_names=WORDS,
    )


def _meet(number: int, seed: int, rng: np.random.Generator) -> _Speaker:
    """Draws a speaker: first the kind of voice and room, shared with others, then what is the speaker's own."""
    kind, place = number % len(_VOICES), number // len(_VOICES) % _ROOMS
    voice, room = np.random.default_rng((seed, 2, kind)), np.random.default_rng((seed, 3, place))
    pitch, tract = _VOICES[kind]
    formants = np.array([sound.formants for sound in _SOUNDS.values()])
    accent = voice.normal(0, 0.2, formants.shape) + rng.normal(0, 0.05, formants.shape)
    tempo = voice.normal(0, 0.3, len(formants)) + rng.normal(0, 0.1, len(formants))
    return _Speaker(
        pitch=pitch * np.exp(rng.normal(0, 0.08)),
        formants=formants * np.exp(accent + rng.normal(0, 0.03)) / tract,
        lengths=np.array([sound.length for sound in _SOUNDS.values()]) * np.exp(tempo),
        breathiness=np.exp(rng.normal(0, 0.4)),
        tilt=voice.uniform(0.7, 1.3) + rng.normal(0, 0.1),
        echo=_echo(room.uniform(0.02, 0.12), room.uniform(0.1, 0.4), rng),
        colour=_colour(room.normal(0, 0.6, 6) + rng.normal(0, 0.3, 6)),
        noise=room.uniform(0.03, 0.2) * np.exp(rng.normal(0, 0.3)),
        level=np.exp(rng.normal(6.5, 0.7)),
    )


def _echo(seconds: float, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A click and the noise that follows it, which decays within about ``seconds``."""
    time = np.arange(LENGTH // 2) / RATE
    tail = rng.normal(size=len(time)) * np.exp(-time / seconds)
    tail *= strength / np.linalg.norm(tail)
    tail[0] = 1.0
    return tail


def _colour(decibels: np.ndarray) -> np.ndarray:
    """A gain for every frequency of a whole recording, smooth between a few drawn ones (six dB a unit)."""
    frequencies = np.fft.rfftfreq(2 * LENGTH, 1 / RATE)
    knots = np.linspace(0, RATE / 2, len(decibels))
    return 2.0 ** np.interp(frequencies, knots, decibels)


def _speak(speaker: _Speaker, word: str, rng: np.random.Generator) -> np.ndarray:
    """Simulates all takes of one word (takes, time), before room and microphone."""
    tract = _articulate(speaker, word, rng).astype(np.float32)
    formants, voice, breath = tract[..., :3], tract[..., 3], tract[..., 4]
    frames = tract.shape[1]
    pitch = speaker.pitch * np.exp(rng.normal(0, 0.06, (TAKES, 1)) + 0.15 * np.linspace(0.5, -0.5, frames))
    buzz, hiss = _buzz(pitch, rng), rng.standard_normal((TAKES, LENGTH), dtype=np.float32)
    tilt = (1 + _FREQUENCIES / 300) ** np.float32(-speaker.tilt)
    excited = voice[..., None] * tilt * _spectra(buzz) + np.float32(speaker.breathiness) * breath[..., None] * _spectra(
        hiss
    )
    return _overlap(excited * _resonances(formants))


def _articulate(speaker: _Speaker, word: str, rng: np.random.Generator) -> np.ndarray:
    """How the vocal tract moves: (takes, frames, parameters), gliding from sound to sound."""
    names = list(_SOUNDS)
    sounds = np.array([names.index(name) for name in f"-{word}-"])
    loudness = np.array([(sound.voice, sound.breath) for sound in _SOUNDS.values()])
    targets = np.concatenate([speaker.formants, loudness], axis=1)[sounds]  # (sounds, parameters)
    targets = targets * np.exp(rng.normal(0, 0.06, (TAKES, *targets.shape)))
    targets[:, [0, -1], :3] = targets[:, [1, -2], :3]  # before and after a word the mouth is set for its first and last
    lengths = speaker.lengths[sounds[1:-1]] * np.exp(
        rng.normal(0, 0.1, (TAKES, 1)) + rng.normal(0, 0.1, (TAKES, len(sounds) - 2))
    )
    rest = LENGTH / RATE - lengths.sum(1, keepdims=True)
    starts = np.clip(rest, 0.02, None) * rng.uniform(0.3, 0.7, (TAKES, 1))
    bounds = np.cumsum(np.concatenate([starts, lengths], axis=1), axis=1)  # s, where one sound gives way to the next
    time = np.arange(LENGTH // _HOP) * _HOP / RATE
    sounding = (time[None, :, None] >= bounds[:, None, :]).sum(2)
    return _glide(np.take_along_axis(targets, sounding[..., None].repeat(_PARAMETERS, axis=2), axis=1))


def _glide(tract: np.ndarray) -> np.ndarray:
    """Smooths (takes, frames, parameters) over about 50 ms."""
    kernel = np.hanning(7)[1:-1] / np.hanning(7).sum()
    padded = np.pad(tract, ((0, 0), (2, 2), (0, 0)), mode="edge")
    return np.einsum("tfpk,k->tfp", np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=1), kernel)


def _buzz(pitch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pulses (takes, time) at a pitch (takes, frames) in Hz."""
    turns = rng.uniform(0, 1, (len(pitch), 1)) + np.cumsum(np.repeat(pitch, _HOP, axis=1) / RATE, axis=1)
    # As strong as noise of variance one, whatever the pitch.
    pulses = np.diff(np.floor(turns), axis=1, prepend=0).clip(0, 1) * np.sqrt(RATE / pitch.mean())
    return pulses.astype(np.float32)


def _resonances(formants: np.ndarray) -> np.ndarray:
    """Gain (takes, frames, frequencies) of a vocal tract with formants (takes, frames, 3) in Hz side by side."""
    width = 50 + 0.06 * formants  # Hz, to either side
    away = (_FREQUENCIES - formants[..., None]) / width[..., None]
    return np.einsum("tfkb,k->tfb", 1 / np.sqrt(1 + away * away), np.array([1.0, 0.6, 0.4], np.float32))


def _spectra(excitation: np.ndarray) -> np.ndarray:
    """Spectra (takes, frames, frequencies) of the overlapping frames of (takes, time)."""
    padded = np.pad(excitation, ((0, 0), (0, _FRAME - _HOP)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME, axis=1)[:, ::_HOP]
    return np.fft.rfft(frames * np.hanning(_FRAME).astype(np.float32), _FFT)


def _overlap(spectra: np.ndarray) -> np.ndarray:
    """Adds overlapping frames up again: (takes, frames, frequencies) to (takes, time)."""
    pieces = np.fft.irfft(spectra, _FFT)
    total = np.zeros((len(pieces), LENGTH + _FFT), pieces.dtype)
    for frame in range(pieces.shape[1]):
        total[:, frame * _HOP : frame * _HOP + _FFT] += pieces[:, frame]
    return total[:, :LENGTH]


def _microphone(words: np.ndarray, speaker: _Speaker, rng: np.random.Generator) -> np.ndarray:
    """Adds what room and microphone do to words (takes, time); returns int16."""
    answer = (np.fft.rfft(speaker.echo, 2 * LENGTH) * speaker.colour).astype(np.complex64)
    heard = np.fft.irfft(np.fft.rfft(words, 2 * LENGTH) * answer, 2 * LENGTH)[:, :LENGTH]
    heard += np.float32(speaker.noise) * heard.std() * rng.standard_normal(heard.shape, dtype=np.float32)
    loudness = speaker.level * np.exp(rng.normal(0, 0.2, (len(words), 1)))
    return np.clip(np.rint(heard / heard.std() * loudness), -32768, 32767).astype(np.int16)
