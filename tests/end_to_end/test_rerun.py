"""A finished run can be repeated, and says what is not as it was."""

import json

import pytest

# Nobody looks at the pictures of these runs.
pytestmark = pytest.mark.usefixtures("without_pictures")


@pytest.fixture
def finished(train):
    """The folder of a finished run."""
    code, _, errors, folder = train()
    assert (code, errors) == (0, "")
    return folder


def test_a_run_repeats_to_the_last_bit(hatlit, finished):
    assert json.loads((finished / "environment.json").read_text())["torch"]
    code, output, errors = hatlit("rerun", finished)
    assert (code, errors) == (0, "")
    assert "the same to the last bit" in output
    (again,) = (finished / "rerun").iterdir()
    assert again.name == finished.name
    students = [next(folder.glob("student/sources/*/model.safetensors")).read_bytes() for folder in (finished, again)]
    assert students[0] == students[1]


def test_what_differs_is_named(hatlit, finished, tmp_path):
    result = json.loads((finished / "result.json").read_text())
    (finished / "result.json").write_text(json.dumps({**result, "accuracy": 0.123}))
    environment = json.loads((finished / "environment.json").read_text())
    (finished / "environment.json").write_text(json.dumps({**environment, "torch": "1.0"}))
    code, output, errors = hatlit("rerun", finished, "--out", tmp_path / "again")
    assert (code, errors) == (1, "")
    assert "The repetition differs, what it ran in does, too: torch 1.0 then" in " ".join(output.split())
    assert "0.123000" in output


def test_a_run_without_a_test_part_repeats_too(hatlit, train, mute):
    code, _, errors, folder = train("--target", "person-3", "--labels.per_class", "0", data=mute)
    assert (code, errors) == (0, "")
    assert not (folder / "predictions.safetensors").exists()
    code, output, errors = hatlit("rerun", folder)
    assert (code, errors) == (0, "")
    assert "the same to the last bit" in output


def test_without_a_finished_run_there_is_nothing_to_repeat(hatlit, tmp_path):
    code, _, errors = hatlit("rerun", tmp_path)
    assert code == 2
    told = "is not the folder of a finished run; name one below --out of 'hatlit train'."
    assert errors == f"hatlit: '{tmp_path}' {told}\n"
