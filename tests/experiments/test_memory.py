import numpy as np

from hatlit.experiments.memory import FORGET, peak_bytes, reset_peak


def test_the_peak_is_seen_and_forgotten():
    reset_peak()
    before = peak_bytes()
    filled = np.ones(16_000_000)
    during = peak_bytes()
    assert during - before > 0.9 * filled.nbytes
    del filled
    reset_peak()
    assert before > 0
    assert not FORGET.exists() or peak_bytes() < during
