from dataclasses import replace

import numpy as np
import pytest
import torch

from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.fusion.bank import SourceOutputs
from hatlit.methods.distilling import Lesson
from hatlit.methods.kd import KD
from hatlit.methods.kd_weighted import KDWeighted
from hatlit.types import UNLABELLED


def batch_of(task, method):
    return next(iter(TargetDataModule(task.target.rows(method.view), 16, 0).train_dataloader()))


def lesson_of(probabilities):
    rows, _, classes = probabilities.shape
    label = torch.full((rows,), UNLABELLED)
    return Lesson(torch.zeros(rows, 1), torch.zeros(rows, classes), SourceOutputs([], probabilities), label)


def test_it_starts_as_plain_distillation(task):
    made = task("kd_weighted")
    method, plain = KDWeighted.build(made), KD.build(made)
    batch = batch_of(made, method)
    torch.testing.assert_close(method.losses(batch)["student"], plain.losses(batch)["student"])


def test_weights_are_a_softmax_times_what_each_source_knows(task):
    method = KDWeighted.build(task("kd_weighted")).double()
    logits = np.array([0.3, -1.2, 2.0])
    method.weight_logits.data = torch.tensor(logits)
    probabilities = torch.rand(5, 3, 4, dtype=torch.float64).softmax(-1) * torch.rand(5, 3, 1, dtype=torch.float64)
    expected = np.exp(logits) * probabilities.sum(-1).numpy()
    expected /= expected.sum(-1, keepdims=True)
    found = method.weights(lesson_of(probabilities)).detach()
    torch.testing.assert_close(found, torch.tensor(expected))


def test_losses_are_those_of_the_formula(task):
    made = task("kd_weighted", distillation__weight=2.5)
    method = KDWeighted.build(made).double()
    logits = np.array([0.3, -1.2, 2.0])
    method.weight_logits.data = torch.tensor(logits)
    batch = batch_of(made, method)
    batch = replace(batch, target=batch.target.double())
    p = method.bank(batch.index).probabilities.numpy()
    fused = np.einsum("n,bnk->bk", np.exp(logits) / np.exp(logits).sum(), p)
    label, labelled = batch.label.clamp_min(0).numpy(), (batch.label != UNLABELLED).numpy()
    rows = np.arange(len(label))
    q = method.student(batch.target).softmax(-1).detach().numpy()
    told = (fused * np.log(fused / q)).sum(-1).mean()
    losses = method.losses(batch)
    assert labelled.any()
    assert float(losses["weights"].detach()) == pytest.approx(-np.log(fused[rows, label])[labelled].mean(), abs=1e-5)
    assert float(losses["student"]) == pytest.approx(-np.log(q[rows, label])[labelled].mean() + 2.5 * told, abs=1e-5)


def test_each_loss_moves_its_own_part_only(task):
    made = task("kd_weighted")
    method = KDWeighted.build(made)
    batch = batch_of(made, method)
    method.losses(batch)["weights"].backward()
    assert method.weight_logits.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in method.student.parameters())
    method.zero_grad()
    method.losses(batch)["student"].backward()
    assert method.weight_logits.grad is None
    assert all(parameter.grad is not None for parameter in method.student.parameters())


def test_without_labels_the_weights_stand_still(task):
    made = task("kd_weighted")
    method = KDWeighted.build(made)
    batch = batch_of(made, method)
    losses = method.losses(replace(batch, label=torch.full_like(batch.label, UNLABELLED)))
    losses["weights"].backward()
    assert float(losses["weights"]) == 0
    assert torch.equal(method.weight_logits.grad, torch.zeros(3))


def test_the_source_that_knows_the_labels_gains(task):
    method = KDWeighted.build(task("kd_weighted"))
    good, bad = [0.9, 0.05, 0.05], [0.1, 0.8, 0.1]
    lesson = lesson_of(torch.tensor([[bad, good, bad]]))
    (-method.taught(lesson)[0, 0].log()).backward()
    assert method.weight_logits.grad.argmin() == 1
    assert method.weight_logits.grad[1] < 0


def test_a_source_that_abstains_on_every_class_has_no_say(task):
    method = KDWeighted.build(task("kd_weighted"))
    method.weight_logits.data = torch.tensor([3.0, 0.0, 0.0])
    lesson = lesson_of(torch.tensor([[[0.0, 0.0], [0.9, 0.1], [0.7, 0.3]], [[0.0, 0.0]] * 3]))
    weights = method.weights(lesson)
    torch.testing.assert_close(weights[0], torch.tensor([0.0, 0.5, 0.5]), atol=1e-4, rtol=0)
    torch.testing.assert_close(method.taught(lesson)[1], torch.tensor([0.5, 0.5]))


def test_one_source_gets_all_the_weight(task):
    made = task("kd_weighted")
    method = KDWeighted.build(replace(made, sources=made.sources[:1]))
    batch = batch_of(made, method)
    assert torch.equal(method.weights(method.lesson(batch)), torch.ones(len(batch.index), 1))
