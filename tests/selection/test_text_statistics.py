"""Statistics of texts: what each number is, and that padding and the machine have no say in them."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
import torch

from hatlit.datamodules.text import pad_texts, recorded_form
from hatlit.selection.statistics import NUM_KERNELS, STATISTICS, profile
from hatlit.selection.text_statistics import WORD_BINS

TEXTS = [b"Great value, 10 of 10!", b"", b"it broke after a day", "Füße müde".encode()]


def samples(length: int = 64) -> torch.Tensor:
    return torch.from_numpy(pad_texts(TEXTS, length).astype(np.float32))


@pytest.mark.parametrize("name", ["handcrafted", "random_kernels"])
def test_each_text_has_numbers_of_its_own_and_padding_has_no_say(name: str) -> None:
    statistic = STATISTICS.get(name, "text")
    together = statistic(samples(), recorded_form(64), 0)
    assert together.isfinite().all()
    for row, text in enumerate(TEXTS[:1]):
        alone = statistic(torch.from_numpy(pad_texts([text], 40).astype(np.float32)), recorded_form(40), 0)
        torch.testing.assert_close(together[row : row + 1], alone)


def test_handcrafted_by_hand() -> None:
    numbers = STATISTICS.get("handcrafted", "text")(samples(), recorded_form(64), 0)[0]
    length = len(TEXTS[0])
    assert numbers[0] == pytest.approx(math.log1p(length))
    capitals, digits, marks, spaces = 1, 4, 2, 4
    assert (numbers[1:5] * length).round().tolist() == [capitals, digits, marks, spaces]
    found = [b"great", b"value", b"10", b"of", b"10", b"!"]
    bins = np.bincount([zlib.crc32(word) % WORD_BINS for word in found], minlength=WORD_BINS) / len(found)
    np.testing.assert_allclose(numbers[6:], bins, rtol=1e-6)


def test_random_kernels_do_not_see_capitals_and_follow_the_seed() -> None:
    statistic = STATISTICS.get("random_kernels", "text")
    small, large = (torch.from_numpy(pad_texts([text], 32)) for text in (b"refund me", b"REFUND ME"))
    first = statistic(small, recorded_form(32), 3)
    assert first.shape == (1, 2 * NUM_KERNELS)
    torch.testing.assert_close(first, statistic(large, recorded_form(32), 3))
    assert not torch.equal(first, statistic(small, recorded_form(32), 4))


def test_domains_that_say_the_same_things_have_the_same_profile() -> None:
    one = profile("handcrafted", samples(), recorded_form(64), 0)
    other = profile("handcrafted", samples().flip(0), recorded_form(64), 0)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-5, atol=1e-6)
