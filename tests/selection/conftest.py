"""Small trained sources, zoos of them, and a target that selects."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from hatlit.config import LabelsConfig, SelectionConfig, SourcesConfig
from hatlit.datamodules.base import DomainSet
from hatlit.datamodules.split import labelled_rows, split_domain
from hatlit.datamodules.target.data import TargetData
from hatlit.experiments.fleet import publish, zoo_info
from hatlit.selection.protocol import select
from hatlit.zoo.store import Zoo
from hatlit.zoo.train_source import train_source

PEOPLE = ["ann", "bob", "cid", "dot", "eve", "fay"]


@pytest.fixture(scope="session")
def train_on():
    """Returns a function that trains a source on a domain."""

    def train(domain, seed):
        split = split_domain(domain, LabelsConfig(), seed=0)
        config = SourcesConfig(max_epochs=3)
        return train_source(domain, labelled_rows(domain, split), split.test, "cnn_nano", config, seed)

    return train


@pytest.fixture(scope="session")
def people(make_domain, train_on):
    """Six domains, each with the source that was trained on it."""
    domains = {name: make_domain(name, seed) for seed, name in enumerate(PEOPLE)}
    return {name: (domain, train_on(domain, seed)) for seed, (name, domain) in enumerate(domains.items())}


@pytest.fixture(scope="session")
def stranger(make_domain, train_on):
    """A domain with a channel that the target does not record, and its source."""
    domain = make_domain("stranger", 9, channels=("x", "y", "z", "w"))
    return domain, train_on(domain, 9)


@pytest.fixture
def target(make_domain):
    domain = make_domain("target", 50)
    return TargetData(domain, split_domain(domain, LabelsConfig(per_class=2), seed=0))


def fill_zoo(folder, people, members):
    first = people["ann"][0]
    zoo = Zoo.create(folder, zoo_info(DomainSet("people", "imu", (first,), first.class_names), SourcesConfig()))
    for member in members:
        source_id, domain, source = (member, *people[member]) if isinstance(member, str) else member
        publish(zoo, source_id, "people", domain, source)
    return zoo


@pytest.fixture(scope="session")
def everybody(tmp_path_factory, people):
    """The zoo of all six people."""
    return fill_zoo(tmp_path_factory.mktemp("zoos") / "everybody", people, PEOPLE)


@pytest.fixture
def make_zoo(tmp_path, people):
    """Returns a function that makes a zoo of (id, domain, source) triples, or of the people named."""
    return lambda *members, name="zoo": fill_zoo(tmp_path / name, people, members)


@pytest.fixture
def choose(target):
    """Runs a selection; returns it, its verdicts by id, and the lines it said."""

    def run(zoo, num_sources=None, target=target, seed=0, **options):
        lines = []
        selection = select(zoo, target, SelectionConfig(**options), num_sources, seed, lines.append)
        return SimpleNamespace(
            selection=selection, by_id={one.id: one for one in selection.verdicts}, lines=lines, zoo=zoo
        )

    return run


@pytest.fixture
def blinded():
    """Returns a function that makes a source whose outputs are not numbers, though its weights are."""

    def spoil(source):
        model = copy.deepcopy(source.model)
        with torch.no_grad():
            model.head.weight.fill_(3e38)
            model.head.bias.fill_(3e38)
        return replace(source, model=model)

    return spoil
