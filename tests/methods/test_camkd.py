from dataclasses import replace

import numpy as np
import pytest
import torch

from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.methods.camkd import CAMKD, confidence_weights
from hatlit.types import UNLABELLED


def build(task, sources=3, **changes):
    made = task("camkd", **changes)
    method = CAMKD.build(replace(made, sources=made.sources[:sources])).double()
    batch = next(iter(TargetDataModule(made.target.rows(method.view), 16, 0).train_dataloader()))
    return method, replace(batch, target=batch.target.double())


def formula(at_label):
    """Weights by the paper's equation, from each source's probability of the label (B, N)."""
    expense = np.exp(-np.log(at_label))
    return (1 - expense / expense.sum(-1, keepdims=True)) / (at_label.shape[1] - 1)


def softmax(logits):
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def test_weights_are_those_of_the_paper():
    rng = np.random.default_rng(0)
    p, label = rng.dirichlet(np.ones(4), size=(6, 3)), np.array([0, 3, UNLABELLED, 1, 1, UNLABELLED])
    otherwise = rng.dirichlet(np.ones(3), size=6)
    expected = formula(p[np.arange(6), :, label])
    expected[label == UNLABELLED] = otherwise[label == UNLABELLED]
    found = confidence_weights(torch.tensor(p), torch.tensor(label), torch.tensor(otherwise))
    torch.testing.assert_close(found, torch.tensor(expected))
    torch.testing.assert_close(found.sum(-1), torch.ones(6, dtype=torch.float64))


def test_weights_by_hand():
    """exp(CE) is 1 / p: with p of 1/2, 1/4, 1/4 the shares are 2, 4, 4 of 10, and the weights (0.8, 0.6, 0.6) / 2."""
    p = torch.tensor([[[0.5, 0.5], [0.25, 0.75], [0.25, 0.75]]])
    found = confidence_weights(p, torch.tensor([0]), torch.zeros(1, 3))
    torch.testing.assert_close(found, torch.tensor([[0.4, 0.3, 0.3]]))


def test_a_source_that_does_not_know_the_class_has_hardly_any_weight():
    p = torch.tensor([[[0.0, 0.2], [0.6, 0.4]], [[0.0, 1.0], [0.0, 1.0]]])
    found = confidence_weights(p, torch.tensor([0, 0]), torch.full((2, 2), 0.5))
    torch.testing.assert_close(found, torch.tensor([[0.0, 1.0], [0.5, 0.5]]), atol=1e-5, rtol=0)


def test_one_source_divides_by_nothing(task):
    method, batch = build(task, sources=1)
    lesson = method.lesson(replace(batch, label=torch.zeros_like(batch.label)))
    assert torch.equal(method.weights(lesson), torch.ones(len(batch.label), 1))
    assert all(torch.isfinite(loss) for loss in method.losses(batch).values())


@pytest.mark.parametrize("labels", ["some", "all", "none"])
def test_loss_is_labels_plus_distillation_plus_hint(task, labels):
    method, batch = build(task, distillation__weight=2.0, distillation__hint_weight=0.3)
    if labels != "some":
        batch = replace(batch, label=torch.full_like(batch.label, 1 if labels == "all" else UNLABELLED))
    label, labelled = batch.label.clamp_min(0).numpy(), (batch.label != UNLABELLED).numpy()
    rows = np.arange(len(label))
    outputs = method.bank(batch.index)
    p = outputs.probabilities.numpy()
    features, logits = (one.detach().numpy() for one in method.student.both(batch.target))
    q = softmax(logits)

    def weights(predictions):
        return np.where(labelled[:, None], formula(predictions[rows, :, label]), 1 / 3)

    fused = np.einsum("bn,bnk->bk", weights(p), p)
    answers, missed = [], []
    for number, (project, z, source) in enumerate(
        zip(method.hint.project, outputs.features, method.bank.sources, strict=True)
    ):
        projected = features @ project.weight.detach().numpy().T + project.bias.detach().numpy()
        missed.append(((projected - z.numpy()) ** 2).mean(-1))
        raw = projected * getattr(method.bank, f"std_{number}").numpy() + getattr(method.bank, f"mean_{number}").numpy()
        answers.append(softmax(raw @ source.head.weight.double().numpy().T + source.head.bias.double().numpy()))
    hint = (weights(np.stack(answers, 1)) * np.stack(missed, 1)).sum(-1).mean()
    right = -np.log(q[rows, label])[labelled].sum() / max(labelled.sum(), 1)
    expected = right + 2.0 * (fused * np.log(fused / q)).sum(-1).mean() + 0.3 * hint
    assert float(method.losses(batch)["student"]) == pytest.approx(expected, abs=1e-5)


def test_the_kept_heads_answer_as_the_sources_do(task):
    """On a source's own features its kept head says what the source says of the target's classes."""
    method, batch = build(task)
    outputs = method.bank(batch.index)
    for number, features in enumerate(outputs.features):
        kept = method.hint._head(number, features).softmax(-1)
        torch.testing.assert_close(kept, outputs.probabilities[:, number], atol=1e-5, rtol=0)
    assert not [name for name in method.hint.state_dict() if not name.startswith("project")]


def test_gradient_reaches_every_map_and_no_source(task):
    method, batch = build(task)
    method.losses(batch)["student"].backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in method.hint.parameters())
    assert all(one.grad is not None for one in method.student.parameters())
    assert all(one.grad is None for source in method.bank.sources for one in source.parameters())


def test_the_weights_of_the_hint_are_constants(task):
    method, batch = build(task)
    lesson = method.lesson(replace(batch, label=torch.zeros_like(batch.label)))
    projected = [project(lesson.features) for project in method.hint.project]
    assert not method.hint.weights(projected, lesson).requires_grad
    assert all(one.requires_grad for one in projected)


def test_without_a_hint_nothing_is_left_untrained(task):
    method, batch = build(task, distillation__hint_weight=0.0)
    method.losses(batch)["student"].backward()
    assert method.hint is None
    assert all(one.grad is not None for one in method.trained_parts()["student"])
