from dataclasses import replace

import numpy as np
import pytest
import torch

from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.methods.fitnet import FitNet
from hatlit.types import UNLABELLED


def build(task, **changes):
    made = task("fitnet", **changes)
    method = FitNet.build(made).double()
    batch = next(iter(TargetDataModule(made.target.rows(method.view), 16, 0).train_dataloader()))
    return method, replace(batch, target=batch.target.double())


@pytest.mark.parametrize("labels", ["some", "all", "none"])
def test_loss_is_labels_plus_distillation_plus_hint(task, labels):
    method, batch = build(task, distillation__weight=2.0, distillation__hint_weight=0.3)
    if labels != "some":
        batch = replace(batch, label=torch.full_like(batch.label, 1 if labels == "all" else UNLABELLED))
    outputs = method.bank(batch.index)
    p, z = outputs.probabilities[:, 0].numpy(), outputs.features[0].numpy()
    features, logits = method.student.both(batch.target)
    q = logits.softmax(-1).detach().numpy()
    projected = features.detach().numpy() @ method.hint.project.weight.detach().numpy().T
    projected = projected + method.hint.project.bias.detach().numpy()
    labelled = (batch.label != UNLABELLED).numpy()
    right = -np.log(q[np.arange(len(q)), batch.label.clamp_min(0)])[labelled].sum() / max(labelled.sum(), 1)
    expected = right + 2.0 * (p * np.log(p / q)).sum(-1).mean() + 0.3 * ((projected - z) ** 2).mean()
    assert float(method.losses(batch)["student"]) == pytest.approx(expected, abs=1e-5)


def test_only_the_best_source_teaches(task):
    method, batch = build(task)
    alone = FitNet.build(replace(task("fitnet"), sources=task("fitnet").sources[:1])).double()
    alone.load_state_dict(method.state_dict())
    torch.testing.assert_close(method.losses(batch)["student"], alone.losses(batch)["student"])
    weights = method.weights(method.lesson(batch))
    assert torch.equal(weights, torch.tensor([1.0, 0.0, 0.0]).expand_as(weights).to(weights))
    assert method.hint.project.out_features == method.bank.feature_dims[0]


def test_gradient_reaches_student_and_hint(task):
    method, batch = build(task)
    method.losses(batch)["student"].backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in method.hint.parameters())
    assert all(one.grad is not None for one in method.student.parameters())


def test_without_a_hint_nothing_is_left_untrained(task):
    method, batch = build(task, distillation__hint_weight=0.0)
    method.losses(batch)["student"].backward()
    assert method.hint is None
    assert all(one.grad is not None for one in method.trained_parts()["student"])
