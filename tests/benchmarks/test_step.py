"""What a step is made of: each row has a part more, and the figures are written."""

from __future__ import annotations

import json

import pytest
import torch


@pytest.fixture
def step(program, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    return program("step")


def test_every_part_is_timed_and_written(step, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HATLIT_CACHE", "restored afterwards")
    out = tmp_path / "step.json"
    words = "--sources 30k --num_sources 1 --rows 200 --repeats 1 --out"
    assert step.main([*words.split(), str(out)]) == 0
    figures = json.loads(out.read_text())
    medians = figures["medians"]["np1_30k"]
    assert list(medians) == [step.FLOOR, *step.PARTS]
    assert all(value > 0 for value in medians.values())
    assert {"date", "torch", "cores"} <= figures.keys()
    assert "student alone" in capsys.readouterr().out


def test_rows_say_how_many_times_the_student_alone(step):
    shown = step.table({step.FLOOR: [2.0, 1.0, 3.0], "+ Lightning": [5.0, 4.0, 3.0]})
    assert [row["of the student alone"] for row in shown] == ["1.00", "2.00"]
    assert [row["ms"] for row in shown] == ["2.00", "4.00"]


def test_what_cannot_be_is_refused(step, capsys):
    assert step.main(["--rows", "3"]) == 2
    assert capsys.readouterr().err.startswith("step: --rows must be at least 200")


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(step, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert step.main(["--out", str(tmp_path / "file" / "figures.json")]) == 2
    assert "cannot be written" in capsys.readouterr().err
