"""The folder that comparisons share: whose rows stay, and what a command line says then."""

import csv
import io
import json

import pytest

from hatlit.config import AdaptConfig, CompareConfig, RayConfig, TrainerConfig
from hatlit.errors import InputError
from hatlit.experiments import comparison_folder as module
from hatlit.experiments.comparison_folder import ComparisonFolder, as_csv, read_rows, shared_by, with_methods
from hatlit.experiments.pool import COLUMNS

PAIRS = [("ann", 0), ("ann", 1)]


def row(method, target="ann", seed=0, **changes):
    known = {"method": method, "target": target, "seed": seed, "accuracy": 0.5, "run": f"{method}-{seed}", "failed": ""}
    return {**dict.fromkeys(COLUMNS), "labels_fingerprint": "00ff", **known, **changes}


@pytest.fixture
def share(tmp_path):
    """Returns a function that makes one comparison's view of the folder."""

    def make(*methods, made_of="a"):
        words = ["--seeds", "2", "--methods", ",".join(methods)]
        return ComparisonFolder(tmp_path, words, methods, PAIRS, made_of)

    return make


@pytest.fixture
def done(tmp_path):
    """Marks the run of a row as done, and returns the row."""

    def mark(row):
        folder = tmp_path / "runs" / row["run"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "done").touch()
        return row

    return mark


def shown(rows):
    return [(one["method"], one["seed"]) for one in rows]


def test_csv_keeps_every_field():
    rows = [dict.fromkeys(COLUMNS, "1"), {**dict.fromkeys(COLUMNS, ""), "failed": 'a "reason", with commas'}]
    assert list(csv.DictReader(io.StringIO(as_csv(rows)))) == rows


def test_rows_are_read_as_they_were_written(tmp_path):
    rows = [row("hat", "7", accuracy=1e-5, bytes=12), row("kd", accuracy=None, run="", failed='no, "memory"')]
    (tmp_path / "results.csv").write_text(as_csv(rows))
    assert read_rows(tmp_path / "results.csv") == rows


def test_two_at_once_keep_one_anothers_rows(share, done, tmp_path):
    one, other = share("hat"), share("kd")
    one.keep([])
    other.keep([])
    one.keep([done(row("hat"))])
    other.keep([done(row("kd"))])
    other.keep([row("kd"), done(row("kd", seed=1))])
    assert shown(other.finished(read_rows(tmp_path / "results.csv"))) == [("kd", 0), ("kd", 1)], "hat is at work"
    kept = one.keep([row("hat"), done(row("hat", seed=1))])
    assert shown(kept) == [("hat", 0), ("kd", 0), ("hat", 1), ("kd", 1)]
    assert one.finished(kept) == kept == read_rows(tmp_path / "results.csv")
    assert one.words == ["--seeds", "2", "--methods", "hat,kd"]
    assert json.loads((tmp_path / "command.json").read_text())["words"] == one.words


def test_two_that_are_not_the_same_never_mix(share, done, tmp_path):
    one, other = share("hat"), share("kd", made_of="b")
    one.keep([done(row("hat"))])
    assert shown(other.keep([])) == []
    assert shown(one.keep([row("hat")])) == [("hat", 0)]
    assert shown(other.keep([done(row("kd"))])) == [("kd", 0)]
    assert json.loads((tmp_path / "command.json").read_text())["words"][-1] == "kd"


def test_a_take_over_that_is_cut_short_leaves_no_rows_of_the_other(share, done, monkeypatch):
    share("hat").keep([done(row("hat"))])
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_atomically", lambda *arguments: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            share("kd", made_of="b").keep([])
    assert share("camkd", made_of="b").keep([]) == []


def test_a_row_whose_run_is_gone_goes_too_and_one_that_failed_stays(share, done):
    share("hat", "kd").keep([done(row("hat")), row("hat", seed=1), row("kd", run="", failed="no luck")])
    assert shown(share("camkd").keep([])) == [("hat", 0), ("kd", 0)]


def test_a_run_that_is_tried_again_replaces_its_row(share, done):
    folder = share("hat")
    folder.keep([row("hat", run="", failed="killed")])
    assert folder.keep([done(row("hat"))]) == [row("hat")]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"made_of": "a"}', "nonsense"])
def test_what_cannot_be_read_is_replaced(share, tmp_path, content):
    (tmp_path / "command.json").write_text(content)
    (tmp_path / "results.csv").write_text("nonsense")
    assert share("hat").keep([row("hat")]) == [row("hat")]


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written .*choose another --out"):
        ComparisonFolder(tmp_path / "file" / "out", [], ["hat"], PAIRS, "a").keep([])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--methods a,b --seeds 2", "--seeds 2 --methods x,y"),
        ("--seeds 2 --methods=a", "--seeds 2 --methods x,y"),
        ("--seeds 2", "--seeds 2 --methods x,y"),
        ("", ""),
    ],
)
def test_the_command_line_names_the_methods_of_all(words, expected):
    assert with_methods(words.split(), ["x", "y"]) == expected.split()


def test_what_comparisons_share():
    known = shared_by(CompareConfig(), ["data"])
    same = CompareConfig(methods="kd", out="elsewhere", jobs=7, executor="ray", ray=RayConfig(), wandb="online")
    assert shared_by(same, ["data"]) == known
    others = [
        CompareConfig(seeds=2),
        CompareConfig(adapt=AdaptConfig(steps=1)),
        CompareConfig(trainer=TrainerConfig(9)),
    ]
    assert known not in [shared_by(CompareConfig(), ["other"]), *(shared_by(other, ["data"]) for other in others)]
