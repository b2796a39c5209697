"""What to label next: what its values may be, who may be asked, and what it says of numbers worked out by hand."""

import numpy as np
import pytest

from hatlit.errors import InputError
from hatlit.experiments.studies.next_labels import NextLabels, answerable
from hatlit.selection.next_labels import Outlook


def test_values():
    assert NextLabels().read("10") == 10
    for text in ("0", "-1", "1.5", "ten"):
        with pytest.raises(InputError, match=f"numbers of samples such as 10, not '{text}'"):
            NextLabels().read(text)


def test_only_samples_with_an_answer_are_asked_about():
    shares = np.full((5, 2, 3), 1 / 3)
    outlook = Outlook(shares, shares.mean(axis=1), np.array([0]), np.array([1, 2, 3, 4]))
    found = answerable(outlook, np.array([True, False, True, False, True]))
    assert found.candidates.tolist() == [2, 4]
    assert found.labelled.tolist() == [0]


@pytest.fixture
def rows(runs):
    accuracies = {
        ("coverage", "5"): [0.8, 0.7],
        ("uncertainty", "5"): [0.6, 0.7],
        ("disagreement", "5"): [0.5, 0.6],
        ("random", "5"): [0.6, 0.6],
        ("coverage", "10"): [0.8, 0.9],
        ("random", "10"): [0.8, 0.9],
    }
    return [{**row, "accuracy_before": 0.5} for row in runs(accuracies)]


def test_finding(rows):
    assert NextLabels().finding(rows) == (
        "From 50.0 [50.0, 50.0] %, hat comes with 10 more labels to 85.0 [80.0, 90.0] % by coverage, "
        "85.0 [80.0, 90.0] % by random. "
        "coverage is ahead of random with 5 more (+15.0 points [+10.0, +20.0]); "
        "undecided against random with 10 more (+0.0 points [+0.0, +0.0]). "
        "uncertainty is undecided against random with 5 more (+5.0 points [+0.0, +10.0]). "
        "disagreement is undecided against random with 5 more (-5.0 points [-10.0, +0.0])."
    )


def test_what_failed_before_anything_more_was_labelled_is_told(rows, failed):
    lost = {**failed, "method": "coverage", "value": "10", "accuracy_before": None}
    assert NextLabels().finding([*rows, lost]) == f"{NextLabels().finding(rows)} 1 of 13 runs failed and are left out."


def test_a_first_run_that_fails_is_a_row_for_each_that_was_to_follow(task, failed, monkeypatch):
    from hatlit.experiments.studies import next_labels as module

    whole = {**failed, "target": "t1", "accuracy": 0.5, "failed": "", "run": "there"}
    monkeypatch.setattr(module, "run_variants", lambda task, methods, variants: [failed, whole])
    monkeypatch.setattr(module, "_with_more_labels", lambda task, row, values: [(("random", 5), row["run"])])
    monkeypatch.setattr(
        module, "run_plans", lambda task, plans: [{**whole, "value": "5"} for _, runs in plans for _ in runs]
    )
    rows = NextLabels().measure(task(), [5])
    told = [(row["method"], row["target"], row["value"], row["accuracy_before"], bool(row["failed"])) for row in rows]
    assert ("random", "t1", "5", 0.5, False) in told
    lost = [row for row in told if row[-1]]
    assert sorted(row[0] for row in lost) == sorted(module.RANKINGS.names())
    assert {row[1:] for row in lost} == {("t0", "5", None, True)}


def test_table_and_figure(rows):
    assert NextLabels().table(rows)[0]["coverage"] == "75.0 [70.0, 80.0]"
    (axes,) = NextLabels().figure(rows, "here").axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "5", "10"]
