"""What holds for every method, whatever it does."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hatlit.datamodules.base import Domain
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.datamodules.target.data import TargetData
from hatlit.experiments.fitting import EpochCounter, LastCheckpoint, fit, make_trainer
from hatlit.methods.base import METHODS, StudentMethod, TransferMethod, TransferTask

NAMES = METHODS.names()


def trained(task: TransferTask) -> TransferMethod:
    method = METHODS.get(task.config.method).build(task)
    if any(method.trained_parts().values()):
        data = TargetDataModule(method.rows(task), 16, task.config.seed, augment=True)
        fit(method, data, make_trainer(task.config.trainer, [], []), task.config.seed, None)
    return method


@pytest.mark.parametrize("name", NAMES)
def test_trains_and_predicts_the_same_twice(task, name: str) -> None:
    made = task(name, trainer__max_epochs=1)
    first, second = trained(made), trained(made)
    rows = made.target.test_rows(first.view)
    predicted = first.predict(rows)
    assert predicted.shape == (len(rows), made.num_classes)
    assert torch.isfinite(predicted).all()
    torch.testing.assert_close(predicted.sum(-1), torch.ones(len(rows)), atol=1e-4, rtol=0)
    assert torch.equal(predicted, second.predict(rows))
    assert first.tunable is any(first.trained_parts().values())
    assert sum(parameter.numel() for model in first.models() for parameter in model.parameters()) > 0
    assert isinstance(first, StudentMethod) is (first.leaves != "ensemble")
    _, weights = first.explain(rows)
    assert len(first.weighed) == (0 if weights is None else weights.shape[1])


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_trained_parameter(task, name: str) -> None:
    made = task(name, trainer__max_epochs=1)
    method = trained(made)
    if not method.trained_parts():
        return
    data = TargetDataModule(method.rows(made), 16, made.config.seed).train_dataloader()
    reached: set[int] = set()
    for batch in data:
        method.zero_grad()
        losses = method.losses(batch)
        torch.stack(list(losses.values())).sum().backward()
        reached |= {id(one) for one in method.parameters() if one.grad is not None and one.grad.abs().sum() > 0}
    parts = method.trained_parts()
    assert losses.keys() == parts.keys()
    missed = [label for label, one in method.named_parameters() if one.requires_grad and id(one) not in reached]
    optimised = {id(one) for parameters in parts.values() for one in parameters}
    # A softmax does not care what is added to all its inputs: the bias of a key or query may stand still.
    assert not [label for label in missed if not label.endswith("bias")]
    assert all(id(one) in optimised for one in method.parameters() if id(one) in reached)


@pytest.mark.parametrize("name", [name for name in NAMES if not METHODS.get(name).is_oracle])
def test_neither_test_samples_nor_unlabelled_labels_reach_training(task, name: str) -> None:
    made = task(name, trainer__max_epochs=1)
    honest = trained(made)
    changed = trained(replace(made, target=with_other_secrets(made.target)))
    rows = made.target.test_rows(honest.view)
    assert torch.equal(honest.predict(rows), changed.predict(rows))


@pytest.mark.parametrize("name", ["dann", "fixmatch"])
def test_what_is_remembered_besides_weights_is_in_the_checkpoint(task, name: str, tmp_path: Path) -> None:
    """A run that is killed in its third epoch goes on as if nothing had been."""
    whole = trained(task(name, trainer__max_epochs=5))
    made, path = task(name, trainer__max_epochs=5), tmp_path / "last.ckpt"
    methods = [METHODS.get(name).build(made) for _ in range(2)]
    done: list[int] = []

    def killed() -> None:
        done.append(1)
        if len(done) == 3:
            raise KeyboardInterrupt

    for method, checkpoint, counter in zip(methods, (None, path), (killed, int), strict=True):
        data = TargetDataModule(method.rows(made), 16, made.config.seed, augment=True)
        trainer = make_trainer(made.config.trainer, [], [EpochCounter(counter), LastCheckpoint(path, 0, print)])
        with contextlib.suppress(KeyboardInterrupt):
            fit(method, data, trainer, made.config.seed, checkpoint)
    assert len(done) == 3
    expected, found = ({**dict(one.named_parameters()), **dict(one.named_buffers())} for one in (whole, methods[1]))
    assert [label for label, tensor in expected.items() if not torch.equal(tensor, found[label])] == []


def with_other_secrets(target: TargetData) -> TargetData:
    """The same target with other test samples, and other labels of all rows but the labelled few."""
    domain, split = target.domain, target.split
    samples, labels = domain.samples.copy(), domain.labels.copy()
    samples[split.test] = np.random.default_rng(1).normal(size=samples[split.test].shape)
    secret = np.setdiff1d(np.arange(len(domain)), split.labelled)
    labels[secret] = (labels[secret] + 1) % len(domain.class_names)
    forged = Domain(domain.name, samples, labels, domain.groups, domain.recorded, domain.class_names)
    return TargetData(forged, split)


@pytest.mark.parametrize("name", [name for name in NAMES if not METHODS.get(name).needs_labels])
def test_some_can_do_without_any_label(task, name: str) -> None:
    made = task(name, per_class=0, trainer__max_epochs=10)
    method = trained(made)
    rows = made.target.test_rows(method.view)
    right = (method.predict(rows).argmax(-1) == rows.label).float().mean()
    assert right > 0.5  # chance is a third
    if not METHODS.get(name).is_oracle:
        secret = trained(replace(made, target=with_other_secrets(made.target)))
        assert torch.equal(method.predict(rows), secret.predict(rows))
