"""Studies from the command line: names, options that are refused, resuming, and each of them once from end to end."""

import csv
import subprocess
import sys

import numpy as np
import pytest
import torch

from hatlit.cli import main
from hatlit.cli.runs import STUDIES as FILES
from hatlit.config import LabelsConfig, StudyConfig
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.experiments import pool, study_runs
from hatlit.experiments.studies.mixer import WORTH
from hatlit.experiments.study import STUDIES, as_csv, changed_options, check_options
from hatlit.experiments.study_runs import Variant, correlation, run_variants
from hatlit.experiments.study_sources import num_chosen, rank_correlation, true_accuracy

QUICK = (
    "--sources.encoders cnn_nano --sources.max_epochs 1 --trainer.max_epochs 1 --trainer.accelerator cpu "
    "--adapt.steps 1 --hat.experts.steps 2 --targets ann,bob --seeds 1 --jobs 1"
).split()


def test_the_names_are_those_of_the_files():
    assert sorted(STUDIES.names()) == sorted(path.stem for path in FILES.glob("[!_]*.py"))
    for entry in STUDIES:
        assert entry.summary.endswith("?"), "a study is a question"


def test_an_unknown_study_is_refused_before_anything_heavy_is_loaded():
    code = "import sys; from hatlit.cli import main; print(main(['study', 'lables']), 'torch' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert finished.stdout == "2 False\n"
    assert finished.stderr == "hatlit: Unknown study 'lables': did you mean labels or next_labels?\n"


@pytest.mark.parametrize("words", [["study"], ["study", "--seeds", "1"]])
def test_a_study_has_a_name(words, capsys):
    assert main(words) == 2
    assert "wants the NAME of a study first: bad_sources, card_noise, dictionary," in capsys.readouterr().err


def test_help(capsys):
    assert main(["study", "--help"]) == 0
    assert "  bad_sources     Sources that are poisoned, useless, broken or hostile.\n" in capsys.readouterr().out
    assert main(["study", "labels", "--help"]) == 0
    assert "--values" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("mixer --values 3", "The study 'mixer' has no values to go through; leave --values out."),
        ("labels --labels.per_class 3", "The study 'labels' sets --labels.per_class itself; give --values instead."),
        ("mixer --hat.mixer.weights prior", "The study 'mixer' sets --hat.mixer.weights itself; leave the option out."),
        ("label_overlap --zoo here", "The study 'label_overlap' sets --zoo itself; give --values instead."),
        ("labels --values none", "not 'none'."),
        ("labels --seeds 0", "--seeds must be at least 1, not 0."),
        ("labels --targets ,", "--targets names none"),
        ("labels --trainer.devices 2", "--trainer.devices and --trainer.num_nodes must stay 1"),
        ("labels --wandb off", "Unknown option 'wandb'"),
    ],
)
def test_options_that_cannot_be(words, says, capsys, tmp_path):
    assert main(["study", *words.split(), "--out", str(tmp_path / "out")]) == 2
    errors = capsys.readouterr().err
    assert says in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_study_has_a_folder_of_its_own_where_none_is_named(monkeypatch):
    outs = []
    monkeypatch.setattr(
        "hatlit.experiments.study.run_study",
        lambda name, config, of_method, *_: outs.append((config.out, of_method("kd").out)),
    )
    for words in (["labels"], ["mixer"], ["mixer", "--out", "here"]):
        assert main(["study", *words]) == 0
    assert outs == [("study-labels",) * 2, ("study-mixer",) * 2, ("here",) * 2]


def test_options_without_effect_are_named(capsys):
    told = []
    config = StudyConfig(labels=LabelsConfig(per_class=2), num_sources=2, seeds=1)
    check_options("similarity", STUDIES.get("similarity")(), config, told.append)
    assert told == ["These options make no difference to the study 'similarity': --labels.per_class, --seeds"]


def test_what_a_modality_ships_is_not_taken_for_a_wish():
    radar = StudyConfig(modality="radar")
    radar.sources.max_epochs = 40
    assert list(changed_options(radar)) == []


def test_values_are_read_once_each():
    study = STUDIES.get("sources")()
    read = check_options("sources", study, StudyConfig(values="3,1,3"), print)
    assert [variant.value for variant in read] == ["3", "1"]


def test_csv_leaves_out_what_is_not_known():
    assert as_csv([{"a": 1, "b": None}, {"a": 0.5, "b": "x,y"}]) == 'a,b\n1,\n0.5,"x,y"\n'


@pytest.mark.parametrize(
    ("scores", "truth", "expected"),
    [
        ([1.0, 2.0, 3.0], [0.1, 0.5, 0.9], 1.0),
        ([3.0, 2.0, 1.0], [0.1, 0.5, 0.9], -1.0),
        ([1.0, 2.0, 3.0, 4.0], [0.2, 0.1, 0.4, 0.3], 0.6),
        ([1.0, np.nan, None, 3.0], [0.1, 0.9, 0.9, 0.2], 1.0),
        ([1.0, 1.0], [0.1, 0.2], None),
        ([1.0, 2.0], [0.1, 0.1], None),
        ([np.nan, 2.0], [0.1, 0.2], None),
    ],
)
def test_rank_correlation(scores, truth, expected):
    assert rank_correlation(scores, np.array(truth)) == (expected if expected is None else pytest.approx(expected))


def test_correlation():
    assert correlation([0.0, 1.0, 2.0], [1.0, 2.0, 0.0]) == pytest.approx(-0.5)
    assert correlation([1.0, 1.0], [0.0, 1.0]) is None
    assert correlation([1.0], [0.0]) is None


def test_how_many_sources_are_chosen():
    assert [num_chosen(None, 3), num_chosen(None, 9), num_chosen(2, 9)] == [3, 5, 2]
    with pytest.raises(InputError, match="--num_sources 4 asks for more sources than the 3"):
        num_chosen(4, 3)


def test_true_accuracy_counts_abstaining_as_wrong():
    class Rows:
        target, label = torch.eye(4)[:, :3], torch.tensor([0, 1, 0, 1])

    class Target:
        class_names = ("a", "b", "c")

        def test_rows(self, spec):
            return Rows

    class Model(torch.nn.Module):
        input_spec = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(1,), axes=("time",))

        def forward(self, view):
            return 1000 * view

    class Knows:
        class_names = ("a", "b", "other")

    # It says 'other' of the third sample and takes the last one for an a.
    assert true_accuracy(Knows, Model(), Target()) == 0.5
    Knows.class_names = ("b", "a", "other")
    assert true_accuracy(Knows, Model(), Target()) == 0.0


def test_when_every_run_fails_the_first_reason_is_told(monkeypatch, people, display, tmp_path):
    from hatlit.experiments.study import StudyTask

    monkeypatch.setattr(study_runs, "Runs", lambda runs, jobs: [pool.failed(run, "No label.") for run in runs])
    config = StudyConfig(out=str(tmp_path), seeds=2)
    task = StudyTask(config, lambda method: config, people, people, ["ann"], display)
    with pytest.raises(InputError, match=r"Every run failed, the first because: No label\."):
        run_variants(task, ["labels_only"], [Variant("all", "", {"zoo": "somewhere"})])
    assert "failed: labels_only on ann, seed 1: No label." in display.shown()


@pytest.fixture
def study(in_this_process, monkeypatch, arrays, tmp_path_factory, tmp_path):
    """Runs a study quickly on three people; returns its folder."""
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path_factory.getbasetemp() / "studies-cache"))

    def run(name, *words, out=None):
        out = out or tmp_path / name
        data = ["--data.name", "arrays", "--data.root", str(arrays)]
        assert main(["study", name, *data, *QUICK, "--out", str(out), *words]) == 0
        return out

    return run


@pytest.mark.slow
def test_every_study_from_end_to_end(study, capsys):
    values = {
        "bad_sources": "random@50%,nan@50%",
        "card_noise": "0,1",
        "labels": "1,50%",
        "sources": "1,2",
        "selection": "0.5,1",
        "label_overlap": "0.67",
        "next_labels": "3",
    }
    for name in STUDIES.names():
        few = ["--device.max_parameters", "8000"] if name == "skeletons" else []
        folder = study(name, *few, *(["--values", values[name]] if name in values else []))
        with (folder / "study.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert {row["target"] for row in rows} == {"ann", "bob"}
        finding = (folder / "finding.md").read_text()
        seeds = "" if name == "similarity" else ", seeds: 1"  # it draws nothing
        assert finding.startswith(f"On arrays, targets: 2{seeds}: ")
        for number in told(name, rows):
            assert number in finding, name
        assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")
        assert finding in capsys.readouterr().out


def told(name, rows):
    """Some numbers of a study's rows, as its finding tells them."""
    if name == "similarity":
        groups = {(row["statistics"], row["similarity"]): [] for row in rows}
        for row in rows:
            groups[row["statistics"], row["similarity"]].append(float(row["accuracy"]))
        return [f"{100 * max(map(np.mean, groups.values())):.1f} ["]
    if name == "learned_coarse":
        return [f"{100 * np.mean([float(row['accuracy_possible']) for row in rows]):.1f} ["]
    if name == "selection":
        least = [row for row in rows if row["value"] == "0.5"]
        return [f"{100 * np.mean([float(row['retained']) for row in least]):.1f} ["]
    assert not any(row["failed"] for row in rows)
    if name == "mixer_accuracy":
        return [
            f"{100 * np.mean([float(row['mixer_estimate']) - float(row['mixer_truth']) for row in rows]):+.1f} points"
        ]
    mean = {
        (method, value): np.mean([float(r["accuracy"]) for r in rows if (r["method"], r["value"]) == (method, value)])
        for method, value in {(row["method"], row["value"]) for row in rows}
    }
    if name == "mixer":
        pairs = [pair for cases in WORTH.values() for pair in cases.values()]
        return [f"{100 * (mean[one, 'all'] - mean[other, 'all']):+.1f} points" for one, other in pairs]
    if name == "skeletons":
        gaps = []
        for target in ("ann", "bob"):
            here = [row for row in rows if row["target"] == target]
            first = max(here, key=lambda row: float(row["score"]))
            gaps.append(float(first["accuracy"]) - np.mean([float(row["accuracy"]) for row in here]))
        return [f"one drawn at random ({100 * np.mean(gaps):+.1f} points"]
    if name == "next_labels":
        return [f"{100 * one:.1f} [" for one in mean.values()]
    if name in ("bad_sources", "card_noise"):
        return [f"{100 * one:.1f} [" for (_, value), one in mean.items() if value in ("clean", "0")]
    best = {value: mean[method, value] for method, value in mean if method == "hat"}
    return [f"{100 * (max(best.values()) if name == 'sources' else one):.1f} [" for one in best.values()]


@pytest.mark.slow
def test_a_second_call_repeats_no_run_and_another_study_keeps_out(study, tmp_path, capsys):
    def state():
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "mixer_accuracy").rglob("done")}

    folder = study("mixer_accuracy")
    before, first = state(), (folder / "study.csv").read_text()
    assert len(before) == 2
    study("mixer_accuracy")
    assert (state(), (folder / "study.csv").read_text()) == (before, first)
    capsys.readouterr()
    assert main(["study", "mixer", "--out", str(folder)]) == 2
    assert "holds something else than the study 'mixer'; choose another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("count", "weakened"), [(1, "nothing here is decided"), (4, "Fewer than 5 targets decide nothing"), (5, "")]
)
def test_a_finding_says_where_too_few_targets_decide_nothing(people, display, count, weakened):
    from hatlit.experiments.study import StudyTask, whole_finding

    config = StudyConfig()
    task = StudyTask(config, lambda method: config, people, people, [f"p{number}" for number in range(count)], display)
    told = whole_finding("It is so.", task)
    assert told.endswith("It is so.") if not weakened else weakened in told
