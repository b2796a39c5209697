"""What the rounds of an expansion say together, on rows that can be counted by hand."""

from types import SimpleNamespace

import pytest

from hatlit.experiments.expansion_summary import depths, finding, round_table, summarise


def card(round=0, parents=(), accuracy=0.9):
    return SimpleNamespace(domain="d", round=round, parents=parents, accuracy=accuracy, size_bytes=100)


CARDS = {"e": card(3), "d": card(2, ("c", "a")), "c": card(1, ("a", "b")), "b": card(), "a": card()}


def row(number, target, accuracy, alone, sources, **changes):
    students = sum(CARDS[name].round > 0 for name in sources or ())
    return {
        **{"round": number, "target": target, "accuracy": accuracy, "labels_only": alone, "sources": sources},
        **{"students_among_sources": students, "depth": 1 + students, "failed": ""},
        **{"offered_sources": 1 + number, "offered_students": number - 1, "bytes": 30, "bytes_of_everything": 100},
        "pairs_learned_from": 0,
        **changes,
    }


ROWS = [
    row(1, "c", 0.6, 0.5, ["a", "b"]),
    row(1, "x", 0.8, None, ["a", "b"]),
    row(2, "d", 0.5, 0.7, ["a", "c"]),
    row(2, "y", 0.7, 0.3, ["a", "b"]),
    row(2, "z", None, None, None, depth=None, students_among_sources=None, failed="It rains."),
]


def test_depth_is_the_longest_line_to_a_source_that_had_all_labels():
    assert depths(CARDS) == {"a": 0, "b": 0, "c": 1, "d": 2, "e": 1}
    assert depths({"d": card(2, ("gone",))}) == {"d": 1}


def test_rounds():
    first, second = summarise(ROWS, CARDS)["rounds"]
    assert (first["n"], first["failed"], second["n"], second["failed"]) == (2, 0, 2, 1)
    assert first["accuracy"]["mean"] == pytest.approx(0.7)
    assert first["labels_only"]["mean"] == 0.5
    assert first["ahead"]["mean"] == pytest.approx(0.1), "over those who have both"
    assert second["ahead"]["mean"] == pytest.approx(0.1)
    assert (first["share_of_students_asked"], second["share_of_students_asked"]) == (0, 0.25)
    assert (second["bytes"], second["bytes_of_everything"]) == (60, 200)


def test_propagation_counts_only_those_who_could_choose_students():
    propagation = summarise(ROWS, CARDS)["propagation"]
    assert propagation["without_students"]["accuracy"]["mean"] == 0.7
    assert propagation["with_students"]["accuracy"]["mean"] == 0.5
    assert {depth: one["n"] for depth, one in propagation["by_depth"].items()} == {"1": 3, "2": 1}


def test_who_is_asked_again():
    sources = summarise(ROWS, CARDS)["sources"]
    assert list(sources) == ["a", "b", "c", "d"], "most asked first, and nobody of a later round"
    assert {name: (one["asked"], one["offered"]) for name, one in sources.items()} == {
        "a": (4, 4),
        "b": (3, 4),
        "c": (1, 2),
        "d": (0, 0),
    }


def test_the_finding_and_the_table_say_so():
    summary = summarise(ROWS, CARDS)
    words = finding(summary)
    assert words.startswith("4 students joined, with an accuracy of 65.0 [")
    assert "those taught by students among others have 50.0 [-] % (1)" in words
    assert words.endswith("Selection moved 120 B, 30% of what sending every model would take.")
    assert [one["joined"] for one in round_table(summary)] == ["2 of 2", "2 of 3"]
    assert round_table(summary)[1]["fleet (students)"] == "3 (1)"


def test_without_labels_only_nothing_is_set_beside():
    summary = summarise([{**one, "labels_only": None} for one in ROWS], CARDS)
    assert "labels_only" not in finding(summary)
    assert {one["ahead by"] for one in round_table(summary)} == {"-"}
