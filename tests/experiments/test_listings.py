import io

import pytest
from rich.console import Console

from hatlit.config import StudentsConfig
from hatlit.encoders.base import ENCODERS
from hatlit.experiments import listings
from hatlit.experiments.display import Display
from hatlit.experiments.listings import list_students
from hatlit.students.measured import Accuracy, Measured, MeasuredSet

SAID = {"labels": "1 a class", "hatlit": "0.1.0", "date": "2026-11-01", "command": "python benchmarks/students.py"}


@pytest.fixture
def listed(monkeypatch):
    """What ``hatlit students`` shows where so much was measured; a pass takes a millisecond."""
    monkeypatch.setattr("hatlit.students.skeletons.measured_ms", lambda name, model, view: 1.0)

    def run(**sets):
        monkeypatch.setattr(listings, "measured", lambda: Measured(sets=sets))
        shown = io.StringIO()
        list_students(StudentsConfig(), Display(Console(file=shown, width=200)))
        return shown.getvalue()

    return run


def row_of(table, name):
    (row,) = [line for line in table.splitlines() if f" {name} " in line]
    return [cell.strip() for cell in row.strip("│").split("│")]


def test_the_last_column_is_what_each_reached_on_the_real_set(listed):
    accuracy = {"cnn_nano": Accuracy(mean=0.912, low=0.8, high=1.0), "tcn_nano": Accuracy(mean=0.75)}
    table = listed(imu=MeasuredSet(data="imu-spar", targets=("a", "b"), accuracy=accuracy, **SAID))
    assert "accuracy on imu-spar" in table
    assert row_of(table, "cnn_nano")[-1] == "91.2 [80.0, 100.0]"
    assert row_of(table, "tcn_nano")[-1] == "75.0"
    assert row_of(table, "cnn_tiny")[-1] == "-"
    assert "mean and 95 % interval over 2 targets" in table
    assert "python benchmarks/students.py, hatlit 0.1.0, 2026-11-01" in table


def test_a_changed_option_and_a_single_target_are_told(listed):
    one = MeasuredSet(data="imu-spar", targets=("a",), options="--trainer.max_steps 200", accuracy={}, **SAID)
    told = listed(imu=one).splitlines()[-1]
    assert "a single target" in told
    assert "--trainer.max_steps 200" in told


def test_where_nothing_was_measured_the_cells_are_empty(listed):
    table = listed()
    assert row_of(table, "cnn_nano")[-1] == "-"
    assert table.count("\n") == len(ENCODERS.names("imu")) + 5
