"""How well sources foretold the labels of the target before they were adapted to them, and how far to listen to them.

Once adapted, every source is right about the labelled few, so these say no more about it. Before, they did.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hatlit.selection.labels import UNKNOWN

#: The least probability that a logarithm sees.
SMALLEST = 1e-4

#: Power of a source's likelihood, beside that of the best, with which it is heard: labels are few, and some luck.
TEMPERED = 0.25


def log_likelihood(said: Tensor, label: Tensor, columns: Sequence[int]) -> float:
    """Mean logarithm of the probability that a source gave to the right class, given that it is one of the target's.

    Rows of a class that it does not know are left out. Where it knows none, or its answers are no numbers, the
    probability counts as ``SMALLEST``.

    Args:
        said: (L, K) its predictions on the labelled rows, of mass at most one.
        label: (L,) class numbers.
        columns: (K,) its own number of each of the target's classes, ``UNKNOWN`` where it does not know one.
    """
    known = torch.tensor([column != UNKNOWN for column in columns])[label]
    mass = said.sum(-1).clamp_min(SMALLEST)
    given = (said.gather(-1, label.unsqueeze(-1)).squeeze(-1) / mass).nan_to_num(0.0).clamp(SMALLEST, 1.0)
    return float(given[known].log().mean()) if known.any() else math.log(SMALLEST)


def voices_from(log_likelihoods: Tensor) -> Tensor:
    """How much the word of each source counts, 1 for the best: (L_i / max_j L_j)^¼ from the log of each L_i (N,)."""
    return torch.exp(TEMPERED * (log_likelihoods - log_likelihoods.max()))
