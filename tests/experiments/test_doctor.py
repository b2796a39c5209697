import importlib.metadata
import json

import pytest

from hatlit.cli import main
from hatlit.config import DoctorConfig
from hatlit.errors import InputError
from hatlit.experiments import doctor as module
from hatlit.experiments.doctor import doctor, examine

NEEDS = ["packaging>=20", "pyyaml>=6", "numpy>=1000", "onyx-of-old>=1 ; extra == 'export'", "ruff ; extra == 'dev'"]


@pytest.fixture
def few_needs(monkeypatch, tmp_path):
    """A hatlit with a handful of libraries, one too old and one not there, and an empty cache."""
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: NEEDS)
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))


def test_each_library_is_sound_or_says_what_is_wrong(few_needs):
    faults = {one["name"]: one["fault"] for one in examine()["libraries"]}
    assert faults == {
        "packaging": "",
        "pyyaml": "",
        "numpy": "hatlit wants >=1000",
        "onyx-of-old": "not installed",
    }


def test_what_is_missing_comes_with_how_to_get_it(few_needs):
    assert examine()["remedies"] == [
        "hatlit itself lacks numpy (hatlit wants >=1000): pip install 'hatlit' brings what is missing",
        "extra export lacks onyx-of-old (not installed): pip install 'hatlit[export]' brings what is missing",
    ]


def test_a_library_that_cannot_be_imported_is_no_use(few_needs, monkeypatch):
    def broken(name):
        raise RuntimeError("operator nms does not exist\nand more")

    monkeypatch.setattr(module.importlib, "import_module", broken)
    found = examine()["libraries"]
    assert found[0]["fault"] == "cannot be imported: operator nms does not exist"


def test_the_cache_and_the_devices(few_needs, tmp_path):
    (tmp_path / "cache" / "outputs").mkdir(parents=True)
    (tmp_path / "cache" / "outputs" / "one").write_bytes(b"1234")
    found = examine()
    assert found["cache"] == {"folder": str(tmp_path / "cache"), "writable": True, "bytes": {"outputs": 4}}
    assert found["devices"][0]["name"] == "cpu"


def test_it_shows_what_it_writes(few_needs, tmp_path, capsys):
    assert main(["doctor", "--json", str(tmp_path / "state.json")]) == 0
    shown = capsys.readouterr().out
    written = json.loads((tmp_path / "state.json").read_text())
    assert all(remedy in shown for remedy in written["remedies"])
    assert written["cache"]["folder"] in shown
    assert f"Python {written['python']}" in shown


def test_nothing_missing_is_said_as_well(few_needs, monkeypatch, display):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: NEEDS[:2])
    doctor(DoctorConfig(), display)
    assert display.shown().rstrip().endswith("nothing is missing")


def test_a_file_that_cannot_be_written_is_refused(few_needs, tmp_path, display):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another --json"):
        doctor(DoctorConfig(json=str(tmp_path / "file" / "state.json")), display)
