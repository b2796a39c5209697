from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatlit.errors import InputError
from hatlit.selection.coarse import best_first, coarse
from hatlit.selection.statistics import Profile


def zoo(num_sources: int) -> tuple[Profile, Profile]:
    """A target at 0, and sources that lie the farther from it the higher their number."""
    mean = np.arange(num_sources, dtype=np.float64)[:, None]
    return Profile(np.zeros(1), np.ones(1)), Profile(mean, np.ones_like(mean))


@pytest.mark.parametrize(
    ("num_sources", "keep", "at_least", "kept"),
    [
        (10, 0.3, 1, 3),
        (10, 0.31, 1, 4),
        (30, 0.1, 1, 3),
        (10, 0.1, 5, 5),
        (3, 0.3, 5, 3),
        (7, 1.0, 2, 7),
        (1, 0.5, 1, 1),
    ],
)
def test_keeps_the_best(num_sources: int, keep: float, at_least: int, kept: int) -> None:
    scores, numbers = coarse(*zoo(num_sources), similarity="euclidean", keep=keep, num_sources=at_least)
    assert scores.shape == (num_sources,)
    assert numbers.tolist() == list(range(kept))


def test_broken_sources_are_kept_last() -> None:
    target, sources = zoo(4)
    sources.mean[0] = np.nan
    sources.mean[2] = np.inf
    scores, numbers = coarse(target, sources, "euclidean", keep=1.0, num_sources=1)
    assert numbers.tolist() == [1, 3, 0, 2]
    assert np.isnan(scores[[0, 2]]).all()


def test_best_first_keeps_the_order_of_equals() -> None:
    assert best_first(np.array([1.0, np.inf, 2.0, np.nan, 2.0, 1.0, -np.inf])).tolist() == [2, 4, 0, 5, 1, 3, 6]


@given(st.lists(st.floats(width=32), max_size=20))
def test_best_first_is_an_order(values: list[float]) -> None:
    scores = np.array(values, dtype=np.float64)
    order = best_first(scores)
    finite = scores[order][np.isfinite(scores[order])]
    assert sorted(order.tolist()) == list(range(len(values)))
    assert (np.diff(finite) <= 0).all()
    assert np.isfinite(scores[order][: len(finite)]).all()


def test_refuses_statistics_that_were_not_computed_alike() -> None:
    with pytest.raises(InputError, match="computed alike"):
        coarse(Profile(np.zeros(2), np.zeros(2)), zoo(3)[1], "cosine", keep=1.0, num_sources=1)


def test_unknown_similarity_names_the_nearest() -> None:
    with pytest.raises(InputError, match="euclidean"):
        coarse(*zoo(3), similarity="euclidian", keep=1.0, num_sources=1)
