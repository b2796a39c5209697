"""A card tells what is listed and nothing else; no recording can be found in it, and noise is what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hatlit.config import LabelsConfig, SourcesConfig
from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.split import split_domain
from hatlit.encoders.base import InputSpec
from hatlit.experiments.fleet import build_zoo
from hatlit.zoo.card import Card
from hatlit.zoo.store import Zoo

#: What a card may tell, as docs/privacy.md lists it.
LISTED = {
    *("format_version", "id", "domain", "dataset", "modality", "encoder", "input_spec", "feature_dim", "class_names"),
    *("statistics", "centroids", "accuracy", "num_samples", "num_parameters", "size_bytes", "sha256", "training"),
    *("noise", "provenance", "hatlit_version"),
}


@pytest.fixture(scope="module")
def people(make_domain: Callable[..., Domain]) -> DomainSet:
    domains = tuple(make_domain(name, seed, rows=45) for seed, name in enumerate(("ann", "bob")))
    return DomainSet("people", "imu", domains, domains[0].class_names)


@pytest.fixture(scope="module")
def zoo_with(people: DomainSet, tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], Zoo]:
    """Returns a function that builds the zoo of two people with so much noise on the cards."""
    built: dict[float, Zoo] = {}

    def build(noise: float) -> Zoo:
        if noise not in built:
            config = SourcesConfig(encoders=["cnn_nano"], max_epochs=2, card_noise=noise)
            built[noise] = build_zoo(people, people.domains, tmp_path_factory.mktemp("zoo"), config, 1, [], iter)
        return built[noise]

    return build


def numbers_in(tree: Any) -> Iterator[float]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list):
        for one in tree:
            yield from numbers_in(one)
    elif isinstance(tree, float):
        yield tree


def test_a_card_has_the_listed_fields_and_the_page_names_them_all(zoo_with: Callable[[float], Zoo]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text()
    for source in ("ann", "bob"):
        card = json.loads(zoo_with(0.0).card(source).model_dump_json())
        assert set(card) == LISTED == set(Card.model_fields)
        assert set(card["input_spec"]) == set(InputSpec.model_fields)
    assert all(f"`{field}`" in page for field in LISTED)


def test_no_recording_can_be_found_in_a_card(zoo_with: Callable[[float], Zoo], people: DomainSet) -> None:
    for domain in people.domains:
        told = np.array(list(numbers_in(json.loads(zoo_with(0.0).card(domain.name).model_dump_json()))))
        raw = np.unique(domain.samples)
        common = np.intersect1d(told.astype(np.float32), raw)
        assert len(common) < 3, f"{common} of the card of {domain.name} are numbers of its recordings"
        text = zoo_with(0.0).card(domain.name).model_dump_json()
        assert not any(str(row[0, :3].tolist())[1:-1] in text for row in domain.samples)


def test_a_card_does_not_depend_on_the_test_rows_but_in_its_accuracy(people: DomainSet, tmp_path: Path) -> None:
    domain = people.domains[0]
    test = split_domain(domain, LabelsConfig(), seed=0).test
    samples = domain.samples.copy()
    samples[test] = samples[test] * 1.5 + 1
    changed = Domain("ann", samples, domain.labels, domain.groups, domain.recorded, domain.class_names)
    config = SourcesConfig(encoders=["cnn_nano"], max_epochs=1)
    cards = [
        build_zoo(DomainSet("people", "imu", (one,), one.class_names), [one], tmp_path / name, config, 1, [], iter)
        .card("ann")
        .model_copy(update={"accuracy": None})
        for name, one in (("before", domain), ("after", changed))
    ]
    assert cards[0] == cards[1]


def test_noise_is_on_statistics_and_centroids_and_the_card_says_so(zoo_with: Callable[[float], Zoo]) -> None:
    exact, noisy = (zoo_with(noise).card("ann") for noise in (0.0, 0.5))
    assert (exact.noise, noisy.noise) == (0.0, 0.5)
    assert exact.sha256 == noisy.sha256, "the model stays as it is"
    for name, one in exact.statistics.items():
        other, spread = noisy.statistics[name], np.array(one.spread)
        varies = spread > 0
        error = (np.array(other.mean) - one.mean)[varies] / spread[varies]
        assert error.std() == pytest.approx(0.5, rel=0.25)
        assert min(other.spread) >= 0 and other.spread != one.spread
    assert all(a != b for a, b in zip(exact.centroids, noisy.centroids, strict=True))
