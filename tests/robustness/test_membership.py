"""The benchmark that attacks sources, cards and students: its measure is right, and it finds what is there to find."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hatlit.config import SourcesConfig
from hatlit.datamodules.base import Domain, DomainSet
from hatlit.experiments.display import Display


@pytest.fixture(scope="module")
def membership() -> ModuleType:
    file = Path(__file__).parents[2] / "benchmarks" / "membership.py"
    spec = importlib.util.spec_from_file_location("membership", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules["membership"] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


def test_auc_by_hand(membership: ModuleType) -> None:
    def auc(members: list[float], others: list[float]) -> float:
        return membership.auc(np.array(members), np.array(others))

    assert auc([3, 4], [1, 2]) == 1
    assert auc([1, 2], [3, 4]) == 0
    assert auc([1, 3], [2]) == 0.5
    assert auc([1, 1, 2], [1]) == pytest.approx((0.5 + 0.5 + 1) / 3)


def test_sources_and_cards_are_attacked_with_each_amount_of_noise(
    membership: ModuleType, make_domain: Callable[..., Domain], tmp_path: Path
) -> None:
    domains = tuple(make_domain(name, seed, rows=45) for seed, name in enumerate(("ann", "bob")))
    data = DomainSet("people", "imu", domains, domains[0].class_names)
    config = membership.MembershipConfig(
        sources=SourcesConfig(encoders=["cnn_nano"], max_epochs=2), noises="0,2", jobs=1, out=str(tmp_path / "m.json")
    )
    found = list(membership.sources_attacked(data, config, Display(silent=True)))
    attacks = {what for what, _, _ in found}
    assert {"source, by loss", "source, by confidence"} <= attacks
    assert {f"card with noise {noise}, by centroid" for noise in (0, 2)} <= attacks
    assert {person for _, person, _ in found} == {"ann", "bob"}
    assert all(0 <= one <= 1 for _, _, one in found)
