import json

import numpy as np
import pytest

import hatlit
from hatlit.errors import InputError
from hatlit.export.artifact import Artifact
from hatlit.export.student import Student

RESULT = {
    "method": "hat",
    "labels": 4,
    "sources": ["ann", "bob"],
    "bytes": {"total": 2048},
    "seconds": {"total": 3.21},
    "accuracy": 0.9,
    "test_samples": 18,
}


@pytest.fixture
def finished_run(run, tmp_path):
    """The run of the session with what it says of itself, in a folder that a test may change."""
    student = Student(run)
    folder = student.save(tmp_path / "run")
    (folder / "result.json").write_text(json.dumps(RESULT))
    return folder


def test_it_says_what_it_is_and_what_it_cost(finished_run):
    student = Student(finished_run)
    assert student.taught_by == ("ann", "bob")
    assert student.result == RESULT
    first, second, third = str(student).splitlines()
    assert first.startswith("cnn_nano for walker: ")
    assert "classes slow, fast, still, run" in first
    assert second == "taught by ann, bob (hat) with 4 labels; 2,048 bytes moved, 3.2 s"
    assert third == "accuracy 0.900 on 18 test samples"
    assert repr(student) == f"Student({str(finished_run)!r})"


def test_without_a_test_part_it_claims_nothing(finished_run):
    (finished_run / "result.json").write_text(json.dumps({**RESULT, "accuracy": None, "test_samples": 0}))
    assert str(Student(finished_run)).endswith("no samples were held out")


def test_a_test_part_without_an_accuracy_is_refused(finished_run):
    (finished_run / "result.json").write_text(json.dumps({**RESULT, "accuracy": None}))
    with pytest.raises(InputError, match=r"result\.json' is not valid: there are test samples and no accuracy"):
        Student(finished_run)


def test_a_bare_student_says_what_its_card_does(run):
    student = Student(run)
    assert (student.result, student.taught_by) == ({}, ())
    assert str(student).count("\n") == 0
    assert sum(parameter.numel() for parameter in student.model.parameters()) > 0


def test_a_copy_answers_and_knows_the_same(finished_run, walker, tmp_path):
    student = Student(finished_run)
    copy = hatlit.load(student.save(tmp_path / "new" / "copy"))
    np.testing.assert_array_equal(
        copy.predict(walker.samples).probabilities, student.predict(walker.samples).probabilities
    )
    assert copy.result == RESULT


def test_nothing_is_written_over(finished_run, tmp_path):
    (tmp_path / "mine").write_text("")
    for place in (tmp_path / "mine", finished_run):
        with pytest.raises(InputError, match=r"something at .* already"):
            Student(finished_run).save(place)


@pytest.mark.parametrize("ending", ["onnx", "safetensors"])
def test_the_ending_says_what_it_becomes(run, walker, tmp_path, ending):
    if ending == "onnx":
        pytest.importorskip("onnxruntime")
    student, file = Student(run), tmp_path / f"student.{ending}"
    described = student.export(file)
    assert described == Artifact.read(file)
    assert described.format == ending
    np.testing.assert_allclose(
        hatlit.load(file).predict(walker.samples).probabilities,
        student.predict(walker.samples).probabilities,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("student.h5", {}, "ends in none of .onnx, .pt2, .safetensors"),
        ("student.safetensors", {"quantize": "int8"}, "8 bits make onnx files, not safetensors"),
        ("file/student.safetensors", {}, "cannot be written"),
    ],
)
def test_what_cannot_be_exported_is_refused(run, tmp_path, name, options, says):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=says):
        Student(run).export(tmp_path / name, **options)
