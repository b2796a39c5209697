from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatlit.errors import InputError
from hatlit.selection.similarity import SIMILARITIES, Scale, cosine, euclidean, jaccard, rbf_mmd
from hatlit.selection.statistics import Profile

NAMES = ("cosine", "euclidean", "jaccard", "rbf_mmd")


def zoo(num_sources: int = 12, size: int = 6, seed: int = 0) -> Profile:
    rng = np.random.default_rng(seed)
    scale = np.array([1e-3, 1.0, 1e3, 1.0, 1.0, 1.0])[:size]
    return Profile(rng.normal(size=(num_sources, size)) * scale, rng.uniform(0.1, 1, (num_sources, size)) * scale)


def row(profiles: Profile, number: int) -> Profile:
    return Profile(profiles.mean[number], profiles.spread[number])


def test_built_in_names() -> None:
    assert set(NAMES) <= set(SIMILARITIES.names())


def test_standardise_by_hand() -> None:
    sources = Profile(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[0.0, 2.0], [4.0, 2.0]]))
    scale = Scale.of(sources)
    target, rows = (scale.standardise(np.array(one)) for one in ([4.0, 9, 2, 2], [[1.0, 5, 0, 2], [3, 5, 4, 2]]))
    # Centres 2 and 2, deviations 1 and 2; the second statistic is constant in mean and in spread.
    assert rows.tolist() == [[-1.0, 0.0, -1.0, 0.0], [1.0, 0.0, 1.0, 0.0]]
    assert target.tolist() == [2.0, 0.0, 0.0, 0.0]


def test_cosine_and_euclidean_by_hand() -> None:
    sources = Profile(np.array([[-1.0], [1.0]]), np.array([[1.0], [3.0]]))
    target = Profile(np.array([2.0]), np.array([2.0]))
    # Standardised: target (2, 0), sources (-1, -1) and (1, 1).
    np.testing.assert_allclose(cosine(target, sources), [-(0.5**0.5), 0.5**0.5])
    np.testing.assert_allclose(euclidean(target, sources), [-(10**0.5), -(2**0.5)])


def test_jaccard_by_hand() -> None:
    mean = np.arange(8.0)[:, None]
    sources = Profile(np.hstack([mean, mean]), np.zeros((8, 2)))
    # Eight sources fill eight bins; both spreads are constant and always agree. So 2 + (0 or 1 or 2) of 4 agree.
    scores = jaccard(Profile(np.array([3.0, 5.0]), np.zeros(2)), sources)
    np.testing.assert_allclose(scores, [2 / 6, 2 / 6, 2 / 6, 3 / 5, 2 / 6, 3 / 5, 2 / 6, 2 / 6])


def test_rbf_mmd_agrees_with_sampling() -> None:
    target, sources = (
        Profile(np.array([0.5]), np.array([0.8])),
        Profile(np.array([[-1.0], [2.0]]), np.array([[1.5], [0.3]])),
    )
    width = 2 * (np.var([-1.0, 2.0]) + np.mean([1.5**2, 0.3**2]))
    rng = np.random.default_rng(0)

    def expected(a: tuple[float, float], b: tuple[float, float]) -> float:
        x, y = rng.normal(*a, 400_000), rng.normal(*b, 400_000)
        return float(np.exp(-((x - y) ** 2) / width).mean())

    t = (0.5, 0.8)
    sampled = [-(expected(t, t) + expected(s, s) - 2 * expected(t, s)) for s in ((-1.0, 1.5), (2.0, 0.3))]
    np.testing.assert_allclose(rbf_mmd(target, sources), sampled, atol=5e-3)


def test_rbf_mmd_of_points_is_that_of_the_kernel() -> None:
    sources = Profile(np.array([[-1.0], [1.0]]), np.zeros((2, 1)))
    scores = rbf_mmd(Profile(np.array([1.0]), np.zeros(1)), sources)
    np.testing.assert_allclose(scores, [-(2 - 2 * np.exp(-2)), 0.0], atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), number=st.integers(0, 11))
def test_nothing_is_more_alike_than_itself(name: str, seed: int, number: int) -> None:
    sources = zoo(seed=seed)
    scores = SIMILARITIES.get(name)(row(sources, number), sources)
    assert scores[number] == pytest.approx({"cosine": 1, "jaccard": 1}.get(name, 0), abs=1e-9)
    assert scores.max() <= scores[number] + 1e-9


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_likeness_is_mutual(name: str, seed: int) -> None:
    sources = zoo(seed=seed)
    there = SIMILARITIES.get(name)(row(sources, 3), sources)[8]
    back = SIMILARITIES.get(name)(row(sources, 8), sources)[3]
    assert there == pytest.approx(back)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=20)
@given(order=st.permutations(range(12)))
def test_order_of_sources_does_not_matter(name: str, order: list[int]) -> None:
    sources, target = zoo(), row(zoo(seed=1), 0)
    shuffled = Profile(sources.mean[order], sources.spread[order])
    scores = SIMILARITIES.get(name)(target, sources)
    np.testing.assert_allclose(SIMILARITIES.get(name)(target, shuffled), scores[order], atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_units_do_not_matter(name: str) -> None:
    sources, target = zoo(), row(zoo(seed=1), 0)
    unit = np.array([10.0, 1e-4, 3.0, 1.0, 7.0, 0.5])
    scores = SIMILARITIES.get(name)(target, sources)
    scaled = SIMILARITIES.get(name)(
        Profile(target.mean * unit, target.spread * unit), Profile(sources.mean * unit, sources.spread * unit)
    )
    np.testing.assert_allclose(scaled, scores)


@pytest.mark.parametrize("name", NAMES)
def test_single_and_identical_sources_stay_finite(name: str) -> None:
    target = row(zoo(seed=1), 0)
    for number_of_each in (1, 3):
        same = Profile(*(np.repeat(array[:1], number_of_each, axis=0) for array in (zoo().mean, zoo().spread)))
        assert np.isfinite(SIMILARITIES.get(name)(target, same)).all()
    nothing = Profile(np.ones((2, 6)), np.zeros((2, 6)))
    assert np.isfinite(SIMILARITIES.get(name)(target, nothing)).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_broken_source_scores_nan_and_changes_no_other(name: str, value: float) -> None:
    sources, target = zoo(), row(zoo(seed=1), 0)
    whole = SIMILARITIES.get(name)(target, sources)
    broken = Profile(
        np.vstack([sources.mean, np.full((1, 6), 1.0)]), np.vstack([sources.spread, np.full((1, 6), value)])
    )
    scores = SIMILARITIES.get(name)(target, broken)
    assert np.isnan(scores[-1])
    np.testing.assert_allclose(scores[:-1], whole)


@pytest.mark.parametrize("name", NAMES)
def test_refuses_a_zoo_of_broken_sources(name: str) -> None:
    broken = Profile(np.full((2, 6), np.nan), np.ones((2, 6)))
    with pytest.raises(InputError, match="No source has finite statistics"):
        SIMILARITIES.get(name)(row(zoo(), 0), broken)
