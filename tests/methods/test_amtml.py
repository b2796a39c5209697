from dataclasses import replace

import numpy as np
import pytest
import torch

from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.fusion.bank import SourceOutputs
from hatlit.methods.amtml import AMTML, angle_loss
from hatlit.methods.distilling import Lesson
from hatlit.types import UNLABELLED


def build(task, sources=3, **changes):
    made = task("amtml", **changes)
    method = AMTML.build(replace(made, sources=made.sources[:sources])).double()
    method.direction.data = torch.linspace(-1, 1, len(method.direction), dtype=torch.float64)
    batch = next(iter(TargetDataModule(made.target.rows(method.view), 16, 0).train_dataloader()))
    return method, replace(batch, target=batch.target.double())


def angles(student, taught):
    """The angle loss triple by triple."""
    total = 0.0
    for i in range(len(student)):
        for j in range(len(student)):
            for k in range(len(student)):
                gap = abs(cosine(student, i, j, k) - cosine(taught, i, j, k))
                total += 0.5 * gap**2 if gap < 1 else gap - 0.5
    return total / len(student) ** 3


def cosine(points, i, j, k):
    one, other = points[j] - points[i], points[k] - points[i]
    length = np.linalg.norm(one) * np.linalg.norm(other)
    return one @ other / length if length else 0.0


def weights_by_formula(features, method, mass):
    centred = features - features.mean(-1, keepdims=True)
    z = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    theta, v = method.factors.detach().numpy(), method.direction.detach().numpy()
    odds = np.exp([[v @ (one * row) for one in theta] for row in z]) * mass
    return odds / odds.sum(-1, keepdims=True)


def test_weights_are_a_softmax_over_factors_times_features(task):
    method, _ = build(task)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(5, method.student.feature_dim))
    p = rng.dirichlet(np.ones(3), size=(5, 3)) * rng.random((5, 3, 1))
    lesson = Lesson(torch.tensor(features), torch.zeros(5, 3), SourceOutputs([], torch.tensor(p)), torch.zeros(5))
    expected = weights_by_formula(features, method, p.sum(-1))
    torch.testing.assert_close(method.weights(lesson).detach(), torch.tensor(expected))


def test_angle_loss_triple_by_triple():
    rng = np.random.default_rng(0)
    student, taught = rng.dirichlet(np.ones(4), size=(2, 6))
    found = angle_loss(torch.tensor(student), torch.tensor(taught))
    assert float(found) == pytest.approx(angles(student, taught))


def test_angle_loss_by_hand():
    """Two of the 27 triples have a right angle at the corner, and a straight line on the other side; four others turn
    from 45 degrees to none; the angle between a row and itself is the same."""
    corner = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    line = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    expected = (2 * 0.5 + 4 * 0.5 * (1 - 0.5**0.5) ** 2) / 27
    assert float(angle_loss(corner, line)) == pytest.approx(expected)
    assert float(angle_loss(corner, 0.5 * corner + 3)) == pytest.approx(0)


def test_angle_loss_of_rows_that_coincide_has_a_tame_gradient():
    student = torch.tensor([[0.2, 0.3, 0.5], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], requires_grad=True)
    angle_loss(student, torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])).backward()
    assert torch.isfinite(student.grad).all()
    assert 0 < student.grad.abs().max() < 1e4
    alone = torch.rand(1, 3, requires_grad=True)
    angle_loss(alone, torch.rand(1, 3)).backward()
    assert torch.equal(alone.grad, torch.zeros(1, 3))


@pytest.mark.parametrize("labels", ["some", "all", "none"])
def test_losses_are_those_of_the_formula(task, labels):
    method, batch = build(task, distillation__weight=2.0, distillation__hint_weight=0.3)
    if labels != "some":
        batch = replace(batch, label=torch.full_like(batch.label, 1 if labels == "all" else UNLABELLED))
    label, labelled = batch.label.clamp_min(0).numpy(), (batch.label != UNLABELLED).numpy()
    outputs = method.bank(batch.index)
    features, logits = method.student.both(batch.target)
    p, q, z = outputs.probabilities.numpy(), logits.softmax(-1).detach().numpy(), features.detach().numpy()
    fused = np.einsum("bn,bnk->bk", weights_by_formula(z, method, p.sum(-1)), p)
    project = method.hint.project
    projected = z @ project.weight.detach().numpy().T + project.bias.detach().numpy()
    hint = ((projected - np.concatenate([one.numpy() for one in outputs.features], -1)) ** 2).mean()

    def right(predictions):
        return -np.log(predictions[np.arange(len(label)), label])[labelled].sum() / max(labelled.sum(), 1)

    told = (fused * np.log(fused / q)).sum(-1).mean()
    losses = method.losses(batch)
    assert float(losses["weights"]) == pytest.approx(right(fused), abs=1e-5)
    assert float(losses["student"]) == pytest.approx(right(q) + 2.0 * (told + angles(q, fused)) + 0.3 * hint, abs=1e-4)


def test_factors_learn_from_labels_and_from_the_distillation(task):
    method, batch = build(task)
    for loss in ("weights", "student"):
        method.zero_grad()
        method.losses(batch)[loss].backward()
        assert method.factors.grad.abs().sum() > 0
        assert method.direction.grad.abs().sum() > 0
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in method.hint.parameters())


def test_a_class_that_every_source_rules_out_leaves_gradients_finite(task):
    method, batch = build(task)
    method.bank.get_buffer("probabilities")[:, :, 2] = 0
    torch.stack(list(method.losses(batch).values())).sum().backward()
    assert all(torch.isfinite(one.grad).all() for part in method.trained_parts().values() for one in part)


def test_one_source_gets_all_the_weight(task):
    method, batch = build(task, sources=1)
    assert torch.equal(method.weights(method.lesson(batch)), torch.ones(len(batch.label), 1, dtype=torch.float64))


def test_without_a_hint_nothing_is_left_untrained(task):
    method, batch = build(task, distillation__hint_weight=0.0)
    torch.stack(list(method.losses(batch).values())).sum().backward()
    assert method.hint is None
    assert all(one.grad is not None for part in method.trained_parts().values() for one in part)
