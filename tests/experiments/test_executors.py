"""Both executors keep the same promise; which one it is, the options say."""

import sys

import pytest

from hatlit.config import CompareConfig, ExpandConfig, RayConfig
from hatlit.errors import InputError
from hatlit.experiments.executors import open_executor
from hatlit.experiments.pool import Runs


@pytest.mark.parametrize("kind", [CompareConfig, ExpandConfig])
def test_processes_on_this_machine_unless_told(kind):
    with open_executor(kind(jobs=1)) as execute:
        assert isinstance(execute([]), Runs)


def test_without_ray_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(InputError, match=r"Ray, which is not installed .*pip install \"hatlit\[ray\]\""),
        open_executor(ExpandConfig(executor="ray")),
    ):
        pass


def test_a_cluster_that_is_not_there_is_one_sentence():
    pytest.importorskip("ray", exc_type=ImportError, reason="Ray is not installed")
    config = ExpandConfig(executor="ray", ray=RayConfig(address="nowhere"))
    with pytest.raises(InputError, match="No Ray cluster answers at 'nowhere'"), open_executor(config):
        pass
