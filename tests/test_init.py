"""The names of the package: all there, each imported when it is first used."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import hatlit


@pytest.mark.parametrize("name", hatlit.__all__)
def test_every_public_name_is_there(name):
    assert getattr(hatlit, name) is not None
    assert name in dir(hatlit)


def test_every_public_class_and_function_says_what_it_is_for():
    for name in hatlit.__all__:
        value = getattr(hatlit, name)
        assert not callable(value) or len((value.__doc__ or "").split("\n")[0]) > 20, name


def test_the_version_is_that_of_the_distribution():
    assert hatlit.__version__ == version("hatlit")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'hatlit' has no attribute 'expnd'"):
        _ = hatlit.expnd


def test_the_import_and_the_version_load_nothing_heavy():
    code = (
        "import sys, hatlit; hatlit.__version__, dir(hatlit), hatlit.InputError\n"
        "assert not {'torch', 'numpy', 'pydantic', 'lightning', 'jsonargparse'} & set(sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
