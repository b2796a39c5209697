from dataclasses import replace

import numpy as np
import pytest
import torch

from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.experiments.fitting import fit, make_trainer
from hatlit.methods.best_source import SHARE_OF_LEARNING_RATE
from hatlit.methods.shot import PSEUDO_WEIGHT, Shot, entropy, nearest_centroid, uncertainty
from hatlit.types import UNLABELLED


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def batch_of(task, method):
    return next(iter(TargetDataModule(method.rows(task), 16, 0).train_dataloader()))


def test_uncertainty_is_mean_entropy_minus_entropy_of_the_mean():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    mask = np.array([True, True, False])
    counted = probabilities[mask]
    expected = -(counted * np.log(counted)).sum(-1).mean() + (counted.mean(0) * np.log(counted.mean(0))).sum()
    found = uncertainty(torch.from_numpy(probabilities), torch.from_numpy(mask))
    assert float(found) == pytest.approx(expected)


def test_uncertainty_is_least_where_rows_are_sure_and_classes_equal():
    everyone = torch.ones(3, dtype=torch.bool)
    assert float(uncertainty(torch.eye(3), everyone)) == pytest.approx(-np.log(3))
    assert float(uncertainty(torch.full((3, 3), 1 / 3), everyone)) == pytest.approx(0, abs=1e-6)


def test_entropy_of_certainty_has_a_gradient():
    sure = torch.tensor([1.0, 0.0], requires_grad=True)
    entropy(sure).backward()
    assert torch.isfinite(sure.grad).all()


def test_pseudo_labels_follow_the_clusters_and_not_the_single_prediction():
    angles = torch.tensor([0.0, 0.1, 0.2, 1.4, 1.5])
    features = torch.stack([angles.cos(), angles.sin()], dim=1) * torch.tensor([1.0, 5.0, 2.0, 1.0, 9.0]).unsqueeze(1)
    doubtful = torch.tensor([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.1, 0.9, 0.0], [0.1, 0.9, 0.0]])
    assert nearest_centroid(features, doubtful).tolist() == [0, 0, 0, 1, 1]


def test_a_class_that_nobody_is_taken_for_stays_empty():
    features = -torch.rand(6, 4)
    probabilities = torch.tensor([[1.0, 0.0]]).expand(6, 2)
    assert nearest_centroid(features, probabilities).tolist() == [0] * 6


def test_losses_are_those_of_the_formula(task):
    made = task("shot")
    method = Shot.build(made).eval()
    method.on_train_epoch_start()
    batch = batch_of(made, method)
    with torch.no_grad():
        loss, logits = method.losses(batch)["student"], method.student(batch.target)
    counts = batch.label.numpy() == UNLABELLED
    log_p = log_softmax(logits.double().numpy())[counts]
    mean = np.exp(log_p).mean(0)
    pseudo = method.pseudo_labels[batch.index].numpy()[counts]
    surprise = -log_p[np.arange(len(log_p)), pseudo].mean()
    spread = -(np.exp(log_p) * log_p).sum(-1).mean() + (mean * np.log(mean)).sum()
    np.testing.assert_allclose(float(loss), spread + PSEUDO_WEIGHT * surprise, rtol=1e-5)


def test_no_class_label_is_read(task):
    made = task("shot")
    method = Shot.build(made).eval()
    method.on_train_epoch_start()
    batch = batch_of(made, method)
    others = torch.where(batch.label == UNLABELLED, UNLABELLED, (batch.label + 1) % 3)
    assert torch.equal(method.losses(batch)["student"], method.losses(replace(batch, label=others))["student"])


def test_rows_count_as_rows_where_all_have_labels(task):
    made = task("shot")
    method = Shot.build(made).eval()
    method.on_train_epoch_start()
    batch = batch_of(made, method)
    without, with_labels = (replace(batch, label=torch.full_like(batch.label, value)) for value in (UNLABELLED, 1))
    assert torch.equal(method.losses(without)["student"], method.losses(with_labels)["student"])


def test_pseudo_labels_are_made_anew_each_epoch_and_alike_each_time(task):
    method = Shot.build(task("shot"))
    assert (method.pseudo_labels == UNLABELLED).all()
    method.on_train_epoch_start()
    first = method.pseudo_labels.clone()
    assert set(first.tolist()) <= {0, 1, 2}
    assert method.student.training
    method.on_train_epoch_start()
    assert torch.equal(method.pseudo_labels, first)


def test_training_moves_the_encoder_and_neither_the_head_nor_the_source(task):
    made = task("shot")
    method = Shot.build(made)
    before = {name: value.clone() for name, value in made.sources[0].model.state_dict().items()}
    head, encoder = method.student.head.weight.clone(), [p.clone() for p in method.student.encoder.parameters()]
    fit(method, TargetDataModule(method.rows(made), 16, 0), make_trainer(made.config.trainer, [], []), 0, None)
    assert torch.equal(method.student.head.weight, head)
    assert any(not torch.equal(p, q) for p, q in zip(method.student.encoder.parameters(), encoder, strict=True))
    assert all(torch.equal(value, made.sources[0].model.state_dict()[name]) for name, value in before.items())


def test_it_learns_gently_and_leaves_a_source(task):
    made = task("shot")
    method = Shot.build(made)
    rate = made.config.optimizer.learning_rate * SHARE_OF_LEARNING_RATE
    assert method.optimizer_settings("student")["lr"] == pytest.approx(rate)
    assert Shot.leaves == "source"


def test_batch_norm_takes_the_statistics_of_the_target(task):
    method = Shot.build(task("shot"))
    method.student.encoder.add_module("norm", torch.nn.BatchNorm1d(3))
    assert method.train().student.encoder.norm.training
    assert not method.eval().student.encoder.norm.training
