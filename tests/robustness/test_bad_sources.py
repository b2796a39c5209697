"""Sources that are broken or useless are left out, or named."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from hatlit.errors import InputError
from hatlit.fusion.consensus import find_consensus
from hatlit.methods.base import SelectedSource, TransferMethod, TransferTask
from hatlit.types import UNLABELLED

Make = Callable[..., TransferTask]
Broken = Callable[[str, float], SelectedSource]


def loudness(task: TransferTask, source: SelectedSource) -> torch.Tensor:
    return task.target.view(source.model.input_spec).abs().amax((1, 2))


def test_a_source_that_is_not_finite_on_one_unlabelled_row_is_left_out_and_training_goes_on(
    make_task: Make,
    pool: dict[str, SelectedSource],
    broken: Broken,
    train: Callable[[TransferTask], TransferMethod],
    caplog: pytest.LogCaptureFixture,
) -> None:
    loud = loudness(make_task(), pool["bob"])
    loudest = int(loud.argmax())
    labelled = torch.nonzero(make_task().target.train_labels != UNLABELLED).flatten().tolist()
    assert loudest not in labelled
    task = make_task(pool["ann"], broken("bob", float(loud.sort().values[-2])), pool["cid"])
    with caplog.at_level(logging.WARNING):
        method = train(task)
    assert "Left out: source 'broken-bob' answers with numbers that are not finite" in caplog.text
    assert [name for name in method.weighed if not name.startswith("own-")] == ["ann", "cid"]
    assert method.suspicious()["broken-bob"] == "answers with numbers that are not finite or far too large"
    rows = task.target.test_rows(method.view)
    fused, weights = method.explain(rows)
    assert all(tensor.isfinite().all() for tensor in (method.predict(rows), fused, weights))


def test_where_every_source_is_broken_it_is_said_in_one_sentence(
    make_task: Make, broken: Broken, train: Callable[[TransferTask], TransferMethod]
) -> None:
    with pytest.raises(InputError, match=r"^Every source answers with numbers that are not finite"):
        train(make_task(broken("ann", 0.0), broken("bob", 0.0)))


def test_a_source_that_breaks_on_test_samples_alone_abstains_there(
    make_task: Make, pool: dict[str, SelectedSource], broken: Broken, train: Callable[[TransferTask], TransferMethod]
) -> None:
    loud = loudness(make_task(), pool["bob"])
    task = make_task(pool["ann"], broken("bob", 20 * float(loud.max())), hat__injection__blends=0)
    method = train(task)
    assert "broken-bob" in method.weighed
    rows = task.target.test_rows(method.view)
    rows.source[0] *= 1000
    outputs = method.bank.ask(rows.source, rows.target)
    assert outputs.probabilities.isfinite().all()
    assert outputs.known_mass[0, 1] == 0
    assert outputs.known_mass[1, 1] > 0


def constant(source: SelectedSource) -> SelectedSource:
    model = copy.deepcopy(source.model)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.tensor([9.0, 0.0, 0.0]))
    return replace(source, id="constant", model=model)


def test_useless_sources_are_named_and_good_ones_are_not(
    make_task: Make, pool: dict[str, SelectedSource], train: Callable[[TransferTask], TransferMethod]
) -> None:
    found = train(make_task(*pool.values(), constant(pool["ann"]))).suspicious()
    assert {"random", "constant"} <= set(found) <= {"random", "constant", "shuffled"}
    assert "hardly more often than chance" in found["constant"]
    assert not train(make_task()).suspicious()


def test_chance_is_zero_and_agreement_one_whatever_the_frequencies() -> None:
    truth = torch.tensor([0] * 80 + [1] * 20)
    right = torch.eye(2)[truth] * 0.98 + 0.01
    said = torch.stack([right, right, right, torch.tensor([0.99, 0.01]).expand(100, 2)], dim=1)
    consensus = find_consensus(said, torch.full((100,), UNLABELLED))
    known = torch.ones(4, 2, dtype=torch.bool)
    known[2, 1] = False
    ahead = consensus.better_than_chance(said, known)
    assert ahead.tolist() == pytest.approx([1, 1, 1, 0], abs=1e-6)
