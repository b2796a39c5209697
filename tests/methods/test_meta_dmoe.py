from dataclasses import replace

import numpy as np
import torch

from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.methods.meta_dmoe import WIDTH, Aggregator, MetaDMoE
from hatlit.types import UNLABELLED, Batch


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def batch_of(task, method):
    batch = next(iter(TargetDataModule(method.rows(task), 16, 0).train_dataloader()))
    return replace(batch, target=batch.target.to(next(method.parameters()).dtype))


def test_losses_are_those_of_the_formula(task):
    options = {"distillation__weight": 3.0, "distillation__temperature": 2.0, "distillation__hint_weight": 0.5}
    made = task("meta_dmoe", **options)
    method = MetaDMoE.build(made).double().eval()
    batch = batch_of(made, method)
    with torch.no_grad():
        losses = method.losses(batch)
        lesson = method.lesson(batch)
        aggregate, merged = method.aggregator(lesson.outputs.features)
        mapped = method.hint.project(lesson.features).numpy()
    student, merged = lesson.logits.numpy(), merged.numpy()
    labelled = np.flatnonzero(batch.label.numpy() != UNLABELLED)
    known = batch.label.numpy()[labelled]
    soft_student, soft_merged = log_softmax(student / 2), log_softmax(merged / 2)
    told = 4 * (np.exp(soft_merged) * (soft_merged - soft_student)).sum(-1).mean()
    apart = np.square(mapped - aggregate.numpy()).mean()
    expected = -log_softmax(student)[labelled, known].mean() + 3 * told + 0.5 * apart
    np.testing.assert_allclose(float(losses["student"]), expected, rtol=1e-10)
    np.testing.assert_allclose(float(losses["aggregator"]), -log_softmax(merged)[labelled, known].mean(), rtol=1e-10)


def test_each_part_is_moved_by_its_own_loss_alone(task):
    made = task("meta_dmoe")
    method = MetaDMoE.build(made)
    batch = batch_of(made, method)
    parts = method.trained_parts()
    for part, other in (("aggregator", "student"), ("student", "aggregator")):
        method.zero_grad()
        method.losses(batch)[part].backward()
        assert all(parameter.grad is not None for parameter in parts[part])
        assert all(parameter.grad is None for parameter in parts[other])


def test_the_order_of_tokens_does_not_matter():
    torch.manual_seed(0)
    aggregator = Aggregator([4, 4], num_classes=3)
    aggregator.project[1].load_state_dict(aggregator.project[0].state_dict())
    first, second = torch.randn(5, 4), torch.randn(5, 4)
    one, _ = aggregator([first, second])
    other, _ = aggregator([second, first])
    assert one.shape == (5, WIDTH)
    torch.testing.assert_close(one, other)


def test_without_hint_there_is_no_map_to_train(task):
    method = MetaDMoE.build(task("meta_dmoe", distillation__hint_weight=0.0))
    assert method.hint is None
    assert len(method.trained_parts()["student"]) == len(list(method.student.parameters()))


def test_one_source_and_no_unlabelled_row(task):
    made = task("meta_dmoe")
    made = replace(made, sources=made.sources[:1])
    method = MetaDMoE.build(made)
    rows = method.rows(made)
    few = rows.labelled
    losses = method.losses(Batch(few, rows.source, rows.target[few], rows.label[few]))
    assert all(torch.isfinite(loss) for loss in losses.values())
