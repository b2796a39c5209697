import warnings

import numpy as np
import pytest
import torch

import hatlit
from hatlit.datamodules.base import build_view
from hatlit.errors import InputError


def test_a_run_predicts_what_its_student_says(run, finished, walker):
    found = hatlit.load(run).predict(walker.samples)
    with torch.no_grad():
        expected = finished.deployed(walker.tensor()).numpy()
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-5)
    assert found.class_names == finished.card.class_names
    assert found.labels == tuple(found.class_names[number] for number in expected.argmax(1))
    assert len(found) == len(walker)


def test_one_sample_or_many_of_any_kind(run, walker):
    student = hatlit.load(run)
    many = student.predict(walker.samples[:2])
    for sample in (walker.samples[0], torch.from_numpy(walker.samples[0]).double(), walker.samples[:1]):
        np.testing.assert_allclose(student.predict(sample).probabilities, many.probabilities[:1], rtol=1e-5)
    read_only = walker.samples[0].astype(">f8")
    read_only.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(student.predict(read_only).probabilities, many.probabilities[:1], rtol=1e-5)
    assert student.predict(walker.samples[:0]).probabilities.shape == (0, 4)


def test_other_rates_and_orders_are_brought_to_the_students_own(run, walker):
    student = hatlit.load(run)
    expected = student.predict(walker.samples).probabilities
    turned = student.predict(walker.samples[:, ::-1].copy(), channels=("z", "y", "x"))
    np.testing.assert_allclose(turned.probabilities, expected, rtol=1e-5)
    fast = np.random.default_rng(0).normal(size=(4, 3, 64)).astype(np.float32)
    slow = build_view(torch.from_numpy(fast), walker.recorded.with_(rate=32.0, shape=(64,)), walker.recorded)
    expected = student.predict(slow).probabilities
    np.testing.assert_allclose(student.predict(fast, rate=32.0).probabilities, expected, rtol=1e-5)


def test_texts_need_no_array(text_run):
    student = hatlit.load(text_run)
    found = student.predict(["a fine book", "what a bore, a bore, a very long bore that goes on and on"])
    assert len(found) == 2
    np.testing.assert_allclose(student.predict("a fine book").probabilities, found.probabilities[:1], rtol=1e-5)


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.zeros(2), r"samples over rows x channels x time, not at an array of shape \(2,\)"),
        (np.zeros((2, 5, 32)), "have 5 channels, and 3 are expected: x, y, z"),
        (np.full((1, 3, 32), np.nan), "not finite"),
        (np.zeros((1, 3, 0)), "hold nothing"),
        ("a text", "not at texts"),
    ],
)
def test_what_it_cannot_look_at_is_refused(run, samples, says):
    with pytest.raises(InputError, match=says):
        hatlit.load(run).predict(samples)
