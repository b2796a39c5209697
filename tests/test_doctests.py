"""The examples in the docstrings of what users call do what they say."""

import doctest
import importlib
import shutil
from functools import partial
from types import SimpleNamespace

import pytest

import hatlit
from hatlit.encoders.base import ENCODERS

MODULES = [
    "hatlit.api",
    "hatlit.datamodules.target.own",
    "hatlit.encoders.base",
    "hatlit.export.predict",
    "hatlit.export.student",
    "hatlit.zoo.store",
]

QUICK = {"trainer": {"max_epochs": 1}, "adapt": {"steps": 1}, "hat": {"experts": {"steps": 1}}, "wandb": "off"}


def quick():
    """The package, with calls that train for a step or two."""
    names = {name: getattr(hatlit, name) for name in hatlit.__all__}
    quicker = {name: partial(names[name], **QUICK) for name in ("expand", "prepare")}
    return SimpleNamespace(**(names | quicker))


@pytest.fixture(scope="module")
def place(tmp_path_factory, zoo_of_two, make_domain):
    """A folder with a zoo and a saved student, and the samples that the examples speak of."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(zoo_of_two, folder / "zoo")
    ann = make_domain("ann", 0, rows=45)
    few = {row: ann.class_names[ann.labels[row]] for row in range(3)}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HATLIT_CACHE", str(folder / "cache"))
        hatlit.expand("zoo", ann.samples, few, target="ann", quiet=True, **QUICK).save("students/ann")
    return folder, ann.samples


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name, place, monkeypatch):
    folder, samples = place
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HATLIT_CACHE", str(folder / "cache"))
    entries = {(entry.modality, entry.name): entry for entry in ENCODERS}
    monkeypatch.setattr(ENCODERS, "_entries", entries)  # nothing that an example registers outlives it
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"hatlit": quick(), "x": samples, "samples": samples})
    assert result.attempted > 0
    assert result.failed == 0
