import pytest
import torch

from hatlit.datamodules.base import build_view
from hatlit.errors import InputError
from hatlit.export.deployed import Deployed, read_student


def test_samples_become_probabilities_as_view_and_student_make_them(finished, walker):
    samples = walker.tensor()
    with torch.no_grad():
        view = build_view(samples, walker.recorded, finished.deployed.view)
        expected = finished.deployed.student(view).softmax(-1)
        assert torch.equal(finished.deployed(samples), expected)


def test_a_text_is_cut_before_the_graph(text_run):
    deployed = read_student(text_run).deployed
    assert (deployed.sees_samples, deployed.input_name, deployed.input_form) == (False, "view", deployed.view)
    given = deployed.prepare(torch.full((2, 1, 32), 97.0))
    assert given.shape == deployed.example(2).shape
    assert given.dtype == deployed.example(2).dtype == torch.int64
    assert deployed(given).shape == (2, 2)


def test_made_up_input_looks_like_the_recordings(finished, walker):
    made_up, real = finished.deployed.example(400), walker.tensor()
    assert made_up.shape == (400, *real.shape[1:])
    torch.testing.assert_close(made_up.mean((0, 2)), real.mean((0, 2)), atol=0.3, rtol=0)
    torch.testing.assert_close(made_up.std((0, 2)), real.std((0, 2)), atol=0.3, rtol=0)
    assert torch.equal(made_up, finished.deployed.example(400))


def test_a_device_that_records_less_is_given_less(finished, walker):
    half = walker.recorded.with_(rate=8.0, shape=(16,))
    deployed = Deployed(finished.deployed.student, half)
    given = deployed.prepare(walker.tensor(), walker.recorded)
    assert given.shape == (60, 3, 16)
    with torch.no_grad():
        assert deployed(given).shape == (60, 4)


def test_the_student_folder_itself_will_do(run, finished):
    assert read_student(run / "student").card == finished.card


def test_what_holds_no_student_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no student"):
        read_student(tmp_path)
