"""The tables of the page of speed are those of the figures that were kept."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "speed.md").read_text()

#: Sources on the page, and in the figures.
SOURCES = {
    f"{number} of {shown}": f"np{number}_{size}"
    for shown, size in (("30 k", "30k"), ("1 M", "1M"), ("20 M", "20M"))
    for number in (1, 5, 20)
} | {"5 of timm's MobileNetV3": "np5_timm"}


def kept(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def table(head):
    """The rows of the first table whose head has these words, as lists of cells."""
    lines = PAGE[PAGE.index(head) :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_steps_of_all_tools():
    medians = kept("throughput")["medians"]
    order = ("student_alone", "hat", "hat_by_hand", "hatlit_kd", "textbrewer", "textbrewer_cached", "torchdistill")
    rows = table("| sources | student alone |")
    assert len(rows) == len(medians) == len(SOURCES)
    for called, *shown in rows:
        of = medians[SOURCES[re.sub(r"^(\d+) of (\d+ [kM])( parameters)?$", r"\1 of \2", called)]]
        assert shown == [f"{1000 * of[name]:.1f}" for name in order], called


def test_what_a_step_is_made_of():
    medians = list(kept("step")["medians"].values())
    rows = table("| a step with |")
    assert [row[0] for row in rows] == list(medians[0])
    for part, *shown in rows:
        assert shown == [f"{of[part]:.1f} ({of[part] / of[rows[0][0]]:.2f})" for of in medians], part


def test_stages_of_a_whole_run(program):
    seconds = kept("whole_run")["seconds"]
    found = {row["stage"]: list(row.values())[1:] for row in program("whole_run").table_of(seconds)}
    shown = [row[1:] for row in table("| stage | seconds |")]
    assert (
        sum(row in shown for row in found.values()) >= len(shown) - 1
    )  # the split is shown with what else comes before


def test_number_formats(program):
    module = program("formats")
    runs = {way: [module.Run(**one) for one in several] for way, several in kept("formats")["runs"].items()}
    shown = table("| what differs | a step (ms) |")
    assert [row[1:] for row in shown] == [list(row.values())[1:] for row in module.table_of(runs)]


def test_many_targets_at_once():
    rows = {row["method"]: row for row in kept("batched")["rows"]}
    for method, *shown in table("| method | one by one |"):
        of = rows[method.strip("`")]
        assert shown == [f"{of[name]:.2f}" for name in ("one by one", "together", "times faster")]


def test_what_stacking_saves():
    shown = [[cell.strip("`") for cell in row] for row in table("| student | part |")]
    rows = kept("stacking")["rows"]
    assert shown == [[row["student"], row["part"], f"{row['one by one']:.2f}", f"{row['stacked']:.2f}"] for row in rows]


@pytest.mark.parametrize("name", ["throughput", "step", "whole_run", "formats", "batched", "stacking", "threads"])
def test_figures_say_when_and_with_what_they_were_measured(name):
    assert {"date", "hatlit", "torch", "cores"} <= kept(name).keys()
    assert kept(name)["date"] in PAGE
