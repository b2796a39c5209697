"""Imports point down the layers, and no part of the package stands outside them."""

import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hatlit

ROOT = Path(__file__).parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def lint(config):
    """Runs import-linter on one configuration; returns whether every contract is kept.

    In a process of its own, because it reconfigures logging.
    """
    pytest.importorskip("importlinter.cli")
    code = (
        f"import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports({str(config)!r}, no_cache=True))"
    )
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "Contracts: " in finished.stdout, finished.stdout + finished.stderr
    return finished.returncode == 0


def test_imports_point_down_the_layers():
    assert lint(ROOT / "pyproject.toml")


def test_an_import_that_points_up_would_be_found(tmp_path):
    upside_down = tmp_path / "pyproject.toml"
    upside_down.write_text(
        '[tool.importlinter]\nroot_package = "hatlit"\n[[tool.importlinter.contracts]]\nname = "upside down"\n'
        'type = "layers"\nlayers = ["hatlit.registry", "hatlit.experiments"]\n'
    )
    assert not lint(upside_down)


def test_every_part_of_the_package_has_its_layer():
    (contract,) = [one for one in CONTRACTS if one["type"] == "layers"]
    listed = [name.strip() for layer in contract["layers"] for name in re.split("[|:]", layer)]
    there = {f"hatlit.{module.name}" for module in pkgutil.iter_modules(hatlit.__path__)}
    assert len(listed) == len(set(listed))
    assert set(listed) == there
    assert "ignore_imports" not in contract, "an exception would be a hole in the layers"
