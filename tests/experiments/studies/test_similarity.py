"""How well the coarse scores rank sources, by hand."""

import pytest

from hatlit.experiments.studies.similarity import Similarity


def row(statistics, similarity, target, correlation, accuracy):
    return {
        "statistics": statistics,
        "similarity": similarity,
        "target": target,
        "sources": 4,
        "correlation": correlation,
        "chosen": 2,
        "accuracy": accuracy,
        "accuracy_of_all": 0.4,
        "accuracy_possible": 0.9,
    }


@pytest.fixture
def rows():
    return [
        row("plain", "cosine", "a", -0.5, 0.5),
        row("plain", "cosine", "b", 0.1, 0.3),
        row("plain", "jaccard", "a", None, 0.7),
        row("plain", "jaccard", "b", 0.5, 0.9),
        row("rich", "cosine", "a", 0.9, 0.5),
        row("rich", "cosine", "b", 0.7, 0.7),
    ]


def test_finding(rows):
    said = Similarity().finding(rows)
    assert "most like their true accuracy is rich with cosine (+0.80 [+0.70, +0.90])" in said
    assert "least is plain with cosine (-0.20 [-0.50, +0.10])" in said
    assert (
        "that plain with jaccard chooses have the highest mean accuracy on the test parts, 80.0 [70.0, 90.0] %" in said
    )
    assert said.endswith("all sources have 40.0 [40.0, 40.0] % and the best possible choice has 90.0 [90.0, 90.0] %.")


def test_what_is_not_defined_stays_empty(rows):
    table = Similarity().table([row("plain", "cosine", "a", None, 0.5), *rows[4:]])
    assert [(one["statistics"], one["rank correlation"]) for one in table] == [
        ("rich", "+0.80 [+0.70, +0.90]"),
        ("plain", "not defined"),
    ]
    left, right = Similarity().figure(rows, "here").axes
    assert left.get_yticklabels()[0].get_text() == "cosine of rich"
    assert [line.get_label() for line in right.get_lines()][-2:] == ["all sources", "best possible choice"]
