"""No second counts twice, and a part needs to know nothing of the stage that it is in."""

import threading

import pytest

from hatlit import stopwatch
from hatlit.stopwatch import Stopwatch, part, seconds_of


@pytest.fixture
def passes(monkeypatch):
    """Lets so many seconds pass, on a clock of its own."""
    now = [0.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def test_stages_add_up(passes):
    clock = Stopwatch()
    for seconds in (1, 2):
        with clock("data"):
            passes(seconds)
    with pytest.raises(ValueError), clock("training"):
        passes(0.504)
        raise ValueError
    assert clock.rounded() == {"data": 3.0, "training": 0.5, "total": 3.5}


def test_a_part_is_taken_from_its_stage(passes):
    clock = Stopwatch()

    @part("experts")
    def train_experts():
        passes(3)

    with clock("hat: preparation"):
        passes(1)
        with part("adaptation"):
            passes(2)
        train_experts()
        with part("adaptation"):
            passes(4)
        passes(1)
    with clock("hat: training"):
        passes(5)
    assert clock.seconds == {
        "hat: preparation, adaptation": 6,
        "hat: preparation, experts": 3,
        "hat: preparation, the rest": 2,
        "hat: training": 5,
    }
    assert clock.total == 16
    assert seconds_of("hat: preparation", clock.seconds) == 11
    assert seconds_of("hat: training", clock.seconds) == 5
    assert seconds_of("hat", clock.seconds) == 0


def test_a_part_of_nothing_goes_untimed(passes):
    clock = Stopwatch()
    with part("adaptation"):
        passes(1)
    with clock("data"):
        passes(1)
    with part("adaptation"):
        passes(1)
    assert clock.seconds == {"data": 1}


def test_a_stage_that_fails_within_a_part_ends_both(passes):
    clock = Stopwatch()
    with pytest.raises(ValueError), clock("preparation"), part("adaptation"):
        passes(1)
        raise ValueError
    with clock("training"), part("first"):
        passes(1)
    assert clock.seconds == {
        "preparation, adaptation": 1,
        "preparation, the rest": 0,
        "training, first": 1,
        "training, the rest": 0,
    }


def test_another_thread_is_no_part(passes):
    clock = Stopwatch()

    def work():
        with part("adaptation"):
            passes(1)

    with clock("preparation"):
        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
    assert clock.seconds == {"preparation": 1}
