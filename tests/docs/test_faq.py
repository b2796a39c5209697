"""The errors on the page docs/faq.md are what hatlit says, word for word."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from hatlit.cli import main

DOCS = Path(__file__).parents[2] / "docs"
QUOTED = re.findall(r"^\$ hatlit (.*)\n(hatlit: .*)$", (DOCS / "faq.md").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the people of the data page, and with files that something is wrong with."""
    folder = tmp_path_factory.mktemp("faq")
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "your-own-data.md").read_text(), re.DOTALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(compile(code, "docs/your-own-data.md", "exec"), {})
    with np.load(folder / "people.npz") as file:
        people = dict(file)
    broken = people["x"].copy()
    broken[0, 0, 0] = np.nan
    np.savez(folder / "no-labels.npz", **{name: array for name, array in people.items() if name != "y"})
    np.savez(folder / "nan.npz", **{**people, "x": broken})
    np.savez(folder / "objects.npz", **{**people, "x": people["x"].astype(object)})
    np.savez(folder / "person-3-unknown.npz", **{**people, "y": np.where(people["domain"] == 3, -1, people["y"])})
    torch.save({"weight": torch.ones(2)}, folder / "model.pt")
    (folder / "broken.py").write_text("import nothing_of_that_name\n")
    return folder


def test_there_are_some():
    text = (DOCS / "faq.md").read_text()
    assert len(QUOTED) == text.count("\n$ hatlit ") > 15


@pytest.mark.parametrize(("command", "message"), QUOTED, ids=[command for command, _ in QUOTED])
def test_it_says_what_the_page_quotes(command, message, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setenv("HATLIT_CACHE", str(place / "cache"))
    assert main(shlex.split(command)) == 2
    assert capsys.readouterr().err.strip() == message
