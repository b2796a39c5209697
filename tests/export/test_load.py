import numpy as np
import pytest

import hatlit
from hatlit.errors import InputError
from hatlit.export.student import Student
from hatlit.export.write import export


@pytest.fixture
def exported(tmp_path, finished):
    def write(to, batch=None):
        content, described = export(finished, to, int8=False, batch=batch, test=None)
        file = tmp_path / f"student.{to}"
        file.write_bytes(content)
        described.write(file)
        return file

    return write


@pytest.mark.parametrize(("to", "batch"), [("onnx", None), ("onnx", 7), ("safetensors", None)])
def test_an_exported_file_predicts_what_the_run_does(exported, run, walker, to, batch):
    if to == "onnx":
        pytest.importorskip("onnxruntime")
    found = hatlit.load(exported(to, batch)).predict(walker.samples)
    expected = hatlit.load(run).predict(walker.samples)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)


def test_archives_of_torch_are_not_opened(exported):
    with pytest.raises(InputError, match="may hold pickles"):
        hatlit.load(exported("torch_export"))


def test_a_folder_says_more_of_itself_than_a_file(exported, run):
    assert isinstance(hatlit.load(run), Student)
    assert not isinstance(hatlit.load(exported("safetensors")), Student)


def test_nothing_is_no_student(tmp_path):
    with pytest.raises(InputError, match="give a run folder or an exported file"):
        hatlit.load(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the JSON beside it"):
        hatlit.load(tmp_path / "file")
