"""Gaussian noise on the numbers by which a card describes people's data."""

from __future__ import annotations

import hashlib

import numpy as np

from hatlit.datamodules.base import Domain


def noisy(values: np.ndarray, spread: np.ndarray, noise: float, domain: Domain, what: str) -> np.ndarray:
    """Adds noise to what is published of a domain; without any, the values stay as they are.

    The noise is drawn from a hash of the domain's recordings: the same again each time, so that publishing often does
    not average it out, but nobody without the recordings can draw it and take it off.

    Args:
        values: (..., S) what would be published.
        spread: (S,) how far each of them varies from sample to sample, or as ``values``.
        noise: standard deviation of the noise, in units of ``spread``.
        domain: whose data it is.
        what: is published; other things, and other amounts of noise, get other draws.

    Returns:
        (..., S) float64.
    """
    if not noise:
        return np.asarray(values, dtype=np.float64)
    secret = hashlib.sha256(f"{domain.fingerprint}\0{what}\0{noise!r}".encode()).digest()
    drawn = np.random.default_rng(int.from_bytes(secret)).standard_normal(np.shape(values))
    return np.asarray(values + noise * spread * drawn, dtype=np.float64)
