from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hatlit.datamodules.base import DATASETS, MODALITIES, Domain, DomainSet, build_view
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError


@pytest.fixture
def domain() -> Domain:
    return Domain(
        name="ann",
        samples=np.arange(24, dtype=np.int16).reshape(4, 2, 3),
        labels=np.array([0, 0, 1, -1]),
        groups=np.array([0, 0, 1, 2]),
        recorded=InputSpec(modality="imu", channels=("a", "b"), shape=(3,), rate=10.0),
        class_names=("sit", "walk"),
    )


def test_tensor_is_float32_and_takes_rows(domain: Domain) -> None:
    assert domain.tensor().dtype == torch.float32
    assert domain.tensor(np.array([2, 0])).tolist() == domain.samples[[2, 0]].tolist()


def test_fingerprint_stays_with_equal_content(domain: Domain) -> None:
    assert replace(domain, samples=domain.samples.copy()).fingerprint == domain.fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "bob"},
        {"samples": np.zeros((4, 2, 3), dtype=np.int16)},
        {"samples": np.arange(24, dtype=np.int32).reshape(4, 2, 3)},
        {"labels": np.array([0, 0, 1, 1])},
        {"groups": np.array([0, 0, 1, 1])},
        {"class_names": ("sit", "run")},
        {"recorded": InputSpec(modality="imu", channels=("a", "b"), shape=(3,), rate=20.0)},
    ],
)
def test_fingerprint_changes_with_anything(domain: Domain, changed: dict) -> None:
    assert replace(domain, **changed).fingerprint != domain.fingerprint


def test_unknown_domain_names_the_nearest(domain: Domain) -> None:
    fleet = DomainSet("fleet", "imu", (domain,), domain.class_names)
    assert fleet.domain("ann") is domain
    with pytest.raises(InputError, match="did you mean ann"):
        fleet.domain("anne")


def test_registries_find_what_is_built_in() -> None:
    assert {"arrays", "demo", "hmp", "spar"} <= set(DATASETS.names("imu"))
    assert "hmp" not in DATASETS.names("radar")
    assert "imu" in MODALITIES.names()


@pytest.mark.parametrize("name", ["arrays", "demo", "hmp", "spar"])
def test_every_reader_gives_summary_licence_and_citation(name: str) -> None:
    lines = [line.strip() for line in (DATASETS.get(name, "imu").__doc__ or "").splitlines()]
    assert lines[0]
    assert sum(line.startswith("Licence:") for line in lines) == 1
    assert sum(line.startswith("Citation:") for line in lines) == 1


def test_build_view_uses_the_modality_of_the_model(domain: Domain) -> None:
    assert torch.equal(build_view(domain.tensor(), domain.recorded, domain.recorded), domain.tensor())
