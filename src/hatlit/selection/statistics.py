"""What a domain publishes of its raw signal so that others can judge from afar how alike they are.

A statistic maps each window to a few numbers; a domain publishes no more than their mean and their spread. Everybody
computes them on the same view (``common_view``) and, where a statistic draws at random, from the same public seed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hatlit.datamodules.base import Domain
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.registry import Registry

#: An entry of the registry: maps windows (N, channels, time), their rate in Hz (None where time has no meaning) and a
#: public seed to features (N, S), each row of its own window alone.
Statistic = Callable[[Tensor, float | None, int], Tensor]

STATISTICS: Registry[Statistic] = Registry("statistic", home="hatlit.selection.statistics", group="hatlit.statistics")

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NUM_KERNELS = 200
KERNEL_LENGTH = 9

# Below this share of the largest value, what is left after subtracting the mean is rounding of float32.
_ROUNDING = 1e-6
# Keeps the logarithm of a silent band finite; small enough for signals recorded in volts.
_SILENCE = 1e-12
# Numbers handled at a time, so that memory does not grow with the number of windows.
_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class Profile:
    """The statistics of one domain, or of N domains stacked.

    Attributes:
        mean: (S,) or (N, S) float32, of each feature over the windows of a domain.
        spread: (S,) or (N, S) float32, standard deviation of each feature over the windows of a domain.
    """

    mean: np.ndarray
    spread: np.ndarray


def register_statistics(name: str | None = None, modality: str | None = None) -> Callable[[Statistic], Statistic]:
    """Returns a decorator that names a statistic; ``modality`` None means that it serves every modality."""
    return STATISTICS.register(name, modality)


def profile(name: str, windows: Tensor, spec: InputSpec, seed: int) -> Profile:
    """Computes what a domain publishes.

    Args:
        name: statistic in the registry.
        windows: (N, channels, time) the domain's samples, in the view of ``spec``.
        spec: the view that all domains of the zoo share; see ``common_view``.
        seed: public seed of what is drawn at random, the same for all domains of the zoo.

    Raises:
        InputError: the name is unknown, there are no windows, they do not have the form of ``spec``, or hold numbers
            that are not finite.
    """
    statistic = STATISTICS.get(name, spec.modality)
    expected = (spec.num_channels, *spec.shape)
    if len(windows) == 0 or windows.ndim != 3 or tuple(windows.shape[1:]) != expected:
        raise InputError(
            f"Statistic '{name}' wants one or more windows {expected} (channels, time), not an array of shape "
            f"{tuple(windows.shape)}."
        )
    rows = max(1, _CHUNK // windows[0].numel())
    features = torch.cat([statistic(chunk, spec.rate, seed) for chunk in windows.split(rows)]).double()
    if not features.isfinite().all():
        raise InputError(f"Statistic '{name}' is not finite; the samples must not hold NaN, infinity or huge numbers.")
    return Profile(
        mean=features.mean(0).cpu().numpy().astype(np.float32),
        spread=features.std(0, correction=0).cpu().numpy().astype(np.float32),
    )


def common_view(domains: Sequence[Domain]) -> InputSpec:
    """Returns the view on which all statistics of one zoo are computed.

    It has the channels that all domains share (in the order of the first), the lowest rate, and the shortest duration
    in samples at that rate. It does not normalise: offsets and amplitudes tell domains apart.

    Raises:
        InputError: there are no domains, they differ in modality, share no channel, are not time series, or only some
            have a rate.
    """
    specs = [domain.recorded for domain in domains]
    if not specs:
        raise InputError("Statistics need at least one domain.")
    if len({spec.modality for spec in specs}) > 1:
        raise InputError(f"Domains to compare must share one modality, not {sorted({s.modality for s in specs})}.")
    if any(len(spec.shape) != 1 for spec in specs):
        raise InputError("Statistics exist for time series only, with one axis behind the channels.")
    shared = set.intersection(*(set(spec.channels) for spec in specs))
    if not shared:
        raise InputError("The domains have no channel in common, so there is nothing to compare them by.")
    rate, time = _common_time(specs)
    channels = tuple(channel for channel in specs[0].channels if channel in shared)
    return InputSpec(modality=specs[0].modality, channels=channels, shape=(time,), rate=rate)


def _common_time(specs: Sequence[InputSpec]) -> tuple[float | None, int]:
    """Returns the lowest rate and the shortest duration in samples at that rate."""
    rates = [spec.rate for spec in specs if spec.rate is not None]
    if not rates:
        return None, min(spec.shape[0] for spec in specs)
    if len(rates) < len(specs):
        raise InputError("Either all domains to compare have a sampling rate, or none has.")
    rate = min(rates)
    samples = min(spec.shape[0] * (rate / own) for spec, own in zip(specs, rates, strict=True))
    # 96 samples at 32 Hz must not become 95 by rounding.
    return rate, max(1, math.floor(samples + 1e-6))


@register_statistics()
def moments(windows: Tensor, rate: float | None, seed: int) -> Tensor:
    """Mean, standard deviation, skewness and kurtosis of each channel; the last two are 0 where it is constant.

    Maps windows (N, channels, time) to (N, 4 x channels). The moments are those of the population; the kurtosis of a
    normal distribution is 3.
    """
    mean = windows.mean(2)
    std = windows.std(2, correction=0)
    constant = std <= _ROUNDING * windows.abs().amax(2)
    standard = (windows - mean[..., None]) / torch.where(constant, 1, std)[..., None]
    standard = torch.where(constant[..., None], 0, standard)
    return torch.cat([mean, std, standard.pow(3).mean(2), standard.pow(4).mean(2)], 1)


@register_statistics()
def quantiles(windows: Tensor, rate: float | None, seed: int) -> Tensor:
    """The 5, 25, 50, 75 and 95 % quantiles of each channel.

    Maps windows (N, channels, time) to (N, 5 x channels), interpolating between neighbours.
    """
    levels = torch.tensor(QUANTILES, dtype=windows.dtype, device=windows.device)
    return torch.cat(list(torch.quantile(windows, levels, dim=2)), 1)


@register_statistics()
def band_energies(windows: Tensor, rate: float | None, seed: int) -> Tensor:
    """Logarithm of the energy of each channel in octaves: 0 to 1 Hz, 1 to 2, 2 to 4 and so on up to half the rate.

    Maps windows (N, channels, time) to (N, bands x channels). With the Hann window w and the spectrum X of w(x - mean),
    the energy of a band is the sum of |X_f|² over its frequencies, both signs, divided by T Σ w². That is the band's
    part of the variance of x, whatever the length T of the window.

    Raises:
        InputError: the windows have no rate.
    """
    if rate is None:
        raise InputError("Band energies need a sampling rate, and this recording has none; use other statistics.")
    time = windows.shape[2]
    hann = torch.hann_window(time, dtype=windows.dtype, device=windows.device)
    centred = windows - windows.mean(2, keepdim=True)
    energy = torch.fft.rfft(centred * hann).abs().square() / (time * hann.square().sum())
    # Every frequency but 0 and half the rate has a negative twin, which rfft leaves out.
    energy[..., 1 : (time + 1) // 2] *= 2
    edges = torch.tensor(_octaves(rate))
    bands = torch.bucketize(torch.fft.rfftfreq(time, 1 / rate), edges, right=True)
    parts = [energy[..., bands == band].sum(2) for band in range(len(edges) + 1)]
    return torch.log(torch.cat(parts, 1) + _SILENCE)


def _octaves(rate: float) -> list[float]:
    """Returns the frequencies (Hz) that part the bands: 1, 2, 4, ... below half the rate."""
    return [2.0**octave for octave in range(64) if 2.0**octave < rate / 2]


@register_statistics()
def handcrafted(windows: Tensor, rate: float | None, seed: int) -> Tensor:
    """Moments, quantiles and band energies together; no band energies where the windows have no rate.

    Maps windows (N, channels, time) to (N, (9 + bands) x channels).
    """
    parts = (moments, quantiles) if rate is None else (moments, quantiles, band_energies)
    return torch.cat([part(windows, rate, seed) for part in parts], 1)


@register_statistics()
def random_kernels(windows: Tensor, rate: float | None, seed: int) -> Tensor:
    """Largest answer and share of positive answers of 200 fixed random convolutions.

    Maps windows (N, channels, time) to (N, 400): all maxima, then all shares. After ROCKET (Dempster, Petitjean and
    Webb 2020, https://arxiv.org/abs/1910.13051) with three changes: the windows are not standardised and the kernels
    not centred, because amplitude and offset (for an accelerometer, which way is down) tell users apart; there is no
    bias, so that a change of unit leaves the shares alone and only scales the maxima; the dilations are dealt out
    evenly.
    """
    channels, time = windows.shape[1:]
    maxima, shares = [], []
    for dilation, weights in _kernels(channels, time, seed).items():
        kernels = torch.from_numpy(weights).to(windows)
        answers = F.conv1d(windows, kernels, padding=dilation * (KERNEL_LENGTH // 2), dilation=dilation)
        maxima.append(answers.amax(2))
        shares.append((answers > 0).to(answers.dtype).mean(2))
    return torch.cat(maxima + shares, 1)


def _kernels(channels: int, time: int, seed: int) -> dict[int, np.ndarray]:
    """Draws kernels (kernels, channels, KERNEL_LENGTH) float32 by dilation, each of a random few of the channels.

    The dilations are the powers of two with which a kernel still fits into the window. As in ROCKET, the number of
    channels is log-uniform: half of the kernels or so see a single one.
    """
    # numpy promises that RandomState draws the same numbers in every version, which it does not of its Generator.
    random = np.random.RandomState(seed)
    longest = max(1, (time - 1) // (KERNEL_LENGTH - 1))
    dilations = [2**power for power in range(longest.bit_length())]
    drawn: dict[int, list[np.ndarray]] = defaultdict(list)
    for number in range(NUM_KERNELS):
        seen = int(2 ** random.uniform(0, math.log2(min(channels, KERNEL_LENGTH) + 1)))
        weights = np.zeros((channels, KERNEL_LENGTH), np.float32)
        weights[random.permutation(channels)[:seen]] = random.standard_normal((seen, KERNEL_LENGTH))
        drawn[dilations[number % len(dilations)]].append(weights)
    return {dilation: np.stack(weights) for dilation, weights in drawn.items()}
