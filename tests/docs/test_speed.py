"""The tables of the page of speed are those of the figures that were kept."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "speed.md").read_text()

#: Sources as the page calls them, by what the figures call them.
SOURCES = {"30k": "30 k", "1M": "1 M", "20M": "20 M", "timm": "timm's MobileNetV3"}

#: Stages of a whole run as the page calls them, by what the figures call them.
STAGES = {
    "selection": "selection",
    "adaptation of the five sources": "adaptation",
    "the target's own experts": "experts",
    "one pass of sources and experts over all rows and their blends": "bank",
    "consensus": "consensus",
    "training": "training",
    "test": "test",
    "the student alone: training": "the student alone: training",
    "the student alone: training, in plain PyTorch": "the student alone, in plain PyTorch",
}

#: Stages of a whole run that the page shows as one.
THE_REST = "the rest of what comes before training"


def kept(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def table(*head):
    """The table whose head has these cells: its other rows, as lists of cells."""
    for block in PAGE.split("\n\n"):
        rows = [
            [cell.strip(" `") for cell in line.strip("|").split("|")]
            for line in block.splitlines()
            if line.startswith("|")
        ]
        if rows and rows[0] == list(head):
            return rows[2:]
    raise AssertionError(f"The page has no table with the head {head}.")


def called(setting):
    """A setting of throughput as the page calls it."""
    number, size = re.fullmatch(r"np(\d+)_(\w+)", setting).groups()
    return f"{number} of {SOURCES[size]}"


def test_steps_of_all_tools():
    shown = {
        "student alone": "student_alone",
        "hat": "hat",
        "hat, as published": "hat_as_published",
        "HaT by hand": "hat_by_hand",
        "hatlit's kd": "hatlit_kd",
        "TextBrewer": "textbrewer",
        "TextBrewer, cached": "textbrewer_cached",
        "torchdistill": "torchdistill",
    }
    medians = kept("throughput")["medians"]
    rows = [[called(name), *(f"{1000 * of[one]:.1f}" for one in shown.values())] for name, of in medians.items()]
    page = table("sources", *(name.replace("kd", "`kd") for name in shown))
    assert [[row[0].replace(" parameters", ""), *row[1:]] for row in page] == rows


def test_what_a_step_is_made_of():
    medians = kept("step")["medians"]
    names = [SOURCES[re.fullmatch(r"np5_(\w+).*", name)[1].split(":")[0]] for name in medians]
    first = next(iter(next(iter(medians.values()))))
    rows = [
        [part.replace("`", ""), *(f"{of[part]:.1f} ({of[part] / of[first]:.2f})" for of in medians.values())]
        for part in next(iter(medians.values()))
    ]
    assert [[cell.replace("`", "") for cell in row] for row in table("a step with", *names)] == rows


def test_a_step_by_the_size_of_the_student():
    found = kept("step_by_student")["medians"]
    rows = []
    for name, of in found.items():
        alone, ours = (of[part] for part in ("student alone, plain PyTorch", "+ hints: all of HaT"))
        rows.append([name.removeprefix("np5_1M_"), f"{alone:.1f}", f"{ours:.1f}", f"{ours / alone:.2f}"])
    assert table("student", "alone", "HaT", "times") == rows


def test_stages_of_a_whole_run(program):
    seconds = kept("whole_run")["seconds"]
    alone, by_hand = seconds["the student alone: training"], seconds["the student alone, in plain PyTorch"]
    whole = sum(value for stage, value in seconds.items() if not stage.startswith("the student alone"))
    of_page = {stage: seconds[key] for stage, key in STAGES.items()}
    of_page |= {THE_REST: seconds["split"] + seconds["building"], "all of HaT": whole}
    page = {row[0]: row[1:] for row in table("stage", "seconds", "of the student alone", "of plain PyTorch")}
    assert page == {
        stage: [f"{value:.2f}", f"{value / alone:.2f}", f"{value / by_hand:.2f}"] for stage, value in of_page.items()
    }


def test_number_formats(program):
    module = program("formats")
    runs = {way: [module.Run(**one) for one in several] for way, several in kept("formats")["runs"].items()}
    made = module.table_of(runs)
    rows = [[cell.replace("`", "") for cell in row] for row in table(*made[0])]
    assert rows == [list(row.values()) for row in made]


def test_many_targets_at_once():
    order = ("one by one", "together", "times faster")
    rows = [[row["method"], *(f"{row[name]:.2f}" for name in order)] for row in kept("batched")["rows"]]
    assert table("method", *order) == rows


def test_what_stacking_saves():
    order = ("one by one", "stacked")
    rows = [[row["student"], row["part"], *(f"{row[name]:.2f}" for name in order)] for row in kept("stacking")["rows"]]
    assert table("student", "part", *order) == rows


@pytest.mark.parametrize(
    "name", ["throughput", "step", "step_by_student", "whole_run", "formats", "batched", "stacking", "threads"]
)
def test_figures_say_when_and_with_what_they_were_measured(name):
    assert {"date", "hatlit", "torch", "cores"} <= kept(name).keys()
    paragraphs = [block for block in PAGE.split("\n\n") if f"`benchmarks/results/{name}.json`" in block]
    near = "\n\n".join(paragraphs) or PAGE
    assert kept(name)["date"] in near, f"the page dates {name}.json otherwise"
