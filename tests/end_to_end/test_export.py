"""From a trained student to a file for a device, and predictions from either."""

import io
import json
import shutil

import numpy as np
import pytest
from rich.console import Console

import hatlit as package
from hatlit.datamodules.datasets.arrays import arrays as read_arrays
from hatlit.export.artifact import Artifact


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("exported")


@pytest.fixture
def run(train, shared):
    """A student of a device that feels two axes at half the rate; trained once for all tests here."""
    small = "--method labels_only --device.rate 8 --device.channels acc_x,acc_z --device.max_bytes 30000".split()
    code, _, errors, folder = train("--target", "person-1", *small, out=shared / "runs")
    assert code == 0, errors
    return folder


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("--to onnx", "student.onnx"),
        ("--to onnx --quantize int8", "student-int8.onnx"),
        ("--to onnx --batch 4", "student.onnx"),
        ("--to torch_export", "student.pt2"),
        ("--to safetensors", "student.safetensors"),
    ],
)
def test_an_export_says_what_it_costs_and_how_good_it_is(hatlit, run, words, name):
    if "onnx" in words:
        pytest.importorskip("onnxruntime")
    code, output, errors = hatlit("export", run, *words.split())
    assert (code, errors) == (0, "")
    described = Artifact.read(run / "export" / name)
    result = json.loads((run / "result.json").read_text())
    assert described.accuracy.student == pytest.approx(result["accuracy"])
    if described.number_format == "float32":
        assert described.accuracy.exported == described.accuracy.student
    assert described.recording.spec.channels == ("acc_x", "acc_z")
    assert (described.recording.spec.rate, described.recording.spec.shape) == (8.0, (16,))
    assert described.encoder == result["student"]["encoder"] == "cnn_nano"
    for shown in (f"{described.size_bytes:,}", f"{described.parameters:,}", f"{described.macs:,}", name):
        assert shown in output


def test_without_its_data_a_student_is_exported_all_the_same(hatlit, run, tmp_path):
    alone = tmp_path / "alone"
    shutil.copytree(run, alone)
    config = (alone / "config.yaml").read_text()
    (alone / "config.yaml").write_text(config.replace("root: ", "root: /gone"))
    code, output, _ = hatlit("export", alone, "--to", "safetensors", "--out", tmp_path / "deep" / "own.safetensors")
    assert code == 0
    assert "no accuracy: the target's data cannot be read again (There is no file '/gone" in output
    assert Artifact.read(tmp_path / "deep" / "own.safetensors").accuracy is None


def test_without_a_test_part_there_is_no_accuracy(hatlit, train, mute):
    code, _, errors, folder = train("--target", "person-3", "--labels.per_class", "0", data=mute)
    assert (code, errors) == (0, "")
    code, output, errors = hatlit("export", folder, "--to", "safetensors")
    assert (code, errors) == (0, "")
    assert "no accuracy: the target has no labelled sample to be measured by" in output
    assert Artifact.read(folder / "export" / "student.safetensors").accuracy is None


def test_changed_labels_are_no_measure(hatlit, run, tmp_path):
    alone = tmp_path / "alone"
    shutil.copytree(run, alone)
    result = json.loads((alone / "result.json").read_text())
    (alone / "result.json").write_text(json.dumps(result | {"labels_fingerprint": "another"}))
    assert "have changed since" in hatlit("export", alone, "--to", "safetensors")[1]


def test_a_place_that_cannot_be_written_is_refused(hatlit, run, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, errors = hatlit("export", run, "--to", "safetensors", "--out", tmp_path / "file" / "student")
    assert code == 2
    assert "choose another place" in errors


def test_files_and_folders_become_json_lines(hatlit, run, arrays, tmp_path):
    windows = read_arrays(arrays, "imu").domain("person-1").samples[:3]
    folder = tmp_path / "inputs"
    folder.mkdir()
    np.savez(folder / "b.npz", x=windows, channel_names=np.array(["acc_x", "acc_y", "acc_z"]), sample_rate=np.array(16))
    rows = np.concatenate(windows.transpose(0, 2, 1))
    np.savetxt(folder / "a.csv", rows, delimiter=",", header="acc_x,acc_y,acc_z", comments="")
    code, output, errors = hatlit("predict", run, folder, "--rate", "16")
    assert (code, errors) == (0, "")
    found = [json.loads(line) for line in output.splitlines()]
    assert [(one["input"], one["row"]) for one in found] == [
        (str(folder / name), row) for name in ("a.csv", "b.npz") for row in range(3)
    ]
    student = package.load(run)
    expected = student.predict(windows, rate=16.0, channels=("acc_x", "acc_y", "acc_z"))
    for place, one in enumerate(found):
        assert one["label"] == expected.labels[place % 3]
        assert one["label"] == max(one["probabilities"], key=one["probabilities"].get)
        np.testing.assert_allclose(
            list(one["probabilities"].values()), expected.probabilities[place % 3], atol=2e-3
        )  # the file holds float16


def test_bad_files_are_told_and_skipped(hatlit, run, tmp_path):
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    np.savetxt(good, np.zeros((16, 2)), delimiter=",")
    bad.write_text("nonsense\nmore\n")
    code, output, errors = hatlit("predict", run, bad, good, tmp_path / "none.csv")
    assert code == 0
    assert len(output.splitlines()) == 1
    assert "bad.csv' is not a table" in errors
    assert "none.csv' cannot be read" in errors
    assert errors.endswith("2 of 3 files were skipped.\n")
    code, output, errors = hatlit("predict", run, bad)
    assert (code, output) == (2, "")
    (tmp_path / "empty").mkdir()
    code, output, errors = hatlit("predict", run, tmp_path / "empty")
    assert (code, output) == (2, "")
    assert errors == f"hatlit: No file of imu samples lies in '{tmp_path / 'empty'}'; those end in .npz, .csv.\n"


def test_a_bar_on_the_terminal_leaves_the_lines_to_standard_output(hatlit, run, tmp_path, monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(
        "hatlit.experiments.predict.Console", lambda **_: Console(file=terminal, force_terminal=True, width=80)
    )
    for name in ("a.csv", "b.csv"):
        np.savetxt(tmp_path / name, np.zeros((16, 2)), delimiter=",")
    code, output, _ = hatlit("predict", run, tmp_path / "a.csv", tmp_path / "b.csv")
    assert code == 0
    assert [json.loads(line)["input"] for line in output.splitlines()] == [
        str(tmp_path / name) for name in ("a.csv", "b.csv")
    ]
    assert "2/2" in terminal.getvalue()
    assert "probabilities" not in terminal.getvalue()
