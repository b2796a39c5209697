"""Methods side by side: which runs there are, and a whole comparison in which one run cannot succeed."""

import csv
import json
import re
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

from hatlit.cli import main
from hatlit.config import AdaptConfig, CompareConfig, DataConfig, LabelsConfig, SourcesConfig, TrainerConfig
from hatlit.datamodules.base import DomainSet
from hatlit.errors import InputError
from hatlit.experiments import pool as module
from hatlit.experiments.compare import choose_targets, compare, labels_of, run_config, title_of
from hatlit.experiments.fleet import build_zoo
from hatlit.experiments.pool import COLUMNS, KILLED, Runs, failed
from hatlit.experiments.summary import SCORES
from hatlit.files import saved_words
from hatlit.selection.traffic import STAGES


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "1 a class"),
        ({"labels": LabelsConfig(per_class=5)}, "5 a class"),
        ({"labels": LabelsConfig(per_class=0)}, "none"),
        ({"labels": LabelsConfig(fraction=0.1)}, "10% of the labels"),
        ({"labels": LabelsConfig(also="a/next.csv")}, "1 a class and those of next.csv"),
        ({"labels": LabelsConfig(per_class=0, also="a/next.csv")}, "those of next.csv"),
    ],
)
def test_the_title_says_what_was_run(changes, says):
    labels = labels_of(CompareConfig(**changes))
    summary = {"data": "spar", "is_demo": False, "modality": "imu", "targets": ["a", "b"], "seeds": 3, "labels": labels}
    assert title_of(summary) == f"spar (imu): 2 targets x 3 seeds, labels: {says}"
    assert "demo data, simulated" in title_of({**summary, "is_demo": True})


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
    assert (run.method, run.target, run.seed, run.wandb, run.wandb_group) == ("best_source", "ann", 7, "off", "here")
    assert (run.labels.per_class, run.num_sources, run.student, run.zoo) == (4, 2, "cnn_tiny", "z")
    assert run.out == "here/runs"


def test_the_folder_in_which_one_stands_has_a_name_too(tmp_path, monkeypatch):
    (tmp_path / "watches").mkdir()
    monkeypatch.chdir(tmp_path / "watches")
    assert run_config(CompareConfig(out="."), "hat", "ann", 0).wandb_group == "watches"


@pytest.mark.parametrize("words", ["--controls 2", "--sources.controls 2", "--controls 2 --sources.controls 2"])
def test_controls_reach_the_sources_of_every_run(monkeypatch, words):
    seen = {}
    monkeypatch.setattr("hatlit.experiments.compare.compare", lambda settings, *others: seen.update(settings))
    assert main(["compare", "--methods", "hat,hat_no_gate", *words.split()]) == 0
    runs = [run_config(seen[method], method, "ann", 0) for method in ("hat", "hat_no_gate")]
    assert [run.sources.controls for run in runs] == [2, 2]


#: As much of a run's result as a comparison reads.
RESULT = {
    **dict.fromkeys(SCORES, 0.5),
    "labels": 3,
    "labels_fingerprint": "f" * 64,
    "bytes": None,
    "seconds": {"total": 1.0},
    "peak_memory_bytes": 1,
    "student": {"parameters": 1, "bytes": 4},
    "run": "somewhere",
}


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
            assert sum(int(one[f"bytes_{stage}"]) for stage in STAGES) == int(one["bytes"])
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
    lead = summary["methods"]["labels_only"]["against_reference"]
    assert lead["difference"]["mean"] == pytest.approx(np.mean(np.subtract(hat, alone)))
    assert lead["wins"] + lead["ties"] + lead["losses"] == 2
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "report.md").is_file()
    shown = display.shown()
    assert "failed: hat on mute, seed 0: Target 'mute' has no labelled sample" in shown
    assert shown.index("failed:") < shown.index("hat ahead by")
    table = (tmp_path / "table.md").read_text()
    assert table.startswith("arrays (imu): 3 targets x 1 seed, labels: 1 a class\n\n| method |")


@pytest.mark.usefixtures("without_pictures")
def test_without_labels_a_target_that_cannot_be_measured_fails_and_the_others_go_on(
    in_this_process, options, display, tmp_path
):
    summary = compare(options("kd,uniform_ensemble", labels=LabelsConfig(per_class=0)), display)
    reason = "Target 'mute' has no labelled sample to be measured by; leave it out of --targets."
    rows = rows_of(tmp_path / "out")
    assert [one["failed"] for one in rows] == [reason if one["target"] == "mute" else "" for one in rows]
    assert {(one["n"], one["failed"]) for one in summary["methods"].values()} == {(2, 1)}
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 4, "nothing is trained that cannot be measured"


@pytest.mark.usefixtures("without_pictures")
def test_weights_and_biases_gets_one_group(in_this_process, options, display, tmp_path, monkeypatch):
    opened, kept = [], []

    class Run:
        def log_table(self, name, rows):
            kept.append((name, [row["method"] for row in rows]))

        def log_files(self, name, paths):
            assert all(path.is_file() for path in paths)
            kept.append((name, [path.name for path in paths][:2]))

        def close(self, summary):
            kept.append(summary)

    def start(mode, folder, name, config, say, group):
        opened.append((mode, name, group))
        return Run()

    monkeypatch.setattr("hatlit.experiments.compare.start_wandb", start)
    monkeypatch.setattr("hatlit.experiments.train.start_wandb", lambda *arguments: opened.append(arguments[-1]))
    summary = compare(options("labels_only", targets="ann", wandb="offline"), display)
    assert opened[0] == "out"
    mode, name, group = opened[1]
    assert (mode, group) == ("offline", "out")
    assert re.fullmatch(r"comparison-out-[0-9a-f]{8}", name)
    accuracy = summary["methods"]["labels_only"]["accuracy"]["mean"]
    assert kept == [
        ("summary", ["labels_only"]),
        ("report", ["report.html", "results.csv"]),
        {"labels_only": accuracy},
    ]


@pytest.mark.usefixtures("without_pictures")
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


@pytest.mark.usefixtures("without_pictures")
def test_methods_that_come_later_stand_beside_those_that_are_there(in_this_process, options, display, tmp_path):
    """Both times with a target on which every run fails."""
    out = tmp_path / "out"
    words = [*f"--seeds 1 --targets ann,mute --out {out}".split(), "--methods"]
    compare(options("labels_only", targets="ann,mute"), display, [*words, "labels_only"])
    summary = compare(options("best_source", targets="ann,mute"), display, [*words, "best_source"])
    runs = [(row["target"], row["method"], bool(row["failed"])) for row in rows_of(out)]
    assert runs == [(t, m, t == "mute") for t in ("ann", "mute") for m in ("labels_only", "best_source")]
    assert json.loads((out / "summary.json").read_text()) == summary
    assert list(summary["methods"]) == ["labels_only", "best_source"]
    assert summary["command"].endswith("--methods labels_only,best_source")
    assert saved_words(str(out))[-4:] == ["--methods", "labels_only,best_source", "--out", str(out)]
    assert "best_source" in display.shown().split("ahead by")[-1]


@pytest.mark.usefixtures("without_pictures")
def test_other_options_take_the_folder_over(in_this_process, options, display, tmp_path):
    compare(options("labels_only", targets="ann"), display)
    for changes in ({"targets": "bob"}, {"trainer": TrainerConfig(max_epochs=1, accelerator="cpu")}):
        summary = compare(options("best_source", **({"targets": "ann"} | changes)), display)
        assert list(summary["methods"]) == ["best_source"]
        assert [row["method"] for row in rows_of(tmp_path / "out")] == ["best_source"]


@pytest.mark.slow
def test_two_comparisons_at_once_end_with_the_runs_of_both(arrays, tmp_path, monkeypatch, zoo):
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    words = f"--data.name arrays --data.root {arrays} --zoo {zoo} --targets ann,bob --seeds 1 --jobs 1 --out {out}"
    words += " --trainer.max_epochs 2 --adapt.steps 2"
    methods = ("labels_only", "best_source")
    commands = [[sys.executable, "-m", "hatlit", "compare", *words.split(), "--methods", one] for one in methods]
    at_work = [subprocess.Popen(command) for command in commands]
    assert [one.wait(timeout=300) for one in at_work] == [0, 0]
    runs = {(row["target"], row["method"], row["failed"]) for row in rows_of(out)}
    assert runs == {(target, method, "") for target in ("ann", "bob") for method in methods}
    summary = json.loads((out / "summary.json").read_text())
    assert {name: one["n"] for name, one in summary["methods"].items()} == dict.fromkeys(methods, 2)
    saved = json.loads((out / "command.json").read_text())
    assert set(saved["methods"]) == set(saved["words"][-1].split(",")) == set(methods)
    assert all(name in (out / "report.md").read_text() for name in methods)


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
def test_what_breaks_in_one_run_stays_in_its_row(in_this_process, options, monkeypatch, error, reason):
    def train(config, display, **how):
        if config.target == "bob":
            raise error
        return RESULT

    monkeypatch.setattr(module, "train", train)
    config = next(iter(options("labels_only").values()))
    runs = [run_config(config, "labels_only", target, 0) for target in ("bob", "ann")]
    assert {row["target"]: row["failed"] for row in Runs(runs, 1)} == {"bob": reason, "ann": ""}


def test_of_the_runs_at_work_when_a_process_died_only_the_culprit_fails(in_this_process, options, monkeypatch):
    tried = []

    def run_one(config):
        tried.append(config.target)
        if config.target == "bob" or (config.target == "ann" and tried.count("ann") == 1):
            raise BrokenProcessPool("a process ended abruptly")
        return {**failed(config, ""), "accuracy": 1.0}

    monkeypatch.setattr(module, "run_one", run_one)
    config = next(iter(options("labels_only", targets="ann,bob,mute").values()))
    runs = [run_config(config, "labels_only", target, 0) for target in ("ann", "bob", "mute")]
    rows = {row["target"]: row for row in Runs(runs, jobs=2)}
    assert {target: row["failed"] for target, row in rows.items()} == {"ann": "", "bob": KILLED, "mute": ""}
    assert tried.count("mute") == 1


@pytest.mark.slow
def test_a_process_that_is_really_killed_is_one_failed_row(options, display, tmp_path):
    """The run kills its process, once beside the others and once alone."""
    plugin = tmp_path / "deadly.py"
    plugin.write_text(
        "import os\n"
        "from hatlit.methods.base import StudentMethod, register_method\n"
        "@register_method('deadly')\n"
        "class Deadly(StudentMethod):\n"
        "    'Kills its process.'\n"
        "    needs_sources = False\n"
        "    @classmethod\n"
        "    def build(cls, task):\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    config = next(iter(options("labels_only", targets="ann", plugin=str(plugin)).values()))
    (row,) = Runs([run_config(config, "deadly", "ann", 0)], jobs=1)
    assert row["failed"] == KILLED


def test_names_are_looked_up_before_anything_runs(in_this_process, options, display, tmp_path):
    with pytest.raises(InputError, match="Unknown method 'hatt'"):
        compare(options("labels_only,hatt"), display)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("without_pictures")
def test_sources_are_trained_once_for_all_runs(in_this_process, options, display, arrays, tmp_path, monkeypatch):
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
    trained = []
    monkeypatch.setattr(
        display, "track", lambda items, doing: trained.append((doing, len(items))) or iter(items), raising=True
    )
    monkeypatch.setattr(module, "train", lambda config, display, **how: RESULT)
    with pytest.raises(FileNotFoundError):  # there is no run to report on
        compare(options("hat", zoo=None, data=DataConfig("arrays", str(arrays)), targets="all"), display)
    assert trained == [("training sources", 2), ("training sources", 1), ("runs", 3)]


@pytest.mark.usefixtures("without_pictures")
def test_a_row_tells_seconds_and_bytes_by_stage(in_this_process, options, tmp_path, monkeypatch):
    seconds = {
        "data": 5.0,
        "zoo": 9.0,
        "hat: preparation, adaptation": 0.3,
        "hat: preparation, the rest": 0.2,
        "hat: training": 1.5,
        "hat: test": 0.25,
        "total": 16.25,
    }
    stages = {stage: {"up": 1, "down": number, "read": 100} for number, stage in enumerate(STAGES)}
    result = {**RESULT, "bytes": {"total": 6, "stages": stages}, "seconds": seconds}
    monkeypatch.setattr(module, "train", lambda config, display, **how: result)
    (row,) = Runs([run_config(next(iter(options("hat").values())), "hat", "ann", 0)], 1)
    assert tuple(row) == COLUMNS
    assert (row["training_seconds"], row["preparation_seconds"], row["bytes"]) == (1.5, 0.5, 6)
    assert [row[f"bytes_{stage}"] for stage in STAGES] == [1, 2, 3], "what is read from files is the same bytes again"
    assert row["labels_fingerprint"] == "f" * 16


@pytest.mark.slow
@pytest.mark.usefixtures("without_pictures")
def test_going_on_with_a_comparison(in_this_process, tmp_path, arrays, capsys, monkeypatch):
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
    words = f"--data.name arrays --data.root {arrays} --methods labels_only --targets ann --seeds 1 --jobs 1"
    out = tmp_path / "first"
    assert main(["compare", *words.split(), "--trainer.max_epochs", "1", "--out", str(out)]) == 0
    first = json.loads((out / "summary.json").read_text())
    out.rename(tmp_path / "moved")
    assert main(["compare", "--seeds", "2", "--resume", str(tmp_path / "moved")]) == 0
    second = json.loads((tmp_path / "moved" / "summary.json").read_text())
    assert (first["seeds"], second["seeds"]) == (1, 2)
    assert len(list((tmp_path / "moved" / "runs").glob("*/done"))) == 2
    assert main(["compare", "--resume", str(tmp_path)]) == 2
    assert "to go on with" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("without_pictures")
def test_another_process_comes_to_the_same_numbers(options, display, tmp_path, request):
    elsewhere = compare(options(targets="ann", out=str(tmp_path / "elsewhere")), display)
    request.getfixturevalue("in_this_process")
    here = compare(options(targets="ann"), display)
    for summary in (elsewhere, here):
        for one in summary["methods"].values():
            del one["training_seconds"], one["peak_memory_bytes"]
        del summary["longest_preparation_seconds"], summary["date"]
    assert elsewhere == here
