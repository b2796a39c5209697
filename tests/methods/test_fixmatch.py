from dataclasses import replace

import numpy as np
import torch

from hatlit.datamodules.base import MODALITIES
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.methods.fixmatch import FixMatch, pseudo_losses
from hatlit.methods.labels_only import LabelsOnly
from hatlit.types import UNLABELLED, Batch


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def batch_of(task, method):
    batch = next(iter(TargetDataModule(method.rows(task), 16, 0).train_dataloader()))
    return replace(batch, target=batch.target.to(next(method.parameters()).dtype))


def confident(method):
    """Makes the student sure of about half of what it sees."""
    with torch.no_grad():
        method.student.head.weight.mul_(60)
    return method


def test_needs_no_sources():
    assert not FixMatch.needs_sources


def test_only_sure_rows_teach():
    weak = torch.tensor([[0.96, 0.04], [0.5, 0.5], [0.06, 0.94], [0.05, 0.95001]], dtype=torch.float64).log()
    strong = torch.tensor([[0.3, 0.7], [0.3, 0.7], [0.3, 0.7], [0.3, 0.7]], dtype=torch.float64).log()
    expected = [-np.log(0.3), 0, 0, -np.log(0.7)]
    np.testing.assert_allclose(pseudo_losses(weak, strong).numpy(), expected, atol=1e-12)


def test_losses_are_those_of_the_formula(task):
    made = task("fixmatch")
    method = confident(FixMatch.build(made)).double().eval()
    batch = batch_of(made, method)
    torch.manual_seed(3)
    with torch.no_grad():
        loss = float(method.losses(batch)["student"])
        torch.manual_seed(3)
        weak, strong = method.student(batch.target).numpy(), method.student(method.strengthen(batch.target)).numpy()
    label = batch.label.numpy()
    labelled, unlabelled = np.flatnonzero(label != UNLABELLED), np.flatnonzero(label == UNLABELLED)
    probability = np.exp(log_softmax(weak))[unlabelled]
    sure = probability.max(-1) >= 0.95
    taught = -log_softmax(strong)[unlabelled, probability.argmax(-1)]
    expected = -log_softmax(weak)[labelled, label[labelled]].mean() + (sure * taught).sum() / len(unlabelled)
    np.testing.assert_allclose(loss, expected, rtol=1e-9)
    assert 0 < sure.sum() < len(sure)


def test_pseudo_labels_are_constants():
    weak = torch.tensor([[5.0, 0.0]], requires_grad=True)
    strong = torch.tensor([[0.0, 0.0]], requires_grad=True)
    pseudo_losses(weak, strong).sum().backward()
    assert weak.grad is None or not weak.grad.any()
    torch.testing.assert_close(strong.grad, torch.tensor([[-0.5, 0.5]]))


def test_the_strong_view_is_changed_twice_by_one_generator(task):
    made = task("fixmatch")
    method = FixMatch.build(made)
    batch = batch_of(made, method)
    torch.manual_seed(3)
    strong = method.strengthen(batch.target)
    torch.manual_seed(3)
    generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
    augment = MODALITIES.get("imu").augment
    once = augment(batch.target, method.view, generator)
    assert torch.equal(strong, augment(once, method.view, generator))
    assert not torch.equal(strong, method.strengthen(batch.target))


def test_without_unlabelled_rows_the_labels_remain(task):
    made = task("fixmatch")
    method, plain = FixMatch.build(made).eval(), LabelsOnly.build(made).eval()
    rows = method.rows(made)
    few = rows.labelled
    batch = Batch(few, rows.source, rows.target[few], rows.label[few])
    torch.testing.assert_close(method.losses(batch)["student"], plain.losses(batch)["student"])
