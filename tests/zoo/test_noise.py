from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hatlit.datamodules.base import Domain
from hatlit.zoo.noise import noisy


@pytest.fixture
def person(make_domain: Callable[..., Domain]) -> Domain:
    return make_domain("ann", 0)


def test_no_noise_changes_nothing(person: Domain) -> None:
    values = np.array([1.0, 2.0])
    assert np.array_equal(noisy(values, np.ones(2), 0.0, person, "mean"), values)


def test_it_has_the_standard_deviation_that_was_asked_for(person: Domain) -> None:
    spread = np.repeat([1.0, 10.0, 0.0], 4000)
    error = noisy(np.full(12000, 5.0), spread, 0.5, person, "mean") - 5
    assert error[:4000].std() == pytest.approx(0.5, rel=0.05)
    assert error[4000:8000].std() == pytest.approx(5, rel=0.05)
    assert not error[8000:].any()


def test_the_same_again_each_time_and_other_for_everything_else(
    person: Domain, make_domain: Callable[..., Domain]
) -> None:
    def draw(domain: Domain = person, noise: float = 1.0, what: str = "mean") -> np.ndarray:
        return noisy(np.zeros(100), np.ones(100), noise, domain, what) / noise

    assert np.array_equal(draw(), draw())
    for other in (draw(make_domain("ann", 1)), draw(noise=2.0), draw(what="spread")):
        assert abs(np.corrcoef(draw(), other)[0, 1]) < 0.5
