from dataclasses import replace

import numpy as np
import pytest
import torch

from hatlit.fusion.bank import SourceOutputs
from hatlit.methods.distilling import Lesson, even_weights
from hatlit.methods.knfu import SHARPNESS, KnFu, log_effectiveness, mean_prediction
from hatlit.types import UNLABELLED


def test_mean_prediction_adds_up_to_one_whatever_a_source_keeps_back():
    said = torch.tensor([[[0.5, 0.3], [0.0, 0.0]], [[0.1, 0.1], [0.0, 0.0]]], dtype=torch.float64)
    shares = mean_prediction(said)
    torch.testing.assert_close(shares[0], torch.tensor([0.6, 0.4], dtype=torch.float64))
    assert torch.equal(shares[1], torch.zeros(2, dtype=torch.float64))


def test_effectiveness_is_that_of_the_formula():
    wanted = np.array([0.5, 0.5])
    shares = np.array([[0.5, 0.5], [0.6, 0.4], [0.99, 0.01]])
    divergence = (wanted * np.log(wanted / shares)).sum(-1)
    found = log_effectiveness(torch.from_numpy(shares), torch.from_numpy(wanted)).numpy()
    np.testing.assert_allclose(found[:2], -SHARPNESS * divergence[:2], atol=1e-12)
    assert found[2] == -np.inf


def test_sources_that_are_alike_all_count():
    shares = torch.tensor([0.2, 0.3, 0.5]).expand(7, 3)
    assert torch.isfinite(log_effectiveness(shares, torch.full((3,), 1 / 3))).all()


def test_a_source_that_knows_no_class_is_not_heard():
    found = log_effectiveness(torch.tensor([[0.5, 0.5], [0.0, 0.0]]), torch.tensor([0.5, 0.5]))
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert found[1] == -torch.inf


def test_weights_compare_the_training_rows_with_the_labelled_few(task):
    made = task("knfu")
    method = KnFu.build(made).double()
    labels = made.target.train_labels
    said = method.bank(torch.arange(len(labels))).probabilities.numpy()
    shares = said.sum(0) / said.sum((0, 2))[:, None]
    known = labels[labels != UNLABELLED].numpy()
    wanted = np.bincount(known, minlength=3) / len(known)
    divergence = (wanted * np.log(wanted / shares)).sum(-1)
    effect = np.where(divergence <= divergence.mean(), np.exp(-SHARPNESS * divergence), 0)
    expected = effect * said[:5].sum(-1)
    expected /= expected.sum(-1, keepdims=True)
    lesson = Lesson(torch.zeros(5, 1), torch.zeros(5, 3), method.bank(torch.arange(5)), labels[:5])
    np.testing.assert_allclose(method.weights(lesson).numpy(), expected, atol=1e-5)
    assert 0 < np.count_nonzero(effect) < len(made.sources)


def test_the_only_source_always_counts(task):
    made = task("knfu")
    method = KnFu.build(replace(made, sources=made.sources[:1]))
    outputs = method.bank(torch.arange(4))
    lesson = Lesson(torch.zeros(4, 1), torch.zeros(4, 3), outputs, torch.zeros(4, dtype=torch.int64))
    assert torch.equal(method.weights(lesson), even_weights(outputs))


def test_rows_on_which_all_abstain_give_no_nan(task):
    method = KnFu.build(task("knfu"))
    outputs = SourceOutputs([], torch.zeros(2, 3, 3))
    lesson = Lesson(torch.zeros(2, 1), torch.zeros(2, 3), outputs, torch.zeros(2, dtype=torch.int64))
    torch.testing.assert_close(method.taught(lesson), torch.full((2, 3), 1 / 3))
