"""The page of results, from runs that are made up: what is shown, and what was not run."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest

from hatlit.experiments.display import Display

#: Accuracy by method, and with how many seeds it was run.
RAN = {
    "labels_only": (0.5, 2),
    "all_labels": (0.9, 2),
    "kd": (0.6, 2),
    "hat": (0.8, 2),
    "hat_no_gate": (0.7, 2),
    "hat_convex": (0.6, 1),
}


@pytest.fixture
def results(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return program("results")


@pytest.fixture
def config(program, results, tmp_path):
    """Options of a page of two people of the demo, with all seeds, and its kept runs."""
    config = results.ResultsConfig(
        sets="imu-demo", methods=[*RAN, "hat_no_hint"], labels="few", targets=2, seeds=2, run=False, kept=str(tmp_path)
    )
    (section,) = results.found_sections(config)
    labels = results.drawn_labels(results.settings_of(section, "few", config, ["hat"])[0]["hat"])
    rows = [
        dict.fromkeys(program("kept_runs").KEPT, 1)
        | {"date": "2026-11-01", "hatlit": "0.1.0", "failed": "", "method": method}
        | {"target": target, "seed": seed, "labels_fingerprint": fingerprint, "accuracy": accuracy - 0.1 * seed}
        for method, (accuracy, seeds) in RAN.items()
        for (target, seed), fingerprint in labels.items()
        if seed < seeds
    ]
    with (tmp_path / "imu-demo-few.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return config


def compared(results, config):
    (section,) = results.found_sections(config)
    return results.comparison_of(section, "few", config, Display(silent=True))


def runs(summary):
    return {name: one["n"] for name, one in summary["methods"].items()}


def test_methods_that_were_not_run_on_all_targets_and_seeds_are_missing(results, config):
    made = compared(results, config)
    assert runs(made.summary) == {"labels_only": 4, "all_labels": 4, "kd": 4, "hat": 4, "hat_no_gate": 4}
    assert made.summary["missing"] == ["hat_convex", "hat_no_hint"]
    assert made.summary["methods"]["hat"]["accuracy"]["mean"] == pytest.approx(0.75)
    assert len(made.rows) == 5 * 4


def test_with_fewer_seeds_more_methods_are_whole(results, config):
    made = compared(results, replace(config, seeds=1))
    assert runs(made.summary)["hat_convex"] == 2
    assert made.summary["methods"]["hat_convex"]["gap_closed"] == pytest.approx(0.25)
    assert made.summary["missing"] == ["hat_no_hint"]


def test_where_nothing_that_is_asked_for_is_whole_there_is_no_comparison(results, config):
    assert compared(results, replace(config, seeds=3)) is None


def test_the_page_has_the_table_and_says_what_was_not_run(results, config):
    (section,) = results.found_sections(config)
    page = results.section_of(section, [compared(results, config)], [], ["5%"])
    assert "| hat | 4 | 75.0" in page
    assert "hat_convex |" not in page
    assert "Not run here: `hat_convex`, `hat_no_hint`." in page
    assert "Not run here: 5% of the labels." in page
