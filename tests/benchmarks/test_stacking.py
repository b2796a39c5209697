"""What stacking students saves: both ways do the same work, and the figures are written."""

from __future__ import annotations

import json

import pytest
import torch


@pytest.fixture
def stacking(program, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    return program("stacking")


def test_both_ways_come_to_the_same_gradients(stacking):
    torch.manual_seed(0)
    modules = [torch.nn.Linear(3, 2) for _ in range(2)]
    views = [torch.randn(4, 3).requires_grad_() for _ in modules]
    one_by_one, together, stacked = stacking.ways(modules, views)
    one_by_one()
    together()
    for number, (module, view) in enumerate(zip(modules, views, strict=True)):
        torch.testing.assert_close(module.weight.grad, view.detach().sum(0).expand(2, 3))
        torch.testing.assert_close(stacked["weight"].grad[number], module.weight.grad)
        torch.testing.assert_close(stacked["bias"].grad[number], module.bias.grad)


def test_layers_are_timed_and_written(stacking, tmp_path, capsys):
    out = tmp_path / "stacking.json"
    assert stacking.main(["--students", "cnn_nano", "--targets", "2", "--repeats", "1", "--out", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert [row["part"] for row in figures["rows"]] == [
        "forward and backward",
        "convolutions",
        "group norm and GELU",
        "augmentation",
    ]
    assert all(row["one by one"] > 0 and row["stacked"] > 0 for row in figures["rows"])
    assert "cnn_nano" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--targets 0", "stacking: --targets must be at least 1"),
        ("--students cnn_gru_nano", "stacking: The student 'cnn_gru_nano' is recurrent, which torch cannot stack"),
    ],
)
def test_what_cannot_be_is_refused(stacking, capsys, words, says):
    assert stacking.main(words.split()) == 2
    assert capsys.readouterr().err.startswith(says)


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(stacking, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert stacking.main(["--out", str(tmp_path / "file" / "figures.json")]) == 2
    assert "cannot be written" in capsys.readouterr().err
