from dataclasses import replace

import numpy as np
import torch

from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.fusion.bank import SourceOutputs
from hatlit.methods.ebkd import EBKD, entropy_weights
from hatlit.types import UNLABELLED


def weights_of(probabilities):
    return entropy_weights(SourceOutputs([], torch.as_tensor(probabilities)))


def test_weights_are_inverse_entropies():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), size=(6, 3))
    entropy = -(p * np.log(p)).sum(-1)
    expected = (1 / entropy) / (1 / entropy).sum(-1, keepdims=True)
    torch.testing.assert_close(weights_of(p), torch.tensor(expected))


def test_weights_by_hand():
    """Entropies log 2 and log 4 are one to two."""
    found = weights_of([[[0.5, 0.5, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]]])
    torch.testing.assert_close(found, torch.tensor([[2 / 3, 1 / 3]]))


def test_certain_sources_share_what_there_is():
    found = weights_of([[[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]])
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0], [0.5, 0.5]]), atol=1e-5, rtol=0)


def test_entropy_is_that_over_the_targets_classes_and_abstaining_costs_weight():
    """The first source is as unsure as the second about the two classes, and gives them a quarter of its mass."""
    found = weights_of([[[0.125, 0.125], [0.5, 0.5]]])
    torch.testing.assert_close(found, torch.tensor([[0.2, 0.8]]))


def test_sources_that_all_abstain_count_alike():
    torch.testing.assert_close(weights_of(torch.zeros(2, 3, 4)), torch.full((2, 3), 1 / 3))


def test_one_source_gets_all_the_weight():
    assert torch.equal(weights_of([[[1.0, 0.0]], [[0.3, 0.7]]]), torch.ones(2, 1))


def test_the_student_learns_the_weighted_mean_with_and_without_labels(task):
    made = task("ebkd", distillation__weight=2.0)
    method = EBKD.build(made).double()
    batch = next(iter(TargetDataModule(made.target.rows(method.view), 16, 0).train_dataloader()))
    batch = replace(batch, target=batch.target.double())
    p = method.bank(batch.index).probabilities.numpy()
    weights = 1 / -(p * np.log(p)).sum(-1)
    fused = np.einsum("bn,bnk->bk", weights / weights.sum(-1, keepdims=True), p)
    q = method.student(batch.target).softmax(-1).detach().numpy()
    told = 2.0 * (fused * np.log(fused / q)).sum(-1).mean()
    for label in (torch.zeros_like(batch.label), torch.full_like(batch.label, UNLABELLED)):
        right = -np.log(q[:, 0]).mean() if int(label[0]) == 0 else 0.0
        found = method.losses(replace(batch, label=label))["student"]
        np.testing.assert_allclose(float(found), told + right, atol=1e-5)
    found.backward()
    assert all(parameter.grad is not None for parameter in method.student.parameters())
