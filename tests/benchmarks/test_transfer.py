"""The page of the gap, from runs that are made up: what is closed, what is missing, and what cannot be."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

#: Accuracy by method; all_labels is 0.4 ahead of labels_only.
REACHED = {"labels_only": 0.5, "all_labels": 0.9, "kd": 0.6, "hat": 0.8}


@pytest.fixture
def transfer(program, tmp_path, monkeypatch):
    """The benchmark, in a place where there are no recordings."""
    module = program("transfer")
    monkeypatch.setattr(program("results"), "DATA", tmp_path / "nothing")
    monkeypatch.chdir(tmp_path)
    return module


@pytest.fixture
def kept(program, transfer, tmp_path):
    """The folder of runs on two people of the demo that were never run."""
    results = program("results")
    config = results.ResultsConfig(sets="imu-demo", methods=list(REACHED), labels="few", targets=2, seeds=1)
    (section,) = results.found_sections(config)
    labels = results.drawn_labels(results.settings_of(section, "few", config, ["hat"])[0]["hat"])
    rows = [
        dict.fromkeys(program("kept_runs").KEPT, 1)
        | {"date": "2026-11-01", "hatlit": "0.1.0", "failed": "", "method": method, "accuracy": accuracy}
        | {"target": target, "seed": seed, "labels_fingerprint": fingerprint}
        for method, accuracy in REACHED.items()
        for (target, seed), fingerprint in labels.items()
    ]
    folder = tmp_path / "kept"
    folder.mkdir()
    with (folder / "imu-demo-few.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_the_page_says_what_is_closed_and_what_is_missing(transfer, kept):
    words = "--sets imu-demo,imu-spar --labels few --targets 2 --seeds 1 --page page/transfer.md"
    assert transfer.main([*words.split(), "--kept", str(kept), "--methods", ",".join(REACHED)]) == 0
    page = Path("page/transfer.md").read_text()
    assert "| hat | 75 % | 75 % |" in page
    assert "| kd | 25 % | 25 % |" in page
    assert "at or above the best other method of this table in 1 of 1 comparisons" in page
    assert "It closes 75 % of the gap on average (1 with a gap)." in page
    assert "would close 75 %." in page, "all_labels, an oracle, is no choice"
    missing = next(line for line in page.splitlines() if line.startswith("Not run: "))
    for absent in ("IMU: SPAR", "Radar: UWB ranging", "5% of the labels", "`hat_no_gate`"):
        assert absent in missing
    assert "IMU demo" not in missing
    assert "aekd" not in missing, "no row of this page"
    assert Path("page/images/transfer.png").is_file()


def test_a_variant_that_is_no_part_of_the_comparison_has_no_number(transfer, program):
    """One with fewer seeds than HaT is not, and would be compared with HaT on other labels."""
    section = program("sections").SECTIONS[0]
    ends = {"labels_only": 0.5, "all_labels": 0.9, "hat": 0.8}
    known = {name: {"accuracy": {"mean": mean}, "gap_closed": 0.75} for name, mean in ends.items()}
    hat, variant = transfer.gap_table({section: {"methods": known}}, ["hat", "hat_no_gate"])
    assert (hat["mean"], variant["mean"]) == ("75 %", "-")
    assert variant[section.name] == "-"


def test_without_any_of_the_data_no_page_is_touched(transfer, capsys):
    page = Path("transfer.md")
    page.write_text("as it was")
    for words in ([], ["--fast"]):
        assert transfer.main(["--sets", "imu-spar,radar-uwb", "--page", str(page), *words]) == 2
        said = capsys.readouterr().err
        assert said.startswith("transfer: None of these sets is in ")
        assert said.count("\n") == 1
    assert page.read_text() == "as it was"
    assert not Path("images").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--fast --labels 7%", "--labels knows few, 5%, not 7%."),
        ("--fast --sets imu", "--sets knows imu-demo"),
        ("--fast --methods kd", "--methods needs all_labels, hat, labels_only"),
    ],
)
def test_what_cannot_be_is_refused(transfer, capsys, words, says):
    assert transfer.main(words.split()) == 2
    assert says in capsys.readouterr().err


def test_every_method_of_the_page_is_one(transfer):
    from hatlit.methods.base import METHODS

    asked = transfer.METHODS.split(",")
    assert len(set(asked)) == len(asked)
    assert set(asked) <= set(METHODS.names())


def test_a_page_that_lacks_sets_leaves_the_one_in_docs_alone(transfer, kept, capsys):
    words = f"--sets imu-demo,imu-spar --labels few --targets 2 --seeds 1 --kept {kept} --out elsewhere"
    assert transfer.main([*words.split(), "--methods", ",".join(REACHED)]) == 0
    assert "| hat | 75 % | 75 % |" in Path("elsewhere/transfer.md").read_text()
    assert "wrote elsewhere/transfer.md" in capsys.readouterr().out


def test_a_whole_page_goes_to_docs_unless_told_otherwise(program, transfer):
    results, sections = program("results"), program("sections")
    config = results.ResultsConfig(out="elsewhere")
    everything = list(sections.SECTIONS)
    assert results.page_of("", "results.md", everything, config) == sections.ROOT / "docs" / "results.md"
    assert results.page_of("", "results.md", everything[1:], config) == Path("elsewhere/results.md")
    assert results.page_of("here.md", "results.md", everything[1:], config) == Path("here.md")


def test_only_methods_that_ran_everywhere_have_a_mean(program, transfer):
    one, other, *_ = program("sections").SECTIONS

    def summary(**closed):
        reached = {"labels_only": 0.5, "all_labels": 0.9}
        ends = {name: {"accuracy": {"mean": mean}, "gap_closed": 0.0} for name, mean in reached.items()}
        ends["all_labels"]["gap_closed"] = 1.0
        return {"methods": ends | {name: {"gap_closed": share} for name, share in closed.items()}}

    summaries = {one: summary(hat=0.5, kd=0.5), other: summary(hat=0.7)}
    hat, kd = transfer.gap_table(summaries, ["hat", "kd"])
    assert (hat["mean"], hat[one.name], hat[other.name]) == ("60 %", "50 %", "70 %")
    assert (kd["mean"], kd[one.name], kd[other.name]) == ("-", "50 %", "-")
    drawn = transfer.figure({(section, "few"): known for section, known in summaries.items()}, ["hat", "kd"])
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == ["hat"]
