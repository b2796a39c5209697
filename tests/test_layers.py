"""Imports point down the layers, and no part of the package stands outside them."""

import contextlib
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest

import hatlit

ROOT = Path(__file__).parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def lint(config, monkeypatch):
    """Runs import-linter on one configuration; returns whether every contract is kept."""
    cli = pytest.importorskip("importlinter.cli")
    monkeypatch.chdir(ROOT)  # it looks for the package from here
    with contextlib.suppress(SystemExit):
        return cli.lint_imports(config_filename=str(config), no_cache=True) == 0
    return False


def test_imports_point_down_the_layers(monkeypatch):
    assert lint(ROOT / "pyproject.toml", monkeypatch)


def test_an_import_that_points_up_would_be_found(tmp_path, monkeypatch):
    upside_down = tmp_path / "pyproject.toml"
    upside_down.write_text(
        '[tool.importlinter]\nroot_package = "hatlit"\n[[tool.importlinter.contracts]]\nname = "upside down"\n'
        'type = "layers"\nlayers = ["hatlit.registry", "hatlit.experiments"]\n'
    )
    assert not lint(upside_down, monkeypatch)


def test_every_part_of_the_package_has_its_layer():
    (contract,) = [one for one in CONTRACTS if one["type"] == "layers"]
    listed = [name.strip() for layer in contract["layers"] for name in re.split("[|:]", layer)]
    there = {f"hatlit.{module.name}" for module in pkgutil.iter_modules(hatlit.__path__)}
    assert len(listed) == len(set(listed))
    assert set(listed) == there
    assert "ignore_imports" not in contract, "an exception would be a hole in the layers"
