"""The smallest and oddest targets, and float32 against float64."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from hatlit.config import TrainConfig, TrainerConfig
from hatlit.datamodules.base import Domain, DomainSet
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.prepare import choose_target
from hatlit.methods.base import SelectedSource, TransferMethod, TransferTask
from hatlit.methods.hat import HaT
from hatlit.types import Batch

Make = Callable[..., TransferTask]
Train = Callable[[TransferTask], TransferMethod]


def gradients(method: HaT, batch: Batch) -> dict[str, torch.Tensor]:
    method.zero_grad()
    torch.stack(list(method.losses(batch).values())).sum().backward()
    return {name: one.grad.double() for name, one in method.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("written", [False, True], ids=["no dictionary yet", "dictionary"])
def test_a_training_step_in_float32_is_that_in_float64(make_task: Make, written: bool) -> None:
    task = make_task()
    method = HaT.build(task).eval()
    rows = method.rows(task)
    index = torch.tensor([*torch.nonzero(rows.label >= 0).flatten().tolist(), *range(8), len(rows) - 1])
    if written:
        fused = torch.rand(rows.num_recorded, 3).softmax(-1)
        method.dictionary.write(0.9, fused)
        method.alpha.fill_(0.6)
    exact = copy.deepcopy(method).double()
    batches = [
        Batch(index, rows.source.to(dtype), rows.target[index].to(dtype), rows.label[index])
        for dtype in (torch.float32, torch.float64)
    ]
    single, double = (one.losses(batch) for one, batch in zip((method, exact), batches, strict=True))
    for part, loss in double.items():
        assert float(single[part]) == pytest.approx(float(loss), rel=1e-5)
    found, wanted = gradients(method, batches[0]), gradients(exact, batches[1])
    assert found.keys() == wanted.keys()
    scale = max(float(one.norm()) for one in wanted.values())
    for name, gradient in wanted.items():
        assert float((found[name] - gradient).norm()) < 1e-5 * scale, name


def is_sound(method: TransferMethod, task: TransferTask) -> bool:
    predicted = method.predict(task.target.test_rows(method.view))
    parameters = torch.cat([one.flatten() for one in method.parameters()])
    return bool(parameters.isfinite().all()) and torch.allclose(predicted.sum(1), torch.ones(len(predicted)))


@pytest.mark.parametrize("num_classes", [1, 2])
def test_few_classes(num_classes: int, make_task: Make, make_domain: Any, train: Train) -> None:
    domain = make_domain("target", 50, class_names=("slow", "fast", "still")[:num_classes])
    task = make_task(domain=domain)
    assert is_sound(train(task), task)


@pytest.mark.parametrize("prior", ["consensus", "uniform"])
def test_one_source(prior: str, make_task: Make, pool: dict[str, SelectedSource], train: Train) -> None:
    task = make_task(pool["ann"], hat__mixer__prior=prior)
    assert is_sound(train(task), task)


def test_batches_of_two_rows_and_a_last_one_of_one(make_task: Make, train: Train) -> None:
    task = make_task(trainer__batch_size=2, hat__injection__blends=0)
    assert is_sound(train(task), task)
    with pytest.raises(InputError, match="batch_size"):
        TrainerConfig(batch_size=1)


@pytest.mark.parametrize("per_class", [1, 10**6], ids=["one labelled row", "all labelled"])
def test_few_and_many_labels(per_class: int, make_task: Make, make_domain: Any, train: Train) -> None:
    names = ("slow",) if per_class == 1 else ("slow", "fast", "still")
    task = make_task(domain=make_domain("target", 50, class_names=names), per_class=per_class)
    labelled = len(task.target.split.labelled)
    assert labelled == (1 if per_class == 1 else len(task.target.split.train))
    assert is_sound(train(task), task)


def test_no_label_at_all_is_refused_in_one_sentence(make_domain: Any) -> None:
    domain: Domain = make_domain("target", 50)
    domain.labels[:] = -1
    data = DomainSet("people", "imu", (domain,), domain.class_names)
    with pytest.raises(
        InputError, match=r"^Target 'target' has no labelled sample; label at least one of each class, or let"
    ):
        choose_target(data, data, TrainConfig(), Display())


def test_samples_that_are_all_alike_leave_nothing_that_is_not_finite(
    make_task: Make, make_domain: Any, train: Train
) -> None:
    domain: Domain = make_domain("target", 50)
    domain.samples[:] = np.float32(9.81)
    task = make_task(domain=domain)
    assert is_sound(train(task), task)
