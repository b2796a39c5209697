"""One thread for as long as it is asked for."""

import pytest
import torch

from hatlit.threads import one_thread


def test_one_inside_and_as_many_as_before_behind_it(two_threads):
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_an_exception_leaves_as_many_as_before(two_threads):
    with pytest.raises(ZeroDivisionError), one_thread():
        _ = 1 / 0
    assert torch.get_num_threads() == 2
