"""The notebooks run as they stand, on the offline demo, and are kept without outputs.

They hold plain Python, so their cells run here one after another as a kernel would run them, without the packages that
a kernel takes.
"""

import json
import re
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def code_cells(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_there_is_one_for_each_common_task():
    assert [path.stem for path in NOTEBOOKS] == [
        "bring_your_own_data",
        "choose_sources",
        "compare_methods",
        "write_an_encoder",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_plain_python_without_outputs(path):
    for cell in code_cells(path):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        assert not re.search(r"^\s*[%!]", "".join(cell["source"]), re.MULTILINE), "a kernel would be needed"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
    names = {"__name__": "__main__"}
    for number, cell in enumerate(code_cells(path)):
        exec(compile("".join(cell["source"]), f"{path.name}, code cell {number}", "exec"), names)
    assert capsys.readouterr().out
