from dataclasses import replace

import numpy as np
import pytest
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
    believed = torch.tensor([[0.96, 0.04], [0.5, 0.5], [0.06, 0.94], [0.04999, 0.95001]], dtype=torch.float64)
    strong = torch.tensor([[0.3, 0.7], [0.3, 0.7], [0.3, 0.7], [0.3, 0.7]], dtype=torch.float64).log()
    expected = [-np.log(0.3), 0, 0, -np.log(0.7)]
    np.testing.assert_allclose(pseudo_losses(believed, strong).numpy(), expected, atol=1e-12)


def build(task, wanted, **changes):
    """A method that wants other shares than the labels have."""
    made = task("fixmatch", **changes)
    return FixMatch(made.new_student(), made.config.optimizer, torch.tensor(wanted, dtype=torch.float64)).double()


def test_alignment_by_hand(task):
    """The mean over the two masked rows is (.7, .2, .1), and the memory goes a tenth of the way to it."""
    method = build(task, [0.5, 0.25, 0.25])
    said = torch.tensor([[0.8, 0.1, 0.1], [0.0, 0.0, 1.0], [0.6, 0.3, 0.1]], dtype=torch.float64)
    found = method.aligned(said, torch.tensor([True, False, True]))
    np.testing.assert_allclose(method.seen.numpy(), [0.52, 0.245, 0.235], rtol=1e-12)
    first = np.array([0.8 * 0.5 / 0.52, 0.1 * 0.25 / 0.245, 0.1 * 0.25 / 0.235])
    third = np.array([0.6 * 0.5 / 0.52, 0.3 * 0.25 / 0.245, 0.1 * 0.25 / 0.235])
    expected = [first / first.sum(), [0, 0, 1], third / third.sum()]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    method.aligned(said, torch.tensor([False, True, False]))
    np.testing.assert_allclose(method.seen.numpy(), [0.468, 0.2205, 0.3115], rtol=1e-12)


def test_a_class_that_is_said_too_often_is_pushed_down(task):
    method = build(task, [1 / 3] * 3)
    said = torch.tensor([[0.96, 0.02, 0.02]], dtype=torch.float64).expand(8, 3)
    every = torch.ones(8, dtype=torch.bool)
    strong = torch.zeros(8, 3, dtype=torch.float64)
    believed = [method.aligned(said, every) for _ in range(40)]
    course = [float(one[0, 0]) for one in believed]
    assert course == sorted(course, reverse=True)
    assert course[-1] < 0.4
    assert not pseudo_losses(believed[-1], strong).any(), "what every row is taken for teaches nothing"
    assert pseudo_losses(said, strong).all()


def test_a_class_that_is_never_said_is_not_pushed_up_without_end(task):
    method = build(task, [0.5, 0.25, 0.25])
    said = torch.tensor([[1 - 2e-7, 1e-7, 1e-7]], dtype=torch.float64)
    for _ in range(300):
        found = method.aligned(said, torch.tensor([True]))
    np.testing.assert_allclose(found[0, 1].item(), 1e-7 * 250 / (0.5 + 5e-5), rtol=1e-3)


def test_without_unlabelled_rows_nothing_is_remembered(task):
    method = build(task, [0.5, 0.25, 0.25])
    said = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(method.aligned(said, torch.tensor([False])), said)
    assert torch.equal(method.seen, method.wanted)


@pytest.mark.parametrize("labels", ["few", "none"])
def test_the_wanted_shares_are_those_of_the_labelled_few(task, labels):
    made = task("fixmatch")
    known = made.target.train_labels
    known[known == 0] = UNLABELLED
    if labels == "none":
        known.fill_(UNLABELLED)
    expected = [0, 0.5, 0.5] if labels == "few" else [1 / 3] * 3
    method = FixMatch.build(made)
    torch.testing.assert_close(method.wanted, torch.tensor(expected))
    torch.testing.assert_close(method.seen, torch.tensor(expected))


def test_checkpoints_hold_what_was_seen(task):
    made = task("fixmatch")
    method, other = FixMatch.build(made), FixMatch.build(made)
    method.losses(batch_of(made, method))
    assert not torch.equal(method.seen, other.seen)
    other.load_state_dict(method.state_dict())
    assert torch.equal(method.seen, other.seen)


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
    said = np.exp(log_softmax(weak))[unlabelled]
    seen = 0.9 / 3 + 0.1 * said.mean(0)
    probability = said / 3 / seen
    probability /= probability.sum(-1, keepdims=True)
    sure = probability.max(-1) >= 0.95
    taught = -log_softmax(strong)[unlabelled, probability.argmax(-1)]
    expected = -log_softmax(weak)[labelled, label[labelled]].mean() + (sure * taught).sum() / len(unlabelled)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)  # the shares of the labels are of single precision
    assert 0 < sure.sum() < len(sure)


def test_pseudo_labels_are_constants():
    weak = torch.tensor([[5.0, 0.0]], requires_grad=True)
    strong = torch.tensor([[0.0, 0.0]], requires_grad=True)
    pseudo_losses(weak.softmax(-1), strong).sum().backward()
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
