import mmap

from hatlit.experiments.memory import FORGET, peak_bytes, reset_peak

SIZE = 128_000_000


def test_the_peak_is_seen_and_forgotten():
    reset_peak()
    before = peak_bytes()
    filled = mmap.mmap(-1, SIZE)  # an array might get memory that was freed and never given back
    filled[:: mmap.PAGESIZE] = bytes(len(range(0, SIZE, mmap.PAGESIZE)))
    during = peak_bytes()
    assert during - before > 0.9 * SIZE
    filled.close()
    reset_peak()
    assert before > 0
    assert not FORGET.exists() or peak_bytes() < during
