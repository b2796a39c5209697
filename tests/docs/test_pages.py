"""The commands and the code that the pages show do run."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hatlit.cli import COMMANDS, main
from hatlit.config import CompareConfig, ExpandConfig, StudyConfig, TrainConfig
from hatlit.experiments.study import STUDIES
from hatlit.options import option_names, parse

ROOT = Path(__file__).parents[2]

#: Makes the runs on the pages quick; their results are not looked at.
QUICK = (
    "--sources.encoders cnn_nano --sources.max_epochs 1 --trainer.max_epochs 1 --jobs 1 --adapt.steps 1 "
    "--hat.experts.steps 2"
).split()


#: The npz file that the data page makes.
PEOPLE = "--data.name arrays --data.root people.npz".split()


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def commands(page):
    lines = [line.split("#")[0].strip() for block in blocks(page, "bash") for line in block.splitlines()]
    return [line for line in lines if line]


def quick(words):
    if words[0] == "train":
        return [*words, *QUICK, "--wandb", "off"]
    if words[0] == "compare":
        small = ("--targets", "person-1", "--seeds", "1", "--num_sources", "2")
        return words if "--resume" in words else [*words, *QUICK, *PEOPLE, *small]
    if words[0] == "expand":
        return [*words, *QUICK, *PEOPLE, "--initial", "2", "--join", "1"]
    return [*words, *QUICK[:4], "--jobs", "1"] if words[:2] == ["zoo", "build"] else words


@pytest.fixture
def folder(tmp_path, tmp_path_factory, monkeypatch):
    """A folder with the npz file that the data page makes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path_factory.getbasetemp() / "pages-cache"))
    (code,) = blocks("docs/your-own-data.md", "python")
    exec(compile(code, "docs/your-own-data.md", "exec"), {})
    return tmp_path


PAGES = [
    "README.md",
    "docs/your-own-data.md",
    "docs/zoo.md",
    "docs/runs.md",
    "docs/comparisons.md",
    "docs/add-a-method.md",
    "docs/export.md",
    "docs/expand.md",
    "docs/publish.md",
    "docs/add-a-similarity.md",
    "docs/reference/commands.md",
    "docs/label-next.md",
    "docs/no-labels.md",
]


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("page", PAGES)
def test_every_hatlit_command_of_a_page_runs(in_this_process, folder, page, capsys):
    for code in blocks(page, "python"):  # a file that commands name stands in its first line
        (folder / code.split("\n")[0].removeprefix("# ")).write_text(code)
    ran = 0
    for line in commands(page):
        name, *words = shlex.split(line.replace("$RUN", str(next(Path("runs").glob("**/hat-*"), ""))))
        if name != "hatlit":
            continue
        if "ray" in words:  # may not be installed, and takes long to start
            parse(ExpandConfig, "expand", "", words[1:])
            continue
        assert main(quick(words)) == 0, f"{line}: {capsys.readouterr().err}"
        ran += 1
    assert ran > 0
    if page == "docs/publish.md":
        exec(compile((folder / "publish.py").read_text(), "publish.py", "exec"), {})
        assert (folder / "person-3-student" / "README.md").is_file()
    if page == "docs/export.md":
        classes = {"walk", "run", "sit"}
        for file in ("on_the_device.py", "ask.py"):
            capsys.readouterr()
            exec(compile((folder / file).read_text(), file, "exec"), {})
            assert set(re.findall(r"[a-z]+", capsys.readouterr().out)) <= classes


@pytest.mark.parametrize(("page", "kind"), [("comparisons", CompareConfig), ("expand", ExpandConfig)])
def test_options_of_training_that_another_command_lacks_are_named(page, kind):
    text = (ROOT / "docs" / f"{page}.md").read_text()
    (said,) = re.findall(r"Every option of `hatlit train` works\s+as well, save (.*?);", text, re.DOTALL)
    assert set(option_names(TrainConfig)) - set(option_names(kind)) <= set(re.findall(r"`--(\w+)`", said))


MODALITY_PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "modalities").glob("*.md"))


@pytest.mark.parametrize("page", MODALITY_PAGES)
def test_every_command_of_a_modality_page_names_what_exists(page, tmp_path, monkeypatch, capsys):
    """Sets that are not here cannot be read, so a command gets no further than to say so."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
    lines = [line.removeprefix("python scripts/").replace("train.py", "hatlit train") for line in commands(page)]
    assert any(line.startswith("hatlit train --modality") for line in lines)
    for line in lines:
        _, *words = shlex.split(line.replace("--data.download", ""))
        if "--data.name" in words:
            assert main(words) == 2
            assert re.search(r"There is no .* of data set|give its folder|give the", capsys.readouterr().err)
        elif words[0] == "data":
            assert main([*words, "--domains", "1"]) == 0
        else:
            assert words == ["train", "--modality", Path(page).stem]


def test_there_is_a_page_with_a_picture_for_each_modality():
    for name in ("image", "audio", "imu", "text", "depth", "radar"):
        page = (ROOT / "docs" / "modalities" / f"{name}.md").read_text()
        assert f"../images/samples-{name}.png" in page
        assert (ROOT / "docs" / "images" / f"samples-{name}.png").is_file()


@pytest.mark.slow
@pytest.mark.usefixtures("without_pictures")
def test_the_encoder_page_runs_as_it_stands(tmp_path, tmp_path_factory, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path_factory.getbasetemp() / "encoder-page-cache"))
    (code,) = blocks("docs/add-an-encoder.md", "python")[:1]
    Path("my_encoders.py").write_text(code)
    lines = [line for line in commands("docs/add-an-encoder.md") if line.startswith("python scripts/train.py")]
    assert len(lines) == 2
    for line in lines:
        words = shlex.split(line)[2:]
        options = [word for word in QUICK if "--sources.encoders" not in words or word not in QUICK[:2]]
        assert main(["train", *words, *options, "--wandb", "off"]) == 0, capsys.readouterr().err
        assert "tiny_mlp" in (max(Path("runs").glob("*/config.yaml"), key=lambda f: f.stat().st_mtime)).read_text()


def test_every_other_command_of_the_readme_is_known():
    """What is not ours is set-up, which the clean environment of CI runs."""
    others = {line for line in commands("README.md") if not line.startswith("hatlit ")}
    assert others == {
        "make train",
        "make test",
        'pip install -e ".[dev]"',
        "python scripts/train.py --modality image",
    }


def test_make_does_what_the_readme_says():
    printed = subprocess.run(
        ["make", "--dry-run", "train", "test", "docs"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "scripts/train.py --modality imu" in printed.stdout
    assert "-m pytest" in printed.stdout
    assert "-m mkdocs build --strict" in printed.stdout


@pytest.mark.slow
def test_the_readmes_first_command_runs_in_a_process_of_its_own(tmp_path):
    """From nothing to a student on the demo data, with small sources and fewer passes than as shipped."""
    shorter = "--sources.encoders cnn_nano --sources.max_epochs 1 --trainer.max_epochs 2 --jobs 1".split()
    shorter += "--adapt.steps 2 --hat.experts.steps 2".split()
    finished = subprocess.run(
        [sys.executable, ROOT / "scripts" / "train.py", "--modality", "imu", *shorter],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "HATLIT_CACHE": str(tmp_path / "cache"), "WANDB_MODE": "disabled"},
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    assert finished.stdout.startswith("demo data: simulated, not recorded")
    assert all(f"│ {method} " in finished.stdout for method in ("hat", "labels_only"))
    assert len(list((tmp_path / "runs").glob("hat-demo-*/report.png"))) == 1


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "scripts").glob("*.py")))
def test_every_script_is_its_command(script):
    name = Path(script).stem
    words = [sys.executable, ROOT / "scripts" / script, *(["list", "nowhere"] if name == "zoo" else ["--help"])]
    finished = subprocess.run(words, capture_output=True, text=True)
    if name == "zoo":
        assert finished.returncode == 2
        assert "is not a zoo" in finished.stderr
    else:
        assert finished.returncode == 0
        assert f"usage: hatlit {name}" in finished.stdout


def test_every_link_of_every_page_leads_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} points at {target}"


def test_ci_runs_what_the_readme_says():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step.get("run") for job in workflow["jobs"].values() for step in job["steps"]]
    assert "bash .ci/run" in steps
    assert {"make lint", "make docs"} <= set(steps)


def test_every_study_command_is_one(capsys):
    lines = [shlex.split(line) for line in commands("docs/studies.md")]
    assert {words[2] for words in lines if words[1] == "study"} == set(STUDIES.names())
    for words in lines:
        parse(StudyConfig, "study", "", words[3:])


def test_the_readme_names_every_command():
    (section,) = re.findall(r"^## Every command$(.*?)^## ", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`hatlit ([a-z -]+)`", section)) == set(COMMANDS)


def test_the_changelog_names_every_command_that_has_a_name_of_its_own():
    text = (ROOT / "CHANGELOG.md").read_text()
    lists = {"encoders", "students", "methods"}
    assert all(f"`{name.split()[0]}`" in text for name in COMMANDS if name not in lists)


def test_the_page_of_interruptions_says_no_more_than_was_counted():
    counted = json.loads((ROOT / "benchmarks" / "results" / "interruptions.json").read_text())
    page = (ROOT / "docs" / "interruptions.md").read_text()
    assert f"killed small jobs {sum(one['kills'] for one in counted.values())} times" in page
    for kind, one in counted.items():
        columns = (one["kills"], one["continued"], one["ended"], one["identical"], one["broken"])
        assert f"| {kind} | {' | '.join(map(str, columns))} |" in page
    for kind in {"zoo build", "training", "cache writing", "comparison", "expansion"} - set(counted):
        assert f"- Not counted yet: {kind}." in page


def test_the_table_of_attacks_is_what_was_measured():
    measured = json.loads((ROOT / "benchmarks" / "results" / "membership.json").read_text())
    columns = {"UWB ranging": measured.pop("radar-uwb"), "SPAR": measured.pop("imu-spar")}
    assert not measured, "a set has no column on the page"
    _, table = (ROOT / "docs" / "privacy.md").read_text().split(f"| {' | '.join(columns)} |\n")
    cell = "{mean:.2f} [{low:.2f}, {high:.2f}]".format_map
    rows = [[attack, *(cell(column[attack]) for column in columns.values())] for attack in columns["SPAR"]]
    shown = [line.strip("| ").split(" | ") for line in table.split("\n\n")[0].splitlines()[1:]]
    assert sorted(shown) == sorted(rows)


@pytest.mark.parametrize(
    "file", sorted((ROOT / "benchmarks" / "results" / "comparisons").glob("*.csv")), ids=lambda file: file.stem
)
def test_the_accuracies_of_the_results_are_those_of_the_kept_runs(file, program):
    tables = tables_of(file.stem, program("sections").SECTIONS)
    reached = {}
    for row in csv.DictReader(file.read_text().splitlines()):
        reached.setdefault(row["method"], []).append(float(row["accuracy"]))
    for method, values in reached.items():
        mark = r"(?: \(.*?\))?"  # of an oracle, or of a method that needs recordings of others
        row = rf"^\| {method}{mark} \| {len(values)} \| {100 * sum(values) / len(values):.1f} \["
        is_whole = len(values) == len(reached["hat"])  # others wait for the rest of their runs
        is_there = bool(re.search(row, tables, re.MULTILINE))
        assert is_there == is_whole, f"{method} of {file.name} stands otherwise on the page"


def tables_of(comparison, sections):
    """The tables of one comparison on the page of results, in the section of its set, by how many labels there were."""
    called, level = comparison.rsplit("-", 1)
    (section,) = (one for one in sections if one.name == called)
    _, rest = (ROOT / "docs" / "results.md").read_text().split(f"\n## {section.title}\n")
    labels = f"{section.per_class} a class" if level == "few" else f"{level}% of the labels"
    _, *tables = rest.split("\n## ")[0].split(f", labels: {labels}\n\n")
    return "\n".join(table.split("\n\n")[0] for table in tables)


def test_what_the_readme_says_of_accuracy_stands_in_the_results():
    said = re.search(
        r"of (\d+) methods: ([\d.]+) %, where the\nlabels alone give ([\d.]+) % and the next best, `(\w+)`, ([\d.]+) %",
        (ROOT / "README.md").read_text(),
    )
    assert said, "the README says it otherwise"
    count, ours, floor, next_best, theirs = said.groups()
    page = (ROOT / "docs" / "results.md").read_text()
    reached = over_all_sets(page, f"All {count} methods that were run on")
    assert list(reached)[:2] == ["hat", next_best]
    assert (reached["hat"], reached["labels_only"], reached[next_best]) == (ours, floor, theirs)
    aside = re.search(
        r"`dann`, which needs the\nrecordings of the sources' owners [^,]+, has ([\d.]+) %",
        (ROOT / "README.md").read_text(),
    )
    assert aside and f"owners, has {aside[1]}." in page[page.index(f"All {count} methods") :]


def test_what_the_readme_says_of_sets_that_nothing_was_chosen_on_stands_in_the_results():
    said = re.search(
        r"On five sets that nothing was chosen on, .*:\n"
        r"([\d.]+) %, the labels alone ([\d.]+) %, the best, `(\w+)`, ([\d.]+) %",
        (ROOT / "README.md").read_text(),
    )
    assert said, "the README says it otherwise"
    ours, floor, best, theirs = said.groups()
    page = (ROOT / "docs" / "results.md").read_text()
    reached = over_all_sets(page[page.index("## Sets that nothing was chosen on") :], "All 21 methods")
    assert next(iter(reached)) == best
    assert (reached["hat"], reached["labels_only"], reached[best]) == (ours, floor, theirs)


def over_all_sets(page: str, mark: str) -> dict[str, str]:
    """Accuracy by method, best first, in the table over all sets that follows a mark."""
    table, *_ = re.split(r"\n(?:## |All )", page[page.index(mark) :])
    return dict(re.findall(r"^\| (\w+) \| \w+ \| ([\d.]+) \|", table, re.MULTILINE))


def test_the_zoo_page_names_every_zoo_command():
    page = (ROOT / "docs" / "zoo.md").read_text()
    known = {name for name in COMMANDS if name.startswith("zoo ")}
    assert {f"zoo {word}" for word in re.findall(r"^\| `hatlit zoo ([a-z]+)", page, re.MULTILINE)} == known


def test_the_table_of_cards_is_what_was_measured():
    measured = json.loads((ROOT / "benchmarks" / "results" / "cards.json").read_text())
    page = (ROOT / "docs" / "cards.md").read_text()
    for size, one in measured["sizes"].items():
        assert f"| {int(size):,} | {one['open']:.3f} | {one['read']:.3f} | {one['cosine']:.3f}" in page
