"""What is shipped holds what it should, and the files around the code say what is true."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The names inside the wheel and inside the sdist, built from a clean copy."""
    pytest.importorskip("build")
    place = tmp_path_factory.mktemp("package")
    left_out = shutil.ignore_patterns(".git", ".venv", "runs", "build", "dist", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, place / "source", ignore=left_out)
    words = [sys.executable, "-m", "build", "--outdir", str(place / "dist"), str(place / "source")]
    finished = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-2000:]
    (wheel,), (sdist,) = (place / "dist").glob("*.whl"), (place / "dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as opened:
        in_wheel = set(opened.namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {name.split("/", 1)[-1] for name in archive.getnames()}
    return in_wheel, in_sdist


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(built):
    in_wheel, _ = built
    sources = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src" / "hatlit").rglob("*") if path.is_file()}
    wanted = {name for name in sources if not name.endswith(".pyc")}
    assert {name for name in in_wheel if name.startswith("hatlit/")} == wanted
    assert {"hatlit/py.typed", "hatlit/configs/method/hat_paper.yaml"} <= in_wheel
    assert any(re.fullmatch(r"hatlit-.*\.dist-info/licenses/LICENSE", name) for name in in_wheel)
    assert {name.split("/")[0] for name in in_wheel} == {"hatlit", f"hatlit-{PROJECT['version']}.dist-info"}


@pytest.mark.slow
def test_the_sdist_holds_what_is_needed_to_work_on_it(built):
    _, in_sdist = built
    for folder in ("benchmarks", "docs", "notebooks", "scripts", "tests"):
        there = {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*") if path.is_file()}
        wanted = {name for name in there if "__pycache__" not in name}
        assert wanted and wanted <= in_sdist, sorted(wanted - in_sdist)[:5]
    assert {"CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "Makefile", "constraints.txt"} <= in_sdist


def test_the_licence_is_the_one_that_is_claimed():
    assert PROJECT["license"] == yaml.safe_load((ROOT / "CITATION.cff").read_text())["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text()


def test_the_citation_names_this_version_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["title"], citation["version"]) == (PROJECT["name"], PROJECT["version"])
    (paper,) = citation["references"]
    assert paper["url"].endswith("2412.04060")
    assert paper["authors"]


def test_the_hooks_run_what_lint_runs():
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert {hook["id"] for hook in local["hooks"]} == {"ruff", "ruff-format", "mypy"}


@pytest.mark.parametrize("form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda f: f.stem)
def test_every_form_asks_something(form):
    content = yaml.safe_load(form.read_text())
    assert {"name", "description", "body"} <= set(content)
    assert len({part["id"] for part in content["body"]}) == len(content["body"])


def test_every_pinned_version_is_within_its_range():
    from packaging.requirements import Requirement

    wanted = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]
    ranges = {one.name: one.specifier for one in map(Requirement, wanted)}
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    assert pins
    assert all(version in ranges[name] for name, version in pins.items())
