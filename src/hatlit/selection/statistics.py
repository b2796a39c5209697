"""What a domain publishes of its raw signal so that others can judge from afar how alike they are.

A statistic maps each sample to a few numbers; a domain publishes no more than their mean and their spread. Everybody
computes them on the same view (``common_view``) and, where a statistic draws at random, from the same public seed. A
modality whose samples are not measurements registers statistics of its own under the same names.
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

from hatlit.datamodules.base import MODALITIES, Domain
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.registry import Registry

#: An entry of the registry: maps samples (N, channels, *shape), their spec and a public seed to features (N, S), each
#: row of its own sample alone.
Statistic = Callable[[Tensor, InputSpec, int], Tensor]

STATISTICS: Registry[Statistic] = Registry("statistic", home="hatlit.selection", group="hatlit.statistics")

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NUM_KERNELS = 200
KERNEL_LENGTH = 9  # of a time series; on a grid a kernel is three by three

# Below this share of the largest value, what is left after subtracting the mean is rounding of float32.
_ROUNDING = 1e-6
# Keeps the logarithm of a silent band finite; small enough for signals recorded in volts.
_SILENCE = 1e-12
# Numbers handled at a time, so that memory does not grow with the number of samples.
_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class Profile:
    """The statistics of one domain, or of N domains stacked.

    Attributes:
        mean: (S,) or (N, S) float32, of each feature over the samples of a domain.
        spread: (S,) or (N, S) float32, standard deviation of each feature over the samples of a domain.
    """

    mean: np.ndarray
    spread: np.ndarray


def register_statistics(name: str | None = None, modality: str | None = None) -> Callable[[Statistic], Statistic]:
    """Returns a decorator that names a statistic; ``modality`` None means that it serves every modality."""
    return STATISTICS.register(name, modality)


def profile(name: str, samples: Tensor, spec: InputSpec, seed: int) -> Profile:
    """Computes what a domain publishes.

    Args:
        name: statistic in the registry.
        samples: (N, channels, *shape) the domain's samples, in the view of ``spec``.
        spec: the view that all domains of the zoo share; see ``common_view``.
        seed: public seed of what is drawn at random, the same for all domains of the zoo.

    Raises:
        InputError: the name is unknown, there are no samples, they do not have the form of ``spec``, or hold numbers
            that are not finite.
    """
    statistic = STATISTICS.get(name, spec.modality)
    expected = (spec.num_channels, *spec.shape)
    if len(samples) == 0 or tuple(samples.shape[1:]) != expected:
        raise InputError(
            f"Statistic '{name}' wants one or more samples {expected} (channels, {', '.join(spec.axes)}), "
            f"not an array of shape {tuple(samples.shape)}."
        )
    rows = max(1, _CHUNK // samples[0].numel())
    features = torch.cat([statistic(chunk, spec, seed) for chunk in samples.split(rows)]).double()
    if not features.isfinite().all():
        raise InputError(f"Statistic '{name}' is not finite; the samples must not hold NaN, infinity or huge numbers.")
    return Profile(
        mean=features.mean(0).cpu().numpy().astype(np.float32),
        spread=features.std(0, correction=0).cpu().numpy().astype(np.float32),
    )


def common_view(domains: Sequence[Domain]) -> InputSpec:
    """Returns the view on which all statistics of one zoo are computed.

    It has the channels that all domains share (in the order of the first), the lowest rate, the shortest duration
    in samples at that rate, and the smallest size of every other axis; the modality may sum that up further. It does
    not normalise: offsets and amplitudes tell domains apart.

    Raises:
        InputError: there are no domains, they differ in modality or axes, share no channel, or only some have a rate.
    """
    specs = [domain.recorded for domain in domains]
    if not specs:
        raise InputError("Statistics need at least one domain.")
    if len({spec.modality for spec in specs}) > 1:
        raise InputError(f"Domains to compare must share one modality, not {sorted({s.modality for s in specs})}.")
    if len({spec.axes for spec in specs}) > 1:
        layouts = sorted({" x ".join(spec.axes) for spec in specs})
        raise InputError(f"Domains to compare must be laid out alike, not over {' and '.join(layouts)}.")
    shared = set.intersection(*(set(spec.channels) for spec in specs))
    if not shared:
        raise InputError("The domains have no channel in common, so there is nothing to compare them by.")
    rate, time = _common_time(specs)
    smallest = [min(sizes) for sizes in zip(*(spec.shape for spec in specs), strict=True)]
    shape = tuple(time if axis == "time" else size for axis, size in zip(specs[0].axes, smallest, strict=True))
    channels = tuple(channel for channel in specs[0].channels if channel in shared)
    view = InputSpec(modality=specs[0].modality, channels=channels, shape=shape, axes=specs[0].axes, rate=rate)
    return MODALITIES.get(view.modality).summary_view(view)


def _common_time(specs: Sequence[InputSpec]) -> tuple[float | None, int]:
    """Returns the lowest rate and the shortest duration in samples at that rate, 0 where there is no time."""
    rates = [spec.rate for spec in specs if spec.rate is not None]
    times = [dict(zip(spec.axes, spec.shape, strict=True)).get("time", 0) for spec in specs]
    if not rates:
        return None, min(times)
    if len(rates) < len(specs):
        raise InputError("Either all domains to compare have a sampling rate, or none has.")
    rate = min(rates)
    samples = min(time * (rate / own) for time, own in zip(times, rates, strict=True))
    # 96 samples at 32 Hz must not become 95 by rounding.
    return rate, max(1, math.floor(samples + 1e-6))


@register_statistics()
def moments(samples: Tensor, spec: InputSpec, seed: int) -> Tensor:
    """Mean, standard deviation, skewness and kurtosis of each channel; the last two are 0 where it is constant.

    Maps samples (N, channels, *shape) to (N, 4 x channels). The moments are those of the population; the kurtosis of a
    normal distribution is 3.
    """
    values = samples.flatten(2)
    mean = values.mean(2)
    std = values.std(2, correction=0)
    constant = std <= _ROUNDING * values.abs().amax(2)
    standard = (values - mean[..., None]) / torch.where(constant, 1, std)[..., None]
    standard = torch.where(constant[..., None], 0, standard)
    return torch.cat([mean, std, standard.pow(3).mean(2), standard.pow(4).mean(2)], 1)


@register_statistics()
def quantiles(samples: Tensor, spec: InputSpec, seed: int) -> Tensor:
    """The 5, 25, 50, 75 and 95 % quantiles of each channel.

    Maps samples (N, channels, *shape) to (N, 5 x channels), interpolating between neighbours.
    """
    levels = torch.tensor(QUANTILES, dtype=samples.dtype, device=samples.device)
    return torch.cat(list(torch.quantile(samples.flatten(2), levels, dim=2)), 1)


@register_statistics()
def band_energies(samples: Tensor, spec: InputSpec, seed: int) -> Tensor:
    """Logarithm of the energy of each channel in octaves: 0 to 1 Hz, 1 to 2, 2 to 4 and so on up to half the rate.

    Maps samples (N, channels, time) to (N, bands x channels). With the Hann window w and the spectrum X of w(x - mean),
    the energy of a band is the sum of |X_f|² over its frequencies, both signs, divided by T Σ w². That is the band's
    part of the variance of x, whatever the length T of the window.

    Raises:
        InputError: the samples are not time series, or have no rate.
    """
    rate = spec.rate
    if rate is None or spec.axes != ("time",):
        raise InputError(
            "Band energies need a time series with a sampling rate, and this recording is none; use other statistics."
        )
    time = samples.shape[2]
    hann = torch.hann_window(time, dtype=samples.dtype, device=samples.device)
    centred = samples - samples.mean(2, keepdim=True)
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
def handcrafted(samples: Tensor, spec: InputSpec, seed: int) -> Tensor:
    """Moments, quantiles and, of time series that have a rate, band energies together.

    Maps samples (N, channels, *shape) to (N, (9 + bands) x channels).
    """
    has_bands = spec.rate is not None and spec.axes == ("time",)
    parts = (moments, quantiles, band_energies) if has_bands else (moments, quantiles)
    return torch.cat([part(samples, spec, seed) for part in parts], 1)


@register_statistics()
def random_kernels(samples: Tensor, spec: InputSpec, seed: int) -> Tensor:
    """Largest answer and share of positive answers of 200 fixed random convolutions.

    Maps samples (N, channels, *shape) to (N, 400): all maxima, then all shares. A kernel is nine places long on a time
    series, three by three on a grid, and a single place on a cloud of points, which have no neighbours. After ROCKET
    (Dempster, Petitjean and Webb 2020, https://arxiv.org/abs/1910.13051) with three changes: the samples are not
    standardised and the kernels not centred, because amplitude and offset (for an accelerometer, which way is down)
    tell users apart; there is no bias, so that a change of unit leaves the shares alone and only scales the maxima; the
    dilations are dealt out evenly.
    """
    form = _kernel_form(spec)
    convolve = F.conv1d if len(form) == 1 else F.conv2d
    maxima, shares = [], []
    for dilation, weights in _kernels(spec.num_channels, form, min(spec.shape), seed).items():
        kernels = torch.from_numpy(weights).to(samples)
        answers = convolve(samples, kernels, padding=dilation * (form[0] // 2), dilation=dilation).flatten(2)
        maxima.append(answers.amax(2))
        shares.append((answers > 0).to(answers.dtype).mean(2))
    return torch.cat(maxima + shares, 1)


def _kernel_form(spec: InputSpec) -> tuple[int, ...]:
    """The sizes of a kernel along the axes.

    Raises:
        InputError: samples have more than two axes.
    """
    if spec.axes == ("point",):
        return (1,)
    if len(spec.axes) > 2:
        raise InputError(f"Random kernels see one or two axes, not {' x '.join(spec.axes)}; use other statistics.")
    return (KERNEL_LENGTH,) if len(spec.axes) == 1 else (3, 3)


def _kernels(channels: int, form: tuple[int, ...], side: int, seed: int) -> dict[int, np.ndarray]:
    """Draws kernels (kernels, channels, *form) float32 by dilation, each of a random few of the channels.

    The dilations are the powers of two with which a kernel still fits into the shortest side. As in ROCKET, the number
    of channels is log-uniform: half of the kernels or so see a single one.
    """
    # numpy promises that RandomState draws the same numbers in every version, which it does not of its Generator.
    random = np.random.RandomState(seed)
    longest = max(1, (side - 1) // max(1, form[0] - 1)) if form != (1,) else 1
    dilations = [2**power for power in range(longest.bit_length())]
    drawn: dict[int, list[np.ndarray]] = defaultdict(list)
    for number in range(NUM_KERNELS):
        seen = int(2 ** random.uniform(0, math.log2(min(channels, KERNEL_LENGTH) + 1)))
        weights = np.zeros((channels, *form), np.float32)
        weights[random.permutation(channels)[:seen]] = random.standard_normal((seen, *form))
        drawn[dilations[number % len(dilations)]].append(weights)
    return {dilation: np.stack(weights) for dilation, weights in drawn.items()}
