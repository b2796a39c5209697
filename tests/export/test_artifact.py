import numpy as np
import pytest

from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.export.artifact import Artifact, Recording
from hatlit.export.write import export

SPEC = InputSpec(modality="imu", channels=("x",), shape=(8,))


@pytest.mark.parametrize(("dtype", "numbers"), [("int16", "integer"), ("uint8", "integer"), ("float16", "float")])
def test_a_recording_comes_back_as_it_was_written(tmp_path, dtype, numbers):
    recording = Recording.of(SPEC, np.dtype(dtype))
    recording.write(tmp_path)
    assert Recording.read(tmp_path) == recording
    assert recording.numbers == numbers


def test_a_missing_or_broken_recording_is_told(tmp_path):
    with pytest.raises(InputError, match="train the student again"):
        Recording.read(tmp_path)
    (tmp_path / "recording.json").write_text('{"numbers": "many"}')
    with pytest.raises(InputError, match=r"recording.json' is not valid"):
        Recording.read(tmp_path)


@pytest.fixture
def exported(tmp_path, finished):
    file = tmp_path / "student.safetensors"
    content, described = export(finished, "safetensors", int8=False, batch=None, test=None)
    file.write_bytes(content)
    described.write(file)
    return file, described


def test_the_json_comes_back_as_it_was_written(exported):
    file, described = exported
    assert Artifact.read(file) == described


def test_what_does_not_belong_together_is_refused(exported):
    file, _ = exported
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(InputError, match="is not the file that"):
        Artifact.read(file)
    Artifact.path_of(file).write_text("{}")
    with pytest.raises(InputError, match="is not valid"):
        Artifact.read(file)
    Artifact.path_of(file).unlink()
    with pytest.raises(InputError, match="the JSON beside it"):
        Artifact.read(file)
