from dataclasses import replace

import numpy as np
import pytest
import torch

from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.fusion.mixer import fuse
from hatlit.methods.kd import KD
from hatlit.methods.mst_distill import BALANCE, MSTDistill, imbalance, keep_largest, task_loss
from hatlit.types import UNLABELLED, Batch


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def batch_of(task, method):
    batch = next(iter(TargetDataModule(method.rows(task), 16, 0).train_dataloader()))
    return replace(batch, target=batch.target.to(next(method.parameters()).dtype))


def test_the_largest_are_kept_and_add_up_to_one():
    gate = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    expected = torch.tensor([[0.625, 0.375, 0.0], [0.0, 2 / 3, 1 / 3]])
    torch.testing.assert_close(keep_largest(gate, 2), expected)
    torch.testing.assert_close(keep_largest(gate, 5), gate)


def test_imbalance_is_the_divergence_from_equal_shares():
    gate = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.4, 0.4]], dtype=torch.float64)
    shares = np.array([0.5, 0.25, 0.25])
    assert float(imbalance(gate)) == pytest.approx(np.sum(1 / 3 * np.log(1 / 3 / shares)))
    assert float(imbalance(torch.eye(3))) == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(imbalance(torch.tensor([[1.0, 0.0]])))


def test_the_task_alone_moves_the_router(task):
    made = task("mst_distill")
    method = MSTDistill.build(made)
    batch = batch_of(made, method)
    lesson = method.lesson(batch)
    task_loss(fuse(method.weights(lesson), lesson.outputs.probabilities), batch.label).backward()
    assert float(method.router.weight.grad.abs().sum()) > 0
    assert float(method.router.bias.grad.abs().sum()) > 0
    assert all(parameter.grad is None for parameter in method.student.parameters())


def test_the_students_loss_does_not_move_the_router(task):
    made = task("mst_distill")
    method = MSTDistill.build(made)
    method.losses(batch_of(made, method))["student"].backward()
    assert method.router.weight.grad is None


def test_losses_are_those_of_the_formula(task):
    made = task("mst_distill", distillation__weight=3.0, distillation__temperature=2.0)
    method = MSTDistill.build(made).double().eval()
    batch = batch_of(made, method)
    with torch.no_grad():
        losses = method.losses(batch)
        lesson = method.lesson(batch)
    features, said = lesson.features.numpy(), lesson.outputs.probabilities.numpy()
    spread = np.sqrt(features.var(-1, keepdims=True) + 1e-5)
    scores = (features - features.mean(-1, keepdims=True)) / spread @ method.router.weight.detach().numpy().T
    scores = scores + method.router.bias.detach().numpy()
    gate = np.exp(log_softmax(scores + np.log(said.sum(-1))))
    weights = np.where(gate >= np.sort(gate, -1)[:, [-2]], gate, 0)
    weights /= weights.sum(-1, keepdims=True)
    fused = np.einsum("bn,bnk->bk", weights, said / said.sum(-1, keepdims=True))
    labelled = np.flatnonzero(batch.label.numpy() != UNLABELLED)
    known = batch.label.numpy()[labelled]
    right = -np.log(fused[labelled, known]).mean()
    balance = -np.log(3 * gate.mean(0)).mean()
    np.testing.assert_allclose(float(losses["router"]), right + BALANCE * balance, rtol=1e-8)
    taught, student = log_softmax(np.log(fused) / 2), log_softmax(lesson.logits.numpy() / 2)
    told = 4 * (np.exp(taught) * (taught - student)).sum(-1).mean()
    labels = -log_softmax(lesson.logits.numpy())[labelled, known].mean()
    np.testing.assert_allclose(float(losses["student"]), labels + 3 * told, rtol=1e-8)


def test_with_one_source_it_is_plain_distillation(task):
    made = task("mst_distill")
    made = replace(made, sources=made.sources[:1])
    method, plain = MSTDistill.build(made), KD.build(made)
    batch = batch_of(made, method)
    assert torch.equal(method.weights(method.lesson(batch)), torch.ones(len(batch.label), 1))
    torch.testing.assert_close(method.losses(batch)["student"], plain.losses(batch)["student"])


def test_no_unlabelled_row(task):
    made = task("mst_distill")
    method = MSTDistill.build(made)
    rows = method.rows(made)
    few = rows.labelled
    losses = method.losses(Batch(few, rows.source, rows.target[few], rows.label[few]))
    assert all(torch.isfinite(loss) for loss in losses.values())
