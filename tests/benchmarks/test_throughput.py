"""The figures of throughput, from times that are made up."""

from __future__ import annotations

import pytest

#: Seconds a step.
TAKEN = {
    "student_alone": [1.0, 2.0, 3.0],
    "hat": [4.0, 4.0, 9.0],
    "hat_as_published": [3.0, 3.0, 3.0],
    "hat_by_hand": [12.0, 12.0, 12.0],
    "hatlit_kd": [3.0, 2.5, 1.0],
    "textbrewer": [5.0, 5.0, 5.0],
}


@pytest.fixture
def throughput(program, monkeypatch):
    module = program("throughput")
    monkeypatch.setattr(module, "version", {"textbrewer": "0.2.1"}.get)  # the rival need not be there
    return module


def test_ratios_are_of_medians(throughput):
    summary = throughput.summary_of({"np5_30k": TAKEN}, throughput.ThroughputConfig())
    assert summary["hat_over_floor"] == {"np5_30k": 2.0}
    assert summary["published_over_floor"] == {"np5_30k": 1.5}
    assert summary["by_hand_over_published"] == {"np5_30k": 4.0}
    assert summary["kd_over_floor"] == {"np5_30k": 1.25}
    assert summary["rival_over_hat"] == {"hat_by_hand": {"np5_30k": 3.0}, "textbrewer": {"np5_30k": 1.25}}
    assert summary["rival_over_kd"] == {"textbrewer": {"np5_30k": 2.0}}
    assert summary["spread"]["np5_30k"]["hat"] == [4.0, 9.0]


def test_the_picture_shows_whom_there_is(throughput):
    summary = throughput.summary_of({"np5_30k": TAKEN}, throughput.ThroughputConfig())
    assert throughput.picture(summary).startswith(b"\x89PNG")
