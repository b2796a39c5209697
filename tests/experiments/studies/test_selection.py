"""How few models need a closer look, by hand, and as a run chooses."""

from dataclasses import replace

import pytest

from hatlit.errors import InputError
from hatlit.experiments.studies.selection import Selection, _row
from hatlit.experiments.study_sources import target_of, true_accuracy, zoo_of
from hatlit.selection.protocol import select


@pytest.mark.parametrize("text", ["0", "1.1", "-0.5", "half", "nan"])
def test_values_that_cannot_be(text):
    with pytest.raises(InputError, match=f"shares above 0 and up to 1, not '{text}'"):
        Selection().read(text)


@pytest.fixture
def rows():
    def make(kind, value, kept, accuracies, correlation=None):
        here = [{"target": target, "seed": 0, "sources": 10} for target in "ab"]
        pairs = zip(here, accuracies, strict=True)
        return [{**_row(kind, value, one, kept, share, 0.8), "correlation": correlation} for one, share in pairs]

    return [
        *make("keep", "0.2", 2, [0.6, 0.6]),
        *make("keep", "0.5", 5, [0.8, 0.8]),
        *make("keep", "1", 10, [0.8, 0.8]),
        *make("fine", "leep", 10, [0.5, 0.5], 0.25),
        *make("fine", "accuracy", 10, [0.5, 0.5], 0.75),
    ]


def test_finding(rows):
    assert Selection().finding(rows) == (
        "The smallest share of the models that keeps 99 % of the accuracy of a choice among all is "
        "0.5 (5.0 of 10.0 models), which keeps 100.0 [100.0, 100.0] %. "
        "The smallest that was tried is 0.2 (2.0 of 10.0 models), which keeps 75.0 [75.0, 75.0] %. "
        "Of the fine scores, accuracy (+0.75 [+0.75, +0.75]) ranks the sources most like their true accuracy, "
        "leep (+0.25 [+0.25, +0.25]) least; the numbers are mean rank correlations."
    )
    few = [row for row in rows if row["value"] not in ("0.5", "1")]
    assert Selection().finding(few).startswith("No share that was tried keeps 99 %")
    assert [row["kept or score"] for row in Selection().table(rows)] == [
        "keep 0.2",
        "keep 0.5",
        "keep 1",
        "accuracy",
        "leep",
    ]


def test_nothing_can_be_lost_of_nothing():
    row = _row("keep", "0.2", {"sources": 4}, 1, 0.0, 0.0)
    assert (row["retained"], row["kept_share"]) == (1.0, 0.25)


def test_figure(rows):
    left, right = Selection().figure(rows, "here").axes
    assert [text.get_text() for text in left.get_xticklabels()] == ["0.2", "0.5", "1"]
    assert [text.get_text() for text in right.get_yticklabels()] == ["accuracy", "leep"]


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_a_share_chooses_what_a_run_with_that_share_would(task, share, monkeypatch, tmp_path):
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path))
    quick = task(seeds=1, num_sources=1)
    quick.config.sources = replace(quick.config.sources, encoders=["cnn_nano"], max_epochs=1)
    (row,) = (
        row
        for row in Selection().measure(quick, [share])
        if row["kind"] == "keep" and row["target"] == quick.targets[0]
    )
    target, zoo = target_of(quick, quick.targets[0], 0), zoo_of(quick, quick.targets[0])
    found = select(zoo, target, replace(quick.config.selection, keep=share), 1, 0, lambda line: None)
    assert row["accuracy"] == pytest.approx(true_accuracy(found.cards[0], found.models[0], target))
    assert row["kept"] == sum(verdict.accuracy is not None for verdict in found.verdicts)
