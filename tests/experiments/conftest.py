"""Three people in a file of arrays, and a display that can be read."""

import io

import numpy as np
import pytest
from rich.console import Console

from hatlit.datamodules.base import DomainSet
from hatlit.experiments.display import Display


@pytest.fixture(scope="session")
def people(make_domain):
    """Three domains."""
    domains = tuple(make_domain(name, seed, rows=45) for seed, name in enumerate(("ann", "bob", "cid")))
    return DomainSet("arrays", "imu", domains, domains[0].class_names)


@pytest.fixture(scope="session")
def arrays(tmp_path_factory, people):
    """The same three in the bring-your-own layout; returns the path."""
    path = tmp_path_factory.mktemp("data") / "people.npz"
    np.savez(
        path,
        x=np.concatenate([domain.samples for domain in people.domains]),
        y=np.concatenate([domain.labels for domain in people.domains]),
        domain=np.repeat(np.arange(3), 45),
        class_names=np.array(people.class_names),
        domain_names=np.array(people.names),
        sample_rate=np.array(16.0),
        channel_names=np.array(["x", "y", "z"]),
    )
    return path


@pytest.fixture
def display():
    """A display whose ``shown()`` tells what it has shown."""
    stream = io.StringIO()
    display = Display(Console(file=stream, width=1000))
    display.shown = stream.getvalue
    return display
