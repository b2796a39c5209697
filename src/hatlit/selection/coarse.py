"""The first stage of selection: from the cards alone, which sources are worth a closer look."""

from __future__ import annotations

import math

import numpy as np

from hatlit.errors import InputError
from hatlit.selection.learned import Experience, LearningSimilarity
from hatlit.selection.similarity import SIMILARITIES
from hatlit.selection.statistics import Profile


def coarse(
    target: Profile,
    sources: Profile,
    similarity: str,
    keep: float,
    num_sources: int,
    experience: Experience | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Scores every source by its likeness to the target and keeps the best ceil(keep x N) of them.

    Args:
        target: statistics (S,).
        sources: statistics (N, S).
        similarity: name in the registry.
        keep: share of the sources to keep.
        num_sources: never fewer than this many are kept, as far as there are so many.
        experience: what earlier rounds measured, for a similarity that learns.

    Returns:
        Scores (N,) of all sources, and the numbers (kept,) of those kept, best first.

    Raises:
        InputError: the similarity is unknown, the statistics differ in length, or no source has finite ones.
    """
    if target.mean.shape[-1] != sources.mean.shape[-1]:
        raise InputError(
            f"The target has {target.mean.shape[-1]} statistics and the sources have {sources.mean.shape[-1]}; "
            "they must be computed alike."
        )
    score = SIMILARITIES.get(similarity)
    if isinstance(score, LearningSimilarity) and experience is not None:
        score = score.fit(experience)
    scores = score(target, sources)
    # 0.1 x 30 is 3, not 4 because of rounding.
    wanted = max(math.ceil(keep * len(scores) - 1e-9), num_sources)
    return scores, best_first(scores)[:wanted]


def best_first(scores: np.ndarray) -> np.ndarray:
    """Returns the order (N,) of scores (N,) from high to low; equals keep their order, NaN and infinity come last."""
    return np.argsort(-np.where(np.isfinite(scores), scores, -np.inf), kind="stable")
