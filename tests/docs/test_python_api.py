"""The code on the page docs/python-api.md, and that of the README, runs as it stands, if with fewer steps."""

import re
import shlex
from functools import partial
from pathlib import Path

import pytest

import hatlit
from hatlit.cli import main

ROOT = Path(__file__).parents[2]

#: The shortest run that could be.
QUICK = {"trainer": {"max_epochs": 1}, "adapt": {"steps": 1}, "hat": {"experts": {"steps": 1}}, "wandb": "off"}


def code_of(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the people of the data page, and the zoo that the page's first command builds."""
    folder = tmp_path_factory.mktemp("python-api")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (code,) = code_of("docs/your-own-data.md")
        exec(compile(code, "docs/your-own-data.md", "exec"), {})
        (command,) = re.findall(r"`hatlit (zoo build [^`]*)`", (ROOT / "docs" / "python-api.md").read_text())
        assert (
            main([*shlex.split(command), "--sources.encoders", "cnn_nano", "--sources.max_epochs", "1", "--jobs", "1"])
            == 0
        )
    return folder


@pytest.fixture(autouse=True)
def shorter(monkeypatch):
    """Lets whatever the pages call take ``QUICK``."""
    for name in ("expand", "prepare", "options_of"):
        monkeypatch.setattr(hatlit, name, partial(getattr(hatlit, name), **QUICK))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("code", code_of("docs/python-api.md"), ids=lambda code: code.split()[1])
def test_the_code_of_the_page_runs(code, place, monkeypatch, capsys):
    if ".onnx" in code:
        pytest.importorskip("onnxruntime")
    monkeypatch.chdir(place)
    monkeypatch.setenv("HATLIT_CACHE", str(place / "cache"))
    exec(compile(code, "docs/python-api.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.slow
def test_the_code_of_the_readme_runs(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setenv("HATLIT_CACHE", str(place / "cache"))
    (code,) = code_of("README.md")
    exec(compile(code, "README.md", "exec"), {})
    assert "taught by" in capsys.readouterr().out
