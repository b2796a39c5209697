"""How alike the target is to each source, judged by their statistics alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import EllipsisType

import numpy as np

from hatlit.errors import InputError
from hatlit.registry import Registry
from hatlit.selection.statistics import Profile

#: An entry of the registry: maps the target's profile (S,) and the sources' (N, S) to scores (N,), higher = more alike.
#: It takes profiles as published and does its own scaling; a source whose statistics are not finite scores NaN.
Similarity = Callable[[Profile, Profile], np.ndarray]

SIMILARITIES: Registry[Similarity] = Registry("similarity", home="hatlit.selection", group="hatlit.similarities")

JACCARD_BINS = 8

# A component whose standard deviation over the zoo is a smaller share of its size than this is constant: published
# statistics are float32.
_ROUNDING = 1e-6

# Small enough for the cache of a processor.
_ROWS_AT_A_TIME = 256

# Sources by which the quantiles of a large zoo are judged.
_SAMPLE = 4096


def register_similarity(name: str | None = None) -> Callable[[Similarity], Similarity]:
    """Returns a decorator that names a similarity."""
    return SIMILARITIES.register(name)


@dataclass(frozen=True, eq=False)
class Scale:
    """Where the statistics of a zoo lie and how far they spread, each column by itself, the means before the spreads.

    All of it is worked out a few sources at a time, so that no copy of the statistics of a large zoo is made.

    Attributes:
        usable: (N,) whether the statistics of a source are finite; those of the others count nowhere.
        centre: (2S,) mean over the zoo.
        deviation: (2S,) standard deviation over the zoo.
        size: (2S,) root of the mean square.
    """

    usable: np.ndarray
    centre: np.ndarray
    deviation: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, sources: Profile) -> Scale:
        """Measures the statistics (N, S) of a zoo.

        Raises:
            InputError: no source has finite statistics.
        """
        usable: np.ndarray = np.zeros(len(sources.mean), dtype=bool)
        width = 2 * sources.mean.shape[1]
        count, centre, squares = 0, np.zeros(width), np.zeros(width)
        for part in _parts(len(usable)):
            rows = _rows(sources, part)
            with np.errstate(invalid="ignore"):
                usable[part] = np.isfinite(rows.sum(axis=1))
            rows = rows if usable[part].all() else rows[usable[part]]
            if not len(rows):
                continue
            # Chan, Golub and LeVeque 1979: the squares of two parts, and what their means differ by.
            mean = rows.mean(axis=0)
            apart = mean - centre
            rows -= mean
            total = count + len(rows)
            squares += np.einsum("ij,ij->j", rows, rows) + apart**2 * (count * len(rows) / total)
            centre, count = centre + apart * (len(rows) / total), total
        if not count:
            raise InputError(
                "No source has finite statistics, so none can be compared with the target; rebuild the zoo."
            )
        return cls(usable, centre, np.sqrt(squares / count), np.sqrt(squares / count + centre**2))

    @property
    def constant(self) -> np.ndarray:
        """(2S,) whether a statistic is the same all over the zoo."""
        return self.deviation <= _ROUNDING * self.size

    @property
    def inverse(self) -> np.ndarray:
        """(2S,) one over the deviation, 0 for what is constant."""
        return np.where(self.constant, 0.0, 1.0 / np.where(self.constant, 1.0, self.deviation))

    def standardise(self, rows: np.ndarray) -> np.ndarray:
        """Scales statistics (..., 2S) to mean 0 and deviation 1 over the zoo; one that is constant there becomes 0."""
        return (rows - self.centre) * self.inverse

    def score(self, sources: Profile, score: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Asks ``score`` about statistics (rows, 2S) of a few sources at a time; NaN (N,) where they are not finite."""
        scores = np.full(len(self.usable), np.nan)
        for part in _parts(len(scores)):
            # What is not finite is set aside afterwards.
            with np.errstate(invalid="ignore", over="ignore"):
                scores[part] = score(_rows(sources, part))
        return np.where(self.usable, scores, np.nan)


def _parts(num_sources: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS_AT_A_TIME) for start in range(0, num_sources, _ROWS_AT_A_TIME))


def _rows(profile: Profile, part: slice | np.ndarray | EllipsisType = ...) -> np.ndarray:
    """Means and spreads side by side in float64, (..., 2S)."""
    return np.concatenate([profile.mean[part], profile.spread[part]], axis=-1, dtype=np.float64)


@register_similarity()
def cosine(target: Profile, sources: Profile) -> np.ndarray:
    """Cosine of the angle between standardised statistics (HaT, https://arxiv.org/abs/2412.04060).

    cos(s_t, s_i) = s_t · s_i / (‖s_t‖ ‖s_i‖), and 0 where either vector is 0.
    """
    scale = Scale.of(sources)
    wanted = scale.standardise(_rows(target))

    def score(rows: np.ndarray) -> np.ndarray:
        rows = scale.standardise(rows)
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows)) * np.linalg.norm(wanted)
        return rows @ wanted / np.where(norms == 0, 1.0, norms)

    return scale.score(sources, score)


@register_similarity()
def euclidean(target: Profile, sources: Profile) -> np.ndarray:
    """Negative Euclidean distance between standardised statistics: -‖s_t - s_i‖."""
    scale = Scale.of(sources)
    wanted, inverse = _rows(target), scale.inverse

    def score(rows: np.ndarray) -> np.ndarray:
        rows -= wanted
        rows *= inverse
        return -np.sqrt(np.einsum("ij,ij->i", rows, rows))

    return scale.score(sources, score)


@register_similarity()
def jaccard(target: Profile, sources: Profile) -> np.ndarray:
    """Jaccard index of binned statistics.

    Each statistic falls into one of 8 bins, parted by its quantiles over the zoo; over 4,096 sources of it, evenly
    spread, where there are more. A domain is the set of its (statistic, bin) pairs: |A ∩ B| / |A ∪ B| = m / (2D - m)
    where m of the D = 2S statistics fall into the same bin. What is constant over the zoo always does.
    """
    scale = Scale.of(sources)
    usable = np.flatnonzero(scale.usable)
    sample = usable[np.linspace(0, len(usable) - 1, min(len(usable), _SAMPLE)).round().astype(np.int64)]
    inner = np.quantile(_rows(sources, sample), np.arange(1, JACCARD_BINS) / JACCARD_BINS, axis=0)
    outside = np.full((1, inner.shape[1]), np.inf)
    edges = np.concatenate([-outside, inner, outside])
    own = (_rows(target) >= inner).sum(axis=0)
    lower, upper = (np.take_along_axis(edges, own[None] + side, axis=0)[0] for side in (0, 1))
    lower[scale.constant], upper[scale.constant] = -np.inf, np.inf

    def score(rows: np.ndarray) -> np.ndarray:
        agree = np.count_nonzero((rows >= lower) & (rows < upper), axis=1)
        return agree / (2 * rows.shape[1] - agree)

    return scale.score(sources, score)


@register_similarity()
def rbf_mmd(target: Profile, sources: Profile) -> np.ndarray:
    """Negative squared maximum mean discrepancy between domains taken as normal distributions.

    MMD² = E k(x, x') + E k(y, y') - 2 E k(x, y) (Gretton et al. 2012), the mean over components of
    k(x, y) = exp(-(x - y)² / 2σ²). A component of a domain is taken as N(m, s²), with m its mean and s its spread. Then
    x - y is N(m₁ - m₂, s₁² + s₂²), and the integral has a closed form, in units of the bandwidth σ:

        E k(x, y) = exp(-(m₁ - m₂)² / 2(1 + s₁² + s₂²)) / √(1 + s₁² + s₂²).

    The bandwidth σ of a component is its standard deviation over the whole zoo: σ² = var_i(m_i) + mean_i(s_i²).
    Components with no deviation at all are left out.
    """
    scale, width = Scale.of(sources), sources.mean.shape[1]
    means, spreads = slice(0, width), slice(width, None)
    bandwidth = np.hypot(scale.deviation[means], scale.size[spreads])
    varies = bandwidth > _ROUNDING * scale.size[means]
    if not varies.any():
        return np.where(scale.usable, 0.0, np.nan)
    # A component that does not vary is 0 in units of 0: it adds nothing, and is not counted.
    unit = np.where(varies, 1.0 / np.where(varies, bandwidth, 1.0), 0.0)
    m1, v1 = target.mean * unit, (target.spread * unit) ** 2
    precision = sources.mean.dtype  # once everything is in units of σ, that of the statistics is enough
    own = (1 / np.sqrt(1 + 2 * v1)).sum()

    def score(rows: np.ndarray) -> np.ndarray:
        difference = (rows[:, means] * unit - m1).astype(precision)
        variance = ((rows[:, spreads] * unit) ** 2).astype(precision)
        within = (1 / np.sqrt(1 + 2 * variance)).sum(axis=1)
        total = 1 + v1.astype(precision) + variance
        across = (np.exp(difference**2 / (-2 * total)) / np.sqrt(total)).sum(axis=1)
        return -(within + own - 2 * across) / np.count_nonzero(varies)

    return scale.score(sources, score)
