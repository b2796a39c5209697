from typing import ClassVar

import lightning as L
import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger
from torch import nn

from hatlit.config import LabelsConfig, OptimizerConfig
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.datamodules.target.data import TargetData
from hatlit.encoders.base import build_classifier
from hatlit.methods.base import METHODS, label_losses, mean_over_rows
from hatlit.methods.labels_only import LabelsOnly
from hatlit.zoo.fit import quiet_lightning


def run(task, method=None, **trainer_options):
    method = method or METHODS.get(task.config.method).build(task)
    rows = task.target.rows(method.student.input_spec)
    data = TargetDataModule(rows, task.config.trainer.batch_size, task.config.seed)
    with quiet_lightning():
        trainer = L.Trainer(
            max_epochs=task.config.trainer.max_epochs,
            accelerator="cpu",
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            **{"logger": False, **trainer_options},
        )
        torch.manual_seed(task.config.seed)
        trainer.fit(method, data)
    return method, trainer


def weights(method):
    return torch.cat([parameter.detach().flatten() for parameter in method.student.parameters()])


def test_label_losses_count_labelled_rows_only():
    logits = torch.tensor([[0.0, 0.0], [5.0, -5.0]])
    values, mask = label_losses(logits, torch.tensor([1, -1]))
    assert mask.tolist() == [True, False]
    assert float(mean_over_rows(values, mask)) == pytest.approx(torch.log(torch.tensor(2.0)).item())


def test_mean_over_no_rows_is_a_zero_that_can_go_backward():
    values = torch.ones(3, requires_grad=True)
    loss = mean_over_rows(values, torch.zeros(3, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0
    assert values.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("processes", [1, 2])
def test_without_a_mask_every_row_counts(monkeypatch, processes):
    values = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    if processes == 2:  # the other one has a single row
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
        monkeypatch.setattr(torch.distributed, "all_reduce", lambda count: count.add_(1))
    mean = mean_over_rows(values)
    mean.backward()
    rows = 3 if processes == 1 else 4
    assert float(mean.detach()) == pytest.approx(processes * 9.0 / rows)
    assert values.grad.tolist() == pytest.approx([processes / rows] * 3)
    assert mean_over_rows(values, torch.ones(3, dtype=torch.bool)).item() == pytest.approx(mean.item())


def test_two_processes_average_their_gradients_to_that_of_all_rows(monkeypatch):
    """One process has three labelled rows, the other has one; the mean of their means would be another number."""
    rows = torch.tensor([[1.0, 2.0, 3.0, 9.0], [0.5, 0.0, 0.0, 0.0]], dtype=torch.float64)
    masks = torch.tensor([[True, True, True, False], [True, False, False, False]])
    weight = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    mean_over_rows((weight * rows.flatten()).square(), masks.flatten()).backward()
    alone, weight.grad = weight.grad, None
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda count: count.fill_(int(masks.sum())))
    losses = [mean_over_rows((weight * own).square(), mask) for own, mask in zip(rows, masks, strict=True)]
    torch.stack(losses).mean().backward()  # what DDP does with gradients
    torch.testing.assert_close(weight.grad, alone)


def test_global_step_counts_every_optimizer(task):
    _, alone = run(task("labels_only"))
    _, pair = run(task("hat"))
    assert alone.global_step > 0
    assert pair.global_step == 2 * alone.global_step


def test_same_seed_gives_every_method_the_same_first_student(task):
    first, second = (METHODS.get(name).build(task(name)) for name in ("labels_only", "hat"))
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(LabelsOnly.build(task("labels_only", seed=1))))


def test_accumulated_gradients_equal_one_large_batch(task):
    """A batch seen twice, its gradients added up and halved, moves the student exactly as seen once."""
    settings = {"optimizer__schedule": "constant", "trainer__max_epochs": 1}
    whole = task("labels_only", trainer__batch_size=64, **settings)
    rows = whole.target.rows(whole.student_spec)
    reference, _ = run(whole)
    parts = task("labels_only", optimizer__accumulate=2, **settings)
    method = LabelsOnly.build(parts)
    batch = next(iter(TargetDataModule(rows, 64, 0).train_dataloader()))
    with quiet_lightning():
        trainer = L.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
        )
        trainer.fit(method, torch.utils.data.DataLoader([batch, batch], batch_size=None))
    assert trainer.global_step == 1
    assert torch.allclose(weights(method), weights(reference), atol=1e-6)


def test_leftover_batches_of_an_epoch_are_stepped(task):
    _, trainer = run(task("labels_only", optimizer__accumulate=1000))
    assert trainer.global_step == 3


def test_clipping_bounds_the_step(task):
    options = {"trainer__max_epochs": 1, "optimizer__schedule": "constant"}
    seen = []

    class Watched(LabelsOnly):
        def on_before_optimizer_step(self, optimizer):
            norms = [p.grad.norm() for p in self.student.parameters() if p.grad is not None]
            seen.append(float(torch.stack(norms).norm()))

    made = task("labels_only", optimizer__clip_norm=0.01, **options)
    for precision in ("32-true", "bf16-mixed"):
        run(made, Watched.build(made), precision=precision)
        assert seen
        assert max(seen) <= 0.01 + 1e-6
        seen.clear()


def test_an_epoch_is_one_row_in_every_log(task):
    class Notes(DummyLogger):
        rows: ClassVar[list] = []

        def log_metrics(self, metrics, step):
            self.rows.append((step, metrics))

    class Steady(LabelsOnly):
        def losses(self, batch):
            return {"student": super().losses(batch)["student"] * 0 + self.trainer.global_step}

        def after_epoch(self):
            return {"found": 0.5}

    made = task("labels_only")
    run(made, Steady.build(made), logger=[Notes(), Notes()])
    expected = [(5 * n, {"loss/student": 5.0 * n - 3, "found": 0.5, "epoch": n - 1.0}) for n in (1, 2, 3)]
    assert Notes.rows == [row for row in expected for _ in range(2)]


def test_cosine_schedule_ends_at_zero_and_constant_stays(task):
    for schedule, last in (("cosine", 0.0), ("constant", 2e-3)):
        _, trainer = run(task("hat", optimizer__schedule=schedule))
        assert trainer.optimizers[1].param_groups[0]["lr"] == pytest.approx(last, abs=1e-9)


def test_same_seed_same_student_twice(task):
    assert torch.equal(weights(run(task("hat"))[0]), weights(run(task("hat"))[0]))


def test_predictions_are_made_in_eval_mode_and_in_order(make_domain):
    domain = make_domain("ann", 0, rows=600)
    target = TargetData(domain, split_domain(domain, LabelsConfig(), seed=0, test_share=0.9))
    student = build_classifier("cnn_nano", target.spec, 3)
    student.encoder = nn.Sequential(student.encoder, nn.Dropout(0.5))
    student.encoder.feature_dim, student.encoder.input_spec = student.encoder[0].feature_dim, target.spec
    rows = target.test_rows(target.spec)
    assert len(rows) > 512, "more than one pass"
    method = LabelsOnly(student.train(), OptimizerConfig())
    predicted = method.predict(rows)
    student.train()
    assert torch.equal(predicted, method.predict(rows))
    with torch.no_grad():
        assert torch.allclose(predicted, student.eval()(rows.target).softmax(-1), atol=1e-6)
