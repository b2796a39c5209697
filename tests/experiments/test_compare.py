"""Methods side by side: the arithmetic by hand, and a whole comparison in which one run cannot succeed."""

import csv
import io
import json
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

from hatlit.config import AdaptConfig, CompareConfig, DataConfig, LabelsConfig, SourcesConfig, TrainerConfig
from hatlit.datamodules.base import DomainSet
from hatlit.errors import InputError
from hatlit.experiments import compare as module
from hatlit.experiments.compare import (
    SCORES,
    as_csv,
    as_markdown,
    choose_targets,
    compare,
    finding,
    interval,
    run_config,
    summarise,
    summary_table,
    title_of,
)
from hatlit.experiments.fleet import build_zoo


def test_the_interval_of_one_value_is_that_value():
    assert interval([0.3], ["ann"]) == {"mean": 0.3, "low": 0.3, "high": 0.3}


def test_the_interval_of_equal_values_has_no_width():
    assert interval([0.5] * 4, ["ann", "ann", "bob", "cid"]) == {"mean": 0.5, "low": 0.5, "high": 0.5}


def test_the_interval_of_two_targets_spans_both():
    # Of two targets drawn with replacement, the mean is the lower one, the middle, or the upper one: 1/4, 1/2, 1/4.
    assert interval([0.0, 1.0], ["ann", "bob"]) == {"mean": 0.5, "low": 0.0, "high": 1.0}


def test_targets_are_drawn_whole():
    """Seeds of one target resemble one another, so more of them make no interval narrower."""
    assert interval([0.0, 1.0], ["ann", "ann"]) == {"mean": 0.5, "low": 0.5, "high": 0.5}
    assert interval([0.0, 0.0, 1.0, 1.0], ["ann", "ann", "bob", "bob"]) == {"mean": 0.5, "low": 0.0, "high": 1.0}


def test_targets_with_more_runs_count_more():
    # Drawn twice: ann alone 0, bob alone 1, both (0 + 0 + 0 + 1) / 4.
    assert interval([0.0, 0.0, 0.0, 1.0], ["ann", "ann", "ann", "bob"]) == {"mean": 0.25, "low": 0.0, "high": 1.0}


def test_the_interval_is_about_two_standard_errors_wide_on_either_side():
    values = np.random.default_rng(1).normal(0.7, 0.1, 400)
    targets = [str(number) for number in range(400)]
    found = interval(values, targets)
    error = values.std() / np.sqrt(len(values))
    assert found["mean"] == pytest.approx(values.mean())
    assert found["low"] == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert found["high"] == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)
    assert interval(values, targets) == found, "the same values always give the same interval"


def row(method, target, seed, accuracy, sent=1000, seconds=2.0):
    scores = {"accuracy": accuracy, "balanced_accuracy": accuracy / 2, "macro_f1": accuracy / 4}
    return {"method": method, "target": target, "seed": seed, **scores, "bytes": sent, "seconds": seconds}


def test_the_finding_says_ahead_behind_or_undecided():
    def lead(low, mean, high):
        return {"hat_minus_this": {"low": low, "mean": mean, "high": high}}

    methods = {"hat": {}, "a": lead(0.01, 0.02, 0.03), "b": lead(-0.3, -0.2, -0.1), "c": lead(-0.1, 0.1, 0.3)}
    assert finding({"methods": methods}) == (
        "hat is ahead of a (+2.0 points); behind b (-20.0 points); undecided against c (+10.0 points)."
    )
    assert finding({"methods": {"labels_only": {}}}) == ""


def test_methods_are_compared_pair_by_pair():
    rows = [
        row("hat", "ann", 0, 0.9),
        row("labels_only", "ann", 0, 0.5),
        row("hat", "cid", 0, 0.7),
        row("labels_only", "cid", 0, 0.6),
        row("labels_only", "bob", 0, 0.1),  # hat failed here, so this pair cannot count
        row("hat", "bob", 1, 0.2),  # labels_only failed here
    ]
    described = summarise(rows)["methods"]
    assert list(described) == ["hat", "labels_only"]
    assert described["labels_only"]["n"] == 3
    assert described["labels_only"]["accuracy"]["mean"] == pytest.approx(0.4)
    assert described["labels_only"]["balanced_accuracy"]["mean"] == pytest.approx(0.2)
    assert described["labels_only"]["macro_f1"]["mean"] == pytest.approx(0.1)
    ahead = described["labels_only"]["hat_minus_this"]
    assert ahead["mean"] == pytest.approx((0.4 + 0.1) / 2)
    assert (ahead["low"], ahead["high"]) == (pytest.approx(0.1), pytest.approx(0.4))
    assert "hat_minus_this" not in described["hat"]


def test_bytes_are_a_mean_and_seconds_a_median():
    rows = [
        row("hat", "ann", seed, 0.5, sent, seconds) for seed, (sent, seconds) in enumerate([(0, 1), (0, 2), (9, 60)])
    ]
    described = summarise(rows)["methods"]["hat"]
    assert (described["bytes"], described["seconds"]) == (3.0, 2.0)


def test_without_the_reference_nobody_is_ahead():
    described = summarise([row("labels_only", "ann", 0, 0.5), row("best_source", "ann", 0, 0.6)])["methods"]
    assert all("hat_minus_this" not in one for one in described.values())


def test_without_a_common_pair_nobody_is_ahead():
    described = summarise([row("hat", "ann", 0, 0.5), row("labels_only", "ann", 1, 0.6)])["methods"]
    assert "hat_minus_this" not in described["labels_only"]


def test_the_table_has_the_best_first():
    summary = summarise([row("labels_only", "ann", 0, 0.5), row("hat", "ann", 0, 0.75)])
    table = summary_table(summary)
    assert [one["method"] for one in table] == ["hat", "labels_only"]
    assert table[0]["accuracy"] == "75.0 [75.0, 75.0]"
    assert (table[0]["hat ahead by"], table[1]["hat ahead by"]) == ("-", "25.0 [25.0, 25.0]")
    assert (table[0]["kB moved"], table[0]["runs"]) == ("1", "1")
    lines = as_markdown(table).split("\n")
    assert lines[0].startswith("| method | runs | accuracy |")
    assert set(lines[1].replace("|", " ").split()) == {"---"}
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "1 a class"),
        ({"labels": LabelsConfig(per_class=5)}, "5 a class"),
        ({"labels": LabelsConfig(fraction=0.1)}, "10% of the labels"),
    ],
)
def test_the_title_says_what_was_run(changes, says):
    summary = {"data": "spar", "is_demo": False, "targets": ["a", "b"], "seeds": 3}
    title = title_of(summary, CompareConfig(**changes))
    assert title == f"spar (imu): 2 targets x 3 seeds, labels: {says}"
    assert "demo data, simulated" in title_of({**summary, "is_demo": True}, CompareConfig())


def test_csv_keeps_every_field():
    rows = [{"method": "hat", "failed": ""}, {"method": "labels_only", "failed": 'a "reason", with commas'}]
    assert list(csv.DictReader(io.StringIO(as_csv(rows)))) == rows


@pytest.fixture
def ten(make_domain):
    domains = tuple(make_domain(name, 0, rows=3) for name in [*"abcdefgh", "3", "j"])
    return DomainSet("letters", "imu", domains, domains[0].class_names)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("all", [*"abcdefgh", "3", "j"]),
        ("1", ["a"]),
        ("2", ["a", "j"]),
        ("4", ["a", "d", "g", "j"]),
        ("10", [*"abcdefgh", "3", "j"]),
        ("b,d", ["b", "d"]),
        ("3", ["3"]),
        ("3,j", ["3", "j"]),
    ],
)
def test_targets(ten, targets, expected):
    assert choose_targets(ten, CompareConfig(targets=targets)) == expected


@pytest.mark.parametrize(
    ("targets", "says"),
    [("11", "--targets 11 asks for that many of the 10 domains"), ("0", "--targets 0"), ("a,zz", "Unknown domain")],
)
def test_targets_that_cannot_be(ten, targets, says):
    with pytest.raises(InputError, match=says):
        choose_targets(ten, CompareConfig(targets=targets))


def test_a_run_gets_every_option_of_the_comparison():
    config = CompareConfig(labels=LabelsConfig(per_class=4), num_sources=2, student="cnn_tiny", out="here", zoo="z")
    run = run_config(config, "best_source", "ann", 7)
    assert (run.method, run.target, run.seed, run.wandb) == ("best_source", "ann", 7, "off")
    assert (run.labels.per_class, run.num_sources, run.student, run.zoo) == (4, 2, "cnn_tiny", "z")
    assert run.out == "here/runs"


#: As much of a run's result as a comparison reads.
RESULT = {
    **dict.fromkeys(SCORES, 0.5),
    "labels": 3,
    "labels_fingerprint": "f" * 64,
    "bytes": None,
    "seconds": {"total": 1.0},
}

RESULT_ROW = {
    **dict.fromkeys(SCORES, 0.5),
    "labels": 3,
    "labels_fingerprint": "f",
    "bytes": 0,
    "seconds": 1,
    "failed": "",
}


class Here:
    """Stands in for the pool of processes and does the work in this one."""

    def __init__(self, jobs, context, initializer, initargs):
        initializer(*initargs)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False

    def submit(self, work, *arguments):
        future = Future()
        try:
            future.set_result(work(*arguments))
        except BaseException as error:
            future.set_exception(error)
        return future


@pytest.fixture
def in_this_process(monkeypatch):
    monkeypatch.setattr(module, "ProcessPoolExecutor", Here)


@pytest.fixture(scope="module")
def with_a_mute(tmp_path_factory, arrays):
    """The three people, and a fourth who has no label, so that no run on her can succeed."""
    path = tmp_path_factory.mktemp("data") / "four.npz"
    with np.load(arrays) as file:
        content = {name: file[name] for name in file.files}
    content["x"] = np.concatenate([content["x"], content["x"][:45]])
    content["y"] = np.concatenate([content["y"], np.full(45, -1)])
    content["domain"] = np.concatenate([content["domain"], np.full(45, 3)])
    content["domain_names"] = np.append(content["domain_names"], "mute")
    np.savez(path, **content)
    return path


@pytest.fixture(scope="module")
def zoo(tmp_path_factory, people):
    folder = tmp_path_factory.mktemp("zoos") / "zoo"
    build_zoo(people, people.domains, folder, SourcesConfig("cnn_nano", max_epochs=2), 1, (), lambda items: items)
    return folder


@pytest.fixture
def options(tmp_path, with_a_mute, zoo):
    """Returns a function that makes the options of a quick comparison, one entry a method."""

    def make(methods="labels_only,hat", **changes):
        config = CompareConfig(
            **{
                "data": DataConfig("arrays", str(with_a_mute)),
                "sources": SourcesConfig("cnn_nano", max_epochs=2),
                "trainer": TrainerConfig(max_epochs=2, accelerator="cpu"),
                "adapt": AdaptConfig(steps=2),
                "zoo": str(zoo),
                "methods": methods,
                "targets": "ann,mute,bob",
                "seeds": 1,
                "out": str(tmp_path / "out"),
                "jobs": 1,
                "markdown": str(tmp_path / "table.md"),
            }
            | changes
        )
        return dict.fromkeys(config.methods, config)

    return make


def rows_of(folder):
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_comparison(in_this_process, options, display, tmp_path):
    summary = compare(options(), display)
    rows = rows_of(tmp_path / "out")
    assert [(one["target"], one["method"]) for one in rows] == [
        (target, method) for target in ("ann", "mute", "bob") for method in ("labels_only", "hat")
    ]
    for one in rows:
        if one["target"] == "mute":
            assert "has no labelled sample" in one["failed"]
            assert all(one[score] == "" for score in SCORES)
        else:
            assert one["failed"] == ""
            assert all(0 <= float(one[score]) <= 1 for score in SCORES)
            assert one["labels"] == "3"
            assert (int(one["bytes"]) > 0) is (one["method"] == "hat")
    for target in ("ann", "bob"):
        assert len({one["labels_fingerprint"] for one in rows if one["target"] == target}) == 1, "the same labels"

    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    assert (summary["data"], summary["is_demo"], summary["seeds"]) == ("arrays", False, 1)
    assert summary["targets"] == ["ann", "mute", "bob"]
    assert {method: one["n"] for method, one in summary["methods"].items()} == {"labels_only": 2, "hat": 2}
    hat, alone = (
        [float(one["accuracy"]) for one in rows if one["method"] == m and not one["failed"]]
        for m in ("hat", "labels_only")
    )
    assert summary["methods"]["hat"]["accuracy"]["mean"] == pytest.approx(np.mean(hat))
    assert summary["methods"]["labels_only"]["hat_minus_this"]["mean"] == pytest.approx(
        np.mean(np.subtract(hat, alone))
    )
    shown = display.shown()
    assert "failed: hat on mute, seed 0: Target 'mute' has no labelled sample" in shown
    assert shown.index("failed:") < shown.index("hat ahead by")
    table = (tmp_path / "table.md").read_text()
    assert table.startswith("arrays (imu): 3 targets x 1 seeds, labels: 1 a class\n\n| method |")


def test_a_second_call_repeats_nothing(in_this_process, options, display, tmp_path):
    def state():
        runs = (tmp_path / "out" / "runs").rglob("*")
        return {path: path.stat().st_mtime_ns for path in runs if path.is_file()}

    first = compare(options("labels_only", targets="ann"), display)
    before = state()
    assert compare(options("labels_only", targets="ann"), display) == first
    assert state() == before
    compare(options("labels_only", targets="ann,bob"), display)
    assert {path: stamp for path, stamp in state().items() if path in before} == before
    assert len(list((tmp_path / "out" / "runs").glob("*/done"))) == 2


def test_where_every_run_fails_the_first_reason_is_told(in_this_process, options, display, tmp_path):
    with pytest.raises(InputError, match=r"Every run failed, the first because: Target 'mute' has no labelled"):
        compare(options(targets="mute"), display)
    assert len(rows_of(tmp_path / "out")) == 2
    assert not (tmp_path / "out" / "summary.json").exists()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("out of memory\nand more"), "RuntimeError: out of memory"),
        (KeyError("gone"), "KeyError: 'gone'"),
        (MemoryError(), "MemoryError"),
        (InputError("No label."), "No label."),
    ],
)
def test_what_breaks_in_one_run_stays_in_its_row(
    in_this_process, options, display, tmp_path, monkeypatch, error, reason
):
    def train(config, display, beside):
        if config.target == "bob":
            raise error
        return RESULT

    monkeypatch.setattr(module, "train", train)
    summary = compare(options("labels_only", targets="bob,ann"), display)
    assert [one["failed"] for one in rows_of(tmp_path / "out")] == [reason, ""]
    assert summary["methods"]["labels_only"]["n"] == 1


def test_a_killed_process_leaves_rows_that_say_so(in_this_process, options, display, tmp_path, monkeypatch):
    def run_one(config):
        if config.target == "bob":
            raise BrokenProcessPool("a process ended abruptly")
        return {**RESULT_ROW, "method": config.method, "target": config.target, "seed": config.seed}

    monkeypatch.setattr(module, "_run_one", run_one)
    compare(options("labels_only", targets="bob,ann"), display)
    failed = [one["failed"] for one in rows_of(tmp_path / "out")]
    assert failed == ["its process was killed; the same command runs it again", ""]


def test_names_are_looked_up_before_anything_runs(in_this_process, options, display, tmp_path):
    with pytest.raises(InputError, match="Unknown method 'hatt'"):
        compare(options("labels_only,hatt"), display)
    assert not (tmp_path / "out").exists()


def test_sources_are_trained_once_for_all_runs(in_this_process, options, display, arrays, tmp_path, monkeypatch):
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
    trained = []
    monkeypatch.setattr(
        display, "track", lambda items, doing: trained.append((doing, len(items))) or iter(items), raising=True
    )
    monkeypatch.setattr(module, "train", lambda config, display, beside: RESULT)
    compare(options("hat", zoo=None, data=DataConfig("arrays", str(arrays)), targets="all"), display)
    assert trained == [("training sources", 2), ("training sources", 1), ("runs", 3)]


def test_seconds_are_those_of_the_method_alone(in_this_process, options, display, tmp_path, monkeypatch):
    seconds = {"data": 5.0, "zoo": 9.0, "hat: training": 1.5, "hat: test": 0.25, "total": 15.75}
    result = {**RESULT, "bytes": {"total": 7}, "seconds": seconds}
    monkeypatch.setattr(module, "train", lambda config, display, beside: result)
    compare(options("hat", targets="ann"), display)
    (one,) = rows_of(tmp_path / "out")
    assert (one["seconds"], one["bytes"], one["labels_fingerprint"]) == ("1.75", "7", "f" * 16)


@pytest.mark.slow
def test_another_process_comes_to_the_same_numbers(options, display, tmp_path, monkeypatch):
    elsewhere = compare(options(targets="ann", out=str(tmp_path / "elsewhere")), display)
    monkeypatch.setattr(module, "ProcessPoolExecutor", Here)
    here = compare(options(targets="ann"), display)
    for summary in (elsewhere, here):
        for one in summary["methods"].values():
            del one["seconds"]
    assert elsewhere == here
