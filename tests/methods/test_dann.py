from dataclasses import replace

import numpy as np
import pytest
import torch

from hatlit.config import LabelsConfig
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.errors import InputError
from hatlit.experiments.fitting import fit, make_trainer
from hatlit.methods.dann import Dann, reverse, source_rows
from hatlit.types import UNLABELLED, Batch


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def expit(x):
    return 1 / (1 + np.exp(-x))


def batch_of(task, method):
    batch = next(iter(TargetDataModule(method.rows(task), 16, 0).train_dataloader()))
    return replace(batch, target=batch.target.to(next(method.parameters()).dtype))


def test_needs_the_recordings_of_the_sources(task):
    assert Dann.needs_source_data
    with pytest.raises(InputError, match="recordings of the sources' domains, and none were given"):
        Dann.build(replace(task("dann"), source_domains=()))


def test_source_rows_are_the_training_rows_in_the_targets_numbers(task):
    made = task("dann")
    domains = made.source_domains
    views, labels = source_rows([*domains, domains[0]], ("still", "new", "slow"), made.student_spec)
    train = [split_domain(domain, LabelsConfig(), 0).train for domain in domains]
    known = [np.isin(domain.labels[rows], (0, 2)) for domain, rows in zip(domains, train, strict=True)]
    assert len(views) == len(labels) == sum(mask.sum() for mask in known)
    first = np.where(domains[0].labels[train[0]][known[0]] == 2, 0, 2)
    assert labels[: len(first)].tolist() == first.tolist()


def test_domains_without_any_class_of_the_target_are_refused(task):
    made = task("dann")
    with pytest.raises(InputError, match="no training sample of swim, fly"):
        source_rows(made.source_domains, ("swim", "fly"), made.student_spec)


def test_reversal_keeps_values_and_turns_gradients_around():
    features = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    turned = reverse(features, 0.7)
    assert torch.equal(turned, features)
    turned.square().sum().backward()
    torch.testing.assert_close(features.grad, -0.7 * 2 * features.detach())


def test_strength_follows_the_papers_schedule(task):
    method = Dann.build(task("dann"))
    assert method.strength() == 0
    method._planned_batches = 40.0
    method.step.fill_(10)
    assert method.strength() == pytest.approx(2 * expit(10 * 0.25) - 1)
    method.step.fill_(400)
    assert method.strength() == pytest.approx(2 * expit(10.0) - 1)


def test_losses_are_those_of_the_formula(task):
    made = task("dann", trainer__augment=False)
    method = Dann.build(made).double().eval()
    batch = batch_of(made, method)
    with torch.no_grad():
        losses = method.losses(batch)
        views, labels = method.draw(len(batch.label))
        features, of_target = method.student.both(batch.target)
        of_sources_features, of_sources = method.student.both(views)
        scores = method.discriminator(torch.cat([features, of_sources_features])).squeeze(-1).numpy()
    known = np.flatnonzero(batch.label.numpy() != UNLABELLED)
    target_loss = -log_softmax(of_target.numpy())[known, batch.label.numpy()[known]].mean()
    source_loss = -log_softmax(of_sources.numpy())[np.arange(len(labels)), labels.numpy()].mean()
    np.testing.assert_allclose(float(losses["student"]), target_loss + source_loss, rtol=1e-10)
    right = np.where(np.arange(len(scores)) < len(batch.label), expit(scores), expit(-scores))
    np.testing.assert_allclose(float(losses["discriminator"]), -np.log(right).mean(), rtol=1e-10)


@pytest.mark.parametrize("step", [0, 5])
def test_the_discriminators_loss_reaches_the_student_backwards(task, step):
    made = task("dann", trainer__augment=False)
    method = Dann.build(made).double().eval()
    batch = batch_of(made, method)
    method._planned_batches = 10.0
    method.step.fill_(step)
    method.losses(batch)["discriminator"].backward()
    found = torch.cat([p.grad.flatten() for p in method.student.encoder.parameters()])
    method.zero_grad()
    views, _ = method.draw(len(batch.label))
    scores = method.discriminator(method.student.features(torch.cat([batch.target, views]))).squeeze(-1)
    signs = torch.where(torch.arange(len(scores)) < len(batch.label), -1.0, 1.0)
    torch.nn.functional.softplus(signs * scores).mean().backward()
    straight = torch.cat([p.grad.flatten() for p in method.student.encoder.parameters()])
    torch.testing.assert_close(found, -method.strength() * straight)
    assert straight.abs().sum() > 0


def test_what_is_drawn_depends_on_seed_and_step_alone(task):
    made = task("dann")
    first, second = Dann.build(made), Dann.build(made)
    other = Dann.build(task("dann", seed=1))
    drawn = first.draw(16)
    torch.rand(3)
    assert all(torch.equal(a, b) for a, b in zip(drawn, first.draw(16), strict=True))
    assert not torch.equal(drawn[0], other.draw(16)[0])
    first.step += 7
    assert not torch.equal(drawn[0], first.draw(16)[0])
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.draw(16)[0], second.draw(16)[0])


def test_training_counts_its_batches_up_to_full_strength(task):
    made = task("dann")
    method = Dann.build(made)
    data = TargetDataModule(method.rows(made), 16, 0)
    fit(method, data, make_trainer(made.config.trainer, [], []), 0, None)
    assert int(method.step) == 3 * len(data.train_dataloader())
    assert method.strength() == pytest.approx(2 * expit(10.0) - 1)


def test_one_source_and_no_unlabelled_row(task):
    made = task("dann")
    method = Dann.build(replace(made, sources=made.sources[:1], source_domains=made.source_domains[:1]))
    rows = method.rows(made)
    few = rows.labelled
    losses = method.losses(Batch(few, rows.source, rows.target[few], rows.label[few]))
    assert all(torch.isfinite(loss) for loss in losses.values())
