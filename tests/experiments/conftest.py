"""Three people in a file of arrays, and a display that can be read."""

import io

import numpy as np
import pytest
from rich.console import Console

from hatlit.cli import main
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


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory, arrays, zoo_of_two):
    """The folder of a short run of hat on ann; tests leave it as it is."""
    out = tmp_path_factory.mktemp("finished")
    words = f"train --data.name arrays --data.root {arrays} --target ann --zoo {zoo_of_two} --out {out} --wandb off"
    quick = "--trainer.max_epochs 2 --adapt.steps 2 --hat.experts.steps 2 --student cnn_nano --jobs 1"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HATLIT_CACHE", str(tmp_path_factory.getbasetemp() / "finished-cache"))
        assert main([*words.split(), *quick.split()]) == 0
    return next(out.glob("hat-*"))
