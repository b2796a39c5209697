"""Which one method serves best everywhere, by hand."""

from __future__ import annotations

import pytest

from hatlit.methods.base import METHODS


@pytest.fixture
def glance(program):
    return program("at_a_glance")


@pytest.fixture
def section(program):
    def make(name, file="recorded.npz"):
        return program("sections").Section(f"{name} (made up)", "imu", "", file=file)

    return make


def compared(missing=(), **reached):
    """What is known of one comparison, from the accuracy of each method; the oracle is left out of everything."""
    methods = {
        name: {
            "n": 1,
            "is_oracle": name == "all_labels",
            "accuracy": interval_at(mean),
            "against_reference": {"difference": interval_at(reached.get("hat", 0.0) - mean)},
        }
        for name, mean in reached.items()
    }
    return {"methods": methods, "labels": "1 a class", "missing": list(missing)}


def interval_at(mean):
    """A mean that is known for sure."""
    return {"mean": mean, "low": mean, "high": mean}


def row(page, method):
    """The cells of the first row of a method."""
    line = next(line for line in page.splitlines() if line.startswith(f"| {method} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_each_set_counts_once_however_often_it_was_compared(glance, section):
    twice = [compared(hat=0.9, kd=0.7, all_labels=1.0), compared(hat=0.7, kd=0.9, all_labels=1.0)]
    page = glance.one_for_all({section("a"): twice, section("b"): [compared(hat=0.6, kd=0.8, all_labels=1.0)]})
    assert row(page, "hat") == ["hat", "student", "70.0", "1.5", "10.0", "20.0", "-"]
    assert row(page, "kd")[:6] == ["kd", "student", "80.0", "1.0", "0.0", "0.0"]
    assert row(page, "kd")[6].startswith("-10.0 [")
    assert "all_labels" not in page, "an oracle is no choice"
    assert "HaT is 10.0 points behind `kd`, the best of the others; by rank it comes second of 2." in page


@pytest.mark.parametrize(
    ("better", "says"), [(0, "first of 21"), (9, "tenth of 21"), (10, "11th of 21"), (20, "21st of 21")]
)
def test_a_place_is_told_in_words_or_as_a_number(glance, section, better, says):
    others = [name for name in METHODS.names() if not name.startswith("hat") and name not in ("all_labels", "dann")]
    reached = {name: 0.9 if number < better else 0.1 for number, name in enumerate([*others, "hat_paper"])}
    page = glance.one_for_all({section("a"): [compared(hat=0.5, **reached)]})
    assert f"by rank it comes {says}." in page


def test_methods_that_were_not_run_everywhere_have_a_table_of_the_sets_with_all(glance, section):
    page = glance.one_for_all(
        {
            section("a"): [compared(hat=0.9, kd=0.7, aekd=0.8)],
            section("b"): [compared(hat=0.5, kd=0.6, missing=["aekd"])],
        }
    )
    assert "All 2 methods that were run on a; b:" in page
    assert "All 3 methods that were run on a:" in page
    assert row(page, "aekd") == ["aekd", "student", "80.0", "2.0", "10.0", "10.0", "10.0 [-]"]


def test_where_all_were_run_everywhere_one_table_is_enough(glance, section):
    page = glance.one_for_all({section("a"): [compared(hat=0.9, kd=0.7)], section("b"): [compared(hat=0.5, kd=0.6)]})
    assert page.count("| method |") == 1


def test_the_demo_says_nothing_about_recordings(glance, section):
    assert glance.one_for_all({section("demo", file=""): [compared(hat=0.9, kd=0.7)]}) == ""


def test_without_hat_or_without_others_there_is_nothing_to_set_beside(glance, section):
    assert glance.one_for_all({section("a"): [compared(kd=0.9, labels_only=0.5)]}) == ""
    assert glance.one_for_all({section("a"): [compared(hat=0.9, hat_no_hint=0.8, all_labels=1.0)]}) == ""


def test_who_needs_the_recordings_of_others_stands_aside(glance, section):
    page = glance.one_for_all({section("a"): [compared(hat=0.8, kd=0.7, dann=0.9)]})
    assert "| dann |" not in page
    assert "`dann`, which needs the recordings of the sources' owners, has 90.0." in page


def test_sets_that_nothing_was_chosen_on_stand_by_themselves(glance, section):
    page = glance.confirmation({section("new"): [compared(labels_only=0.5, hat=0.8, kd=0.7, best_source=0.9)]})
    assert page.startswith("## Sets that nothing was chosen on")
    best, student = (
        ["best_source 90.0 [90.0, 90.0]", "-10.0 [-10.0, -10.0]"],
        ["kd 70.0 [70.0, 70.0]", "10.0 [10.0, 10.0]"],
    )
    assert row(page, "new")[4:] == [*best, *student]
    assert "at or above the best other method in 0 of 1 comparisons, behind on new (1 a class)" in page
    assert row(page, "best_source")[2] == "90.0"
    assert glance.confirmation({}) == ""
