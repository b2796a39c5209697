import re

import torch

from hatlit.experiments.environment import environment


def test_it_names_what_may_change_the_last_bit():
    found = environment()
    assert found["torch"] == torch.__version__
    assert re.fullmatch("[0-9a-f]{16}", found["code"])
    assert found["threads"] == str(torch.get_num_threads())
    assert {"python", "platform", "processor", "hatlit", "numpy", "lightning"} <= found.keys()
    assert "timm" not in found  # of an extra
    assert all(isinstance(value, str) and value for value in found.values())
