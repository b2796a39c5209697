"""Targets that are trained together come to what each comes to alone."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from hatlit.config import LabelsConfig, TrainConfig, TrainerConfig
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.datamodules.target.data import TargetData
from hatlit.encoders.base import build_classifier
from hatlit.errors import InputError
from hatlit.experiments.batched import fit_together
from hatlit.experiments.fitting import fit, make_trainer
from hatlit.methods.base import METHODS, SelectedSource, TransferTask
from hatlit.options import parse

EPOCHS = TrainerConfig(max_epochs=2, accelerator="cpu")


@pytest.fixture
def task(make_domain, tmp_path, monkeypatch):
    """Returns a function that makes a task from a number; the targets are other people with other labels."""
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path))

    def make(number, method="hat", rows=60, student="cnn_nano", **options):
        domain = make_domain(f"person-{number}", seed=number, rows=rows)
        target = TargetData(domain, split_domain(domain, LabelsConfig(), seed=number))
        words = [word for name, value in options.items() for word in (f"--{name.replace('__', '.')}", str(value))]
        config = parse(TrainConfig, "train", "", ["--method", method, *words])
        config = replace(config, seed=number, student=student)
        config.adapt.steps, config.hat.experts.steps = 0, 2
        torch.manual_seed(0)
        models = [build_classifier(encoder, target.spec, 3).eval() for encoder in ("cnn_nano", "tcn_nano")]
        sources = [SelectedSource(str(place), "", model, domain.class_names) for place, model in enumerate(models)]
        return TransferTask(target, target.spec, sources, config)

    return make


def runs(tasks):
    """Untrained methods and their batches."""
    methods = [METHODS.get(one.config.method).build(one) for one in tasks]
    data = [
        TargetDataModule(method.rows(one), 16, one.config.seed, augment=True)
        for method, one in zip(methods, tasks, strict=True)
    ]
    return methods, data


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("labels_only", {}),
        ("kd", {"student": "tcn_nano"}),
        ("edgefd", {}),
        ("hat", {"optimizer__schedule": "constant"}),
        ("hat_paper", {"hat__dictionary__when": "step", "hat__dictionary__threshold": 0.7}),
    ],
)
def test_each_target_learns_what_it_would_learn_alone(task, method, options):
    tasks = [task(number, method, **options) for number in range(3)]
    (together, data), (alone, same_data) = runs(tasks), runs(tasks)
    before = [one.detach().clone() for one in together[0].parameters()]
    fit_together(together, data, EPOCHS, seed=0)
    assert any(not torch.equal(one, then) for one, then in zip(together[0].parameters(), before, strict=True))
    for one, other, batches in zip(together, alone, same_data, strict=True):
        fit(other, batches, make_trainer(EPOCHS, [], []), 0, None)
        expected = other.state_dict()
        assert one.state_dict().keys() == expected.keys()
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(tensor, expected[name], atol=2e-4, rtol=1e-3, msg=name)


def test_targets_of_other_shapes_are_trained_in_groups_of_their_own(task):
    tasks = [task(0, "labels_only"), task(1, "labels_only", student="tcn_nano"), task(2, "kd"), task(3, "kd", rows=90)]
    for several in (tasks[:2], tasks[2:]):
        methods, data = runs(several)
        before = [one.student.head.weight.detach().clone() for one in methods]
        fit_together(methods, data, EPOCHS, seed=0)
        assert all(not torch.equal(one.student.head.weight, then) for one, then in zip(methods, before, strict=True))


def test_one_target_may_predict_afterwards_without_the_others(task):
    tasks = [task(number) for number in range(2)]
    methods, data = runs(tasks)
    fit_together(methods, data, EPOCHS, seed=0)
    predicted = methods[1].predict(tasks[1].target.test_rows(methods[1].view))
    assert predicted.shape == (len(tasks[1].target.split.test), 3)
    assert methods[0].student.head.weight.untyped_storage().nbytes() == methods[0].student.head.weight.nbytes


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        ("fixmatch", {}, "FixMatch cannot train many targets together"),
        ("kd", {"optimizer__accumulate": 2}, "neither clip nor accumulate"),
        ("kd", {"optimizer__clip_norm": 1}, "neither clip nor accumulate"),
        ("hat", {"hat__mixer__train_heads": "true"}, "no head may learn"),
        ("labels_only", {"student": "cnn_gru_nano"}, "is recurrent"),
    ],
)
def test_what_cannot_be_stacked_is_refused(task, method, options, says):
    methods, data = runs([task(0, method, **options)])
    with pytest.raises(InputError, match=says):
        fit_together(methods, data, EPOCHS, seed=0)


def test_a_cost_that_depends_on_more_than_is_looked_up_is_refused(task):
    """Else every target would get what only the first one knows: the weights, or the heads, of its sources."""
    methods, data = runs([task(number, "camkd") for number in range(2)])
    with pytest.raises(InputError, match=r"CAMKD cannot .* depends on more of a target than `look_up` returns"):
        fit_together(methods, data, EPOCHS, seed=0)
    methods, data = runs([task(number, "knfu") for number in range(2)])
    methods[1].effectiveness.copy_(methods[0].effectiveness.flip(0))
    with pytest.raises(InputError, match="KnFu cannot train many"):
        fit_together(methods, data, EPOCHS, seed=0)


def test_batch_norm_is_refused(task):
    methods, data = runs([task(0, "labels_only")])
    methods[0].student.encoder.add_module("norm", nn.BatchNorm1d(3))
    with pytest.raises(InputError, match="batch norm"):
        fit_together(methods, data, EPOCHS, seed=0)
