import time

import pytest
import torch
from torch import nn

from hatlit.encoders.base import InputSpec
from hatlit.students.latency import PASSES, WARM_UPS, latency_ms, measured_ms

SPEC = InputSpec(modality="imu", channels=("x", "y"), shape=(10,))


class Counting(nn.Module):
    """Counts how often it was asked."""

    def __init__(self, width=1):
        super().__init__()
        self.weight, self.asked = nn.Linear(width, 1), 0

    def forward(self, view):
        self.asked += 1
        return view


def test_it_is_the_median_in_milliseconds(monkeypatch):
    ticks = iter([0.0, 0.003, 0.0, 0.004, 0.0, 9.0] * PASSES)
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    asked = []
    assert latency_ms(lambda: asked.append(1)) == 4.0
    assert len(asked) == PASSES + WARM_UPS


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path))
    return tmp_path


def test_a_model_is_measured_once_and_a_larger_one_anew(own_cache):
    one, same, larger = Counting(), Counting(), Counting(2)
    found = measured_ms("counting", one, SPEC)
    assert measured_ms("counting", same, SPEC) == found
    assert measured_ms("counting", larger, SPEC) >= 0
    assert (one.asked, same.asked, larger.asked) == (PASSES + WARM_UPS, 0, PASSES + WARM_UPS)
    assert len(list(own_cache.glob("latency/*.json"))) == 2


def test_one_thread_measures_and_the_others_come_back(own_cache):
    before, seen = torch.get_num_threads(), []

    class Looking(Counting):
        def forward(self, view):
            seen.append(torch.get_num_threads())
            return view

    torch.set_num_threads(2)
    measured_ms("looking", Looking(), SPEC)
    assert (set(seen), torch.get_num_threads()) == ({1}, 2)
    torch.set_num_threads(before)
