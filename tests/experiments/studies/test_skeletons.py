"""Whether a ranking without training was right, by hand; and that what fits is ranked and trained."""

import pytest

from hatlit.errors import InputError
from hatlit.experiments.studies import skeletons as module
from hatlit.experiments.studies.skeletons import Skeletons, picks
from hatlit.students.ranking import Ranked

#: Score and parameters of each student.
SCORES = {"small": (2.0, 10), "medium": (5.0, 20), "large": (3.0, 30)}


@pytest.fixture
def rows(runs):
    """The ranking is right on the first target and half wrong on the second."""
    made = runs({("hat", "small"): [0.5, 0.7], ("hat", "medium"): [0.9, 0.6], ("hat", "large"): [0.7, 0.5]})
    return [{**row, "score": SCORES[row["value"]][0], "parameters": SCORES[row["value"]][1]} for row in made]


def test_what_the_first_is_ahead_of(rows):
    right, wrong = picks(rows)
    assert right["correlation"] == pytest.approx(1.0) and right["first"] == "medium"
    assert [right[f"ahead_of_{one}"] for one in ("best", "largest", "drawn")] == pytest.approx([0.0, 0.2, 0.2])
    assert wrong["correlation"] == pytest.approx(-0.5) and wrong["first"] == "medium"
    assert [wrong[f"ahead_of_{one}"] for one in ("best", "largest", "drawn")] == pytest.approx([-0.1, 0.1, 0.0])


def test_finding(rows, failed):
    assert Skeletons().finding(rows) == (
        "The score without training ranks the 3 students that fit with a mean rank correlation of +0.25 [-0.50, +1.00] "
        "with their true accuracy, so whether it is right is undecided. The student that it puts first is undecided "
        "against the best of all (-5.0 points [-10.0, +0.0]); ahead of the largest (+15.0 points [+10.0, +20.0]); "
        "undecided against one drawn at random (+10.0 points [+0.0, +20.0]), and as accurate as the best in 1 of 2 "
        "cases."
    )
    first = [row for row in rows if row["target"] == "t0"]
    assert "+1.00 [-] with their true accuracy, so whether it is right is undecided" in Skeletons().finding(first)
    twice = [*first, *({**row, "target": "t1"} for row in first)]
    assert "so it is right more often than not" in Skeletons().finding(twice)
    lost = {**failed, "value": "medium", "score": 5.0, "parameters": 20}
    assert "1 of 7 runs failed and are left out." in Skeletons().finding([*rows, lost])
    assert Skeletons().finding(first[:1]).startswith("On no target two students can be compared.")


def test_the_table_has_the_most_accurate_on_top(rows):
    table = Skeletons().table(rows)
    assert [(row["student"], row["parameters"], row["ranked first"]) for row in table] == [
        ("medium", "20", "2 of 2"),
        ("small", "10", "0 of 2"),
        ("large", "30", "0 of 2"),
    ]
    left, right = Skeletons().figure(rows, "here").axes
    assert [tick.get_text() for tick in right.get_yticklabels()] == list(module.RIVALS)
    assert left.get_xlim() == (-1.05, 1.05)


def test_what_fits_on_every_target_is_trained(monkeypatch, task, rows):
    small, medium, large = (Ranked(name, size, score) for name, (score, size) in SCORES.items())
    rankings = {"ann": [medium, large, small], "bob": [medium, large], "cid": [large, medium]}
    trained = []

    def run(task, methods, variants):
        trained.extend(variants)
        return [{"value": one.value, "target": "bob", "seed": 0, "accuracy": 0.5, "failed": ""} for one in variants]

    monkeypatch.setattr(module, "train_sources", lambda task: None)
    monkeypatch.setattr(module, "_ranking", lambda task, name, seed: rankings[name])
    monkeypatch.setattr(module, "run_variants", run)
    found = Skeletons().measure(task(seeds=1), [])
    assert [one.changes for one in trained] == [{"student": "medium"}, {"student": "large"}]
    assert [(row["value"], row["parameters"], row["score"]) for row in found] == [
        ("medium", 20, 5.0),
        ("large", 30, 3.0),
    ]
    assert list(found[0])[-1] == "failed"
    rankings["bob"] = [medium]
    with pytest.raises(InputError, match="Fewer than two students fit the device on every target"):
        Skeletons().measure(task(seeds=1), [])
