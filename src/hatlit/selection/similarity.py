"""How alike the target is to each source, judged by their statistics alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hatlit.errors import InputError
from hatlit.registry import Registry
from hatlit.selection.statistics import Profile

#: An entry of the registry: maps the target's profile (S,) and the sources' (N, S) to scores (N,), higher = more alike.
#: It takes profiles as published and does its own scaling; a source whose statistics are not finite scores NaN.
Similarity = Callable[[Profile, Profile], np.ndarray]

SIMILARITIES: Registry[Similarity] = Registry(
    "similarity", home="hatlit.selection.similarity", group="hatlit.similarities"
)

JACCARD_BINS = 8

# A component whose standard deviation over the zoo is a smaller share of its largest value than this is constant:
# published statistics are float32.
_ROUNDING = 1e-6


def register_similarity(name: str | None = None) -> Callable[[Similarity], Similarity]:
    """Returns a decorator that names a similarity."""
    return SIMILARITIES.register(name)


def standardise(target: Profile, sources: Profile) -> tuple[np.ndarray, np.ndarray]:
    """Scales every statistic to mean 0 and standard deviation 1 over the zoo; one that is constant there becomes 0.

    Args:
        target: arrays (S,).
        sources: arrays (N, S). Sources that are not finite do not count in the mean and deviation, and become NaN.

    Returns:
        (2S,) and (N, 2S) float64, the means before the spreads.

    Raises:
        InputError: no source has finite statistics.
    """
    means, spreads, usable = _usable(sources)
    rows = np.concatenate([means, spreads], axis=1)
    finite = rows[usable]
    centre, scale = finite.mean(axis=0), finite.std(axis=0)
    constant = scale <= _ROUNDING * np.abs(finite).max(axis=0)
    inverse = np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, scale))
    return (np.concatenate([target.mean, target.spread]) - centre) * inverse, (rows - centre) * inverse


def _usable(sources: Profile) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns means and spreads (N, S) in float64, NaN for sources that are not finite, and which (N,) are.

    Raises:
        InputError: none is.
    """
    usable = np.isfinite(sources.mean).all(axis=1) & np.isfinite(sources.spread).all(axis=1)
    if not usable.any():
        raise InputError("No source has finite statistics, so none can be compared with the target; rebuild the zoo.")
    means, spreads = (np.where(usable[:, None], array, np.nan) for array in (sources.mean, sources.spread))
    return means.astype(np.float64), spreads.astype(np.float64), usable


@register_similarity()
def cosine(target: Profile, sources: Profile) -> np.ndarray:
    """Cosine of the angle between standardised statistics (HaT, https://arxiv.org/abs/2412.04060).

    cos(s_t, s_i) = s_t · s_i / (‖s_t‖ ‖s_i‖), and 0 where either vector is 0.
    """
    wanted, rows = standardise(target, sources)
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(wanted)
    return rows @ wanted / np.where(norms == 0, 1.0, norms)


@register_similarity()
def euclidean(target: Profile, sources: Profile) -> np.ndarray:
    """Negative Euclidean distance between standardised statistics: -‖s_t - s_i‖."""
    wanted, rows = standardise(target, sources)
    return -np.linalg.norm(rows - wanted, axis=1)


@register_similarity()
def jaccard(target: Profile, sources: Profile) -> np.ndarray:
    """Jaccard index of binned statistics.

    Each statistic falls into one of 8 bins, parted by its quantiles over the zoo. A domain is the set of its
    (statistic, bin) pairs: |A ∩ B| / |A ∪ B| = m / (2D - m) where m of the D = 2S statistics fall into the same bin.
    """
    wanted, rows = standardise(target, sources)
    usable = ~np.isnan(rows).any(axis=1)
    edges = np.quantile(rows[usable], np.arange(1, JACCARD_BINS) / JACCARD_BINS, axis=0)
    agree = (_bins(rows, edges) == _bins(wanted, edges)).sum(axis=1)
    return np.where(usable, agree / (2 * rows.shape[1] - agree), np.nan)


def _bins(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Counts, for values (..., D), how many of the edges (bins - 1, D) each has reached."""
    return sum((values >= edge).astype(np.int64) for edge in edges)


@register_similarity()
def rbf_mmd(target: Profile, sources: Profile) -> np.ndarray:
    """Negative squared maximum mean discrepancy between domains taken as normal distributions.

    MMD² = E k(x, x') + E k(y, y') - 2 E k(x, y) (Gretton et al. 2012), the mean over components of
    k(x, y) = exp(-(x - y)² / 2σ²). A component of a domain is taken as N(m, s²), with m its mean and s its spread. Then
    x - y is N(m₁ - m₂, s₁² + s₂²), and the integral has a closed form:

        E k(x, y) = σ / √(σ² + s₁² + s₂²) · exp(-(m₁ - m₂)² / 2(σ² + s₁² + s₂²)).

    The bandwidth σ of a component is its standard deviation over the whole zoo: σ² = var_i(m_i) + mean_i(s_i²).
    Components with no deviation at all are left out.
    """
    means, spreads, usable = _usable(sources)
    variances = spreads**2
    bandwidth = means[usable].var(axis=0) + variances[usable].mean(axis=0)
    varies = bandwidth > (_ROUNDING * np.abs(means[usable]).max(axis=0)) ** 2
    if not varies.any():
        return np.where(usable, 0.0, np.nan)
    m1, v1 = target.mean.astype(np.float64)[varies], target.spread.astype(np.float64)[varies] ** 2
    m2, v2, b = means[:, varies], variances[:, varies], bandwidth[varies]
    within = _expected_kernel(0.0, 2 * v1, b) + _expected_kernel(0.0, 2 * v2, b)
    across = _expected_kernel(m1 - m2, v1 + v2, b)
    return -(within - 2 * across).mean(axis=1)


def _expected_kernel(difference: np.ndarray | float, variance: np.ndarray, bandwidth: np.ndarray) -> np.ndarray:
    """E exp(-z² / 2σ²) for z of N(difference, variance), where ``bandwidth`` is σ²; all (..., components)."""
    total = bandwidth + variance
    return np.sqrt(bandwidth / total) * np.exp(-(difference**2) / (2 * total))
