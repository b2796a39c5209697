from dataclasses import replace

import numpy as np
import pytest
import torch

from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.fusion.bank import SourceOutputs
from hatlit.methods.distilling import Lesson
from hatlit.methods.kd import KD
from hatlit.types import UNLABELLED


def build(task, **changes):
    made = task("kd", **changes)
    method = KD.build(made).double()
    batch = next(iter(TargetDataModule(made.target.rows(method.view), 16, 0).train_dataloader()))
    return method, replace(batch, target=batch.target.double())


def lesson_of(probabilities):
    rows, _, classes = probabilities.shape
    label = torch.full((rows,), UNLABELLED)
    return Lesson(torch.zeros(rows, 1), torch.zeros(rows, classes), SourceOutputs([], probabilities), label)


def softmax(logits):
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def test_what_is_taught_is_the_plain_mean_of_the_sources(task):
    method, _ = build(task)
    rng = np.random.default_rng(0)
    said = rng.dirichlet(np.ones(4), size=(5, 3))
    lesson = lesson_of(torch.tensor(said))
    torch.testing.assert_close(method.weights(lesson), torch.full((5, 3), 1 / 3, dtype=torch.float64))
    np.testing.assert_allclose(method.taught(lesson).numpy(), said.mean(1), rtol=1e-9)


def test_a_source_that_abstains_on_a_row_counts_less_on_it(task):
    method, _ = build(task)
    said = torch.tensor([[[0.6, 0.2], [0.1, 0.1]], [[0.0, 0.0], [0.9, 0.1]]], dtype=torch.float64)
    lesson = lesson_of(said)
    torch.testing.assert_close(method.weights(lesson)[0], torch.tensor([0.8, 0.2], dtype=torch.float64))
    torch.testing.assert_close(
        method.taught(lesson)[1], torch.tensor([0.9, 0.1], dtype=torch.float64), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("labels", ["some", "all", "none"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_losses_are_those_of_the_formula(task, labels, temperature):
    """Cross-entropy on the labels + 2.5 T² KL(softened mean of the sources ‖ softened student), over all rows."""
    method, batch = build(task, distillation__weight=2.5, distillation__temperature=temperature)
    if labels != "some":
        batch = replace(batch, label=torch.full_like(batch.label, 1 if labels == "all" else UNLABELLED))
    label, labelled = batch.label.clamp_min(0).numpy(), (batch.label != UNLABELLED).numpy()
    mean = method.bank(batch.index).probabilities.double().numpy().mean(1)
    logits = method.student(batch.target).detach().numpy()
    softened = mean ** (1 / temperature) / (mean ** (1 / temperature)).sum(-1, keepdims=True)
    told = temperature**2 * (softened * np.log(softened / softmax(logits / temperature))).sum(-1).mean()
    right = -np.log(softmax(logits)[np.arange(len(label)), label])[labelled].sum() / max(labelled.sum(), 1)
    losses = method.losses(batch)
    assert list(losses) == ["student"]
    assert float(losses["student"].detach()) == pytest.approx(right + 2.5 * told, abs=1e-5)


def test_the_student_alone_learns(task):
    method, batch = build(task)
    before = method.bank(batch.index).probabilities.clone()
    assert {id(one) for one in method.trained_parts()["student"]} == {id(one) for one in method.student.parameters()}
    method.losses(batch)["student"].backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in method.student.parameters())
    assert torch.equal(method.bank(batch.index).probabilities, before)


def test_a_student_that_says_what_the_sources_say_pays_for_labels_alone(task):
    method, batch = build(task)
    lesson = method.lesson(replace(batch, label=torch.full_like(batch.label, UNLABELLED)))
    taught = method.taught(lesson)
    told = method.divergence(lesson._replace(logits=taught.log()), taught)
    torch.testing.assert_close(told, torch.zeros_like(told), atol=1e-9, rtol=0)
