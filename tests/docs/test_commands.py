"""Every command on every page is one, with options that there are; what runs is in the tests of the pages.

What nobody can run here (a hub, several machines) stands in blocks of text on the pages, or is known below.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from hatlit.cli import COMMANDS
from hatlit.config import CompareConfig, ExpandConfig, StudentsConfig, StudyConfig, TrainConfig, ZooBuildConfig
from hatlit.options import option_names, parse

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OPTIONS = {
    "train": TrainConfig,
    "compare": CompareConfig,
    "expand": ExpandConfig,
    "study": StudyConfig,
    "students": StudentsConfig,
    "zoo build": ZooBuildConfig,
}


def commands(page):
    found = re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line.split("#")[0].strip() for block in found for line in block.splitlines()]
    return [line for line in lines if line]


def check_hatlit(words):
    if words == ["--help"]:
        return
    name = next(name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS)
    rest = words[1 + name.count(" ") :]
    if name in OPTIONS and "--help" not in rest and "--resume" not in rest:
        parse(OPTIONS[name], name, "", rest[1:] if name == "study" else rest)


def check_python(script, *words):
    source = (ROOT / script).read_text()
    if script.startswith("scripts/"):
        check_hatlit([Path(script).stem, *words])
        return
    inherited = set(option_names(StudyConfig)) if "(StudyConfig):" in source else set()
    for option in {word.removeprefix("--") for word in words if word.startswith("--")} - inherited:
        assert re.search(rf"^    {option}: ", source, re.MULTILINE), f"{script} has no --{option}"


def check_extras(requirement):
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"[a-z0-9]+", requirement)) <= set(known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_one(page):
    for line in commands(page):
        program, *words = shlex.split(re.sub(r"^([A-Z_]+=\S+ )+", "", line))  # what is set for one command alone
        if program == "hatlit":
            check_hatlit(words)
        elif program == "python":
            check_python(*words)
        elif program == "torchrun":
            check_hatlit(words[words.index("hatlit") + 1 :])
        elif program == "pip":
            assert words[:2] == ["install", "-e"]
            check_extras(words[2])
        else:
            assert (program, words[0]) in {("make", "train"), ("make", "test"), ("wandb", "sync")}, line
