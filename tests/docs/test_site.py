"""The site is built from the pages, names everything that is public, and shows its equations without a script."""

from __future__ import annotations

import html
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import hatlit
from hatlit.cli import USAGE

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EQUATION = r'<span class="arithmatex">\({}\)</span>'


@pytest.fixture(scope="module")
def config():
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text())


@pytest.fixture
def to_mathml():
    pytest.importorskip("latex2mathml", reason="the extra [docs] is not installed")
    spec = importlib.util.spec_from_file_location("mathml", DOCS / "_site" / "mathml.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.on_page_content


def in_nav(entry):
    if isinstance(entry, str):
        return [entry]
    return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in in_nav(part)]


def test_every_page_is_in_the_navigation(config):
    pages = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))
    assert sorted(in_nav(config["nav"])) == pages


def test_no_page_points_outside_of_the_site():
    for page in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).resolve().is_relative_to(DOCS), f"{page.name} points at {target}"


def test_the_reference_has_every_public_name():
    page = (DOCS / "reference" / "python.md").read_text()
    assert sorted(re.findall(r"^::: hatlit\.(\w+)$", page, re.MULTILINE)) == sorted(hatlit.__all__)


def test_the_reference_has_every_registry():
    page = (DOCS / "reference" / "registries.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "src" / "hatlit").rglob("*.py"))
    found = dict(
        re.findall(r"^([A-Z_]+): Registry\[.*\] = Registry\(\s*[^)]*?group=\"([\w.]+)\"", sources, re.MULTILINE)
    )
    listed = dict(re.findall(r"^\| `([A-Z_]+)` \|.*\| `(hatlit\.\w+)` \|$", page, re.MULTILINE))
    assert listed == found


def test_equations_become_mathml(to_mathml):
    page = to_mathml(f"<p>{EQUATION.format(html.escape('a_i < b'))} and <code>$x$</code></p>")
    assert "<math" in page and "<msub>" in page
    assert re.search("<mo>(&lt;|&#x0*3C;)</mo>", page)
    assert "arithmatex" not in page
    assert "<code>$x$</code>" in page


def test_every_equation_of_the_pages_is_understood(to_mathml):
    for page in DOCS.rglob("*.md"):
        text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL)
        for latex in re.findall(r"\$\$?([^$]+)\$\$?", text):
            assert "\\" not in to_mathml(EQUATION.format(html.escape(latex))), f"{page.name}: {latex}"


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    for library in ("mkdocs", "material", "mkdocstrings", "latex2mathml"):
        pytest.importorskip(library, reason="the extra [docs] is not installed")
    finished = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    method = (tmp_path / "site" / "method.html").read_text()
    assert method.count("<math") > 40
    usage = (tmp_path / "site" / "reference" / "commands.html").read_text()
    assert html.escape(USAGE, quote=False) in usage
    for page in (tmp_path / "site").rglob("*.html"):
        loaded = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="?(https?:[^" >]+)', page.read_text())
        assert not loaded, f"{page.name} fetches {loaded}"
