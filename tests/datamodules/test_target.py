import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hatlit.config import LabelsConfig
from hatlit.datamodules.base import Domain
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.target import FewLabelSampler, TargetData, TargetDataModule, evaluation_loader
from hatlit.encoders.base import InputSpec
from hatlit.types import UNLABELLED


def make_target(seed=0, per_class=2, classes=(0, 2)):
    rng = np.random.default_rng(seed)
    rows = 60
    labels = np.array(classes)[np.arange(rows) % len(classes)]
    recorded = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(16,), rate=20.0)
    samples = rng.normal(size=(rows, 3, 16)).astype(np.float32)
    domain = Domain("someone", samples, labels, np.arange(rows), recorded, ("walk", "run", "sit"))
    return TargetData(domain, split_domain(domain, LabelsConfig(per_class=per_class), seed))


def test_classes_of_the_target_are_those_it_has():
    target = make_target()
    assert target.class_names == ("walk", "sit")
    known = target.train_labels[target.train_labels != UNLABELLED]
    assert sorted(known.tolist()) == [0, 0, 1, 1]


def test_only_the_labelled_few_carry_labels():
    target = make_target()
    rows = target.rows(target.spec)
    truth = target.domain.labels[target.split.train[rows.labelled.numpy()]]
    assert [target.domain.class_names.index(target.class_names[y]) for y in rows.label[rows.labelled]] == truth.tolist()
    assert len(rows.labelled) == len(target.split.labelled) == 4


def test_no_test_sample_reaches_training():
    target = make_target()
    train, test = target.rows(target.spec).source, target.test_rows(target.spec).source
    seen = {row.numpy().tobytes() for row in train}
    assert len(seen) == len(train)
    assert not seen & {row.numpy().tobytes() for row in test}


def test_views_are_normalised_by_the_training_rows():
    rows = make_target().rows(make_target().spec)
    assert rows.target.mean((0, 2)).abs().max() < 1e-5
    assert (rows.target.std((0, 2), correction=0) - 1).abs().max() < 1e-5


def test_labels_fingerprint_tells_label_sets_apart():
    assert make_target(seed=0).labels_fingerprint == make_target(seed=0).labels_fingerprint
    target = make_target()
    other = TargetData(target.domain, split_domain(target.domain, LabelsConfig(per_class=2), seed=9))
    assert target.rows_fingerprint == other.rows_fingerprint
    assert target.labels_fingerprint != other.labels_fingerprint


@settings(max_examples=60, deadline=None)
@given(
    labelled=st.integers(0, 40), unlabelled=st.integers(0, 60), batch_size=st.integers(2, 48), epoch=st.integers(0, 5)
)
def test_an_epoch_shows_every_row_and_every_batch_has_labels(labelled, unlabelled, batch_size, epoch):
    if labelled + unlabelled == 0:
        return
    sampler = FewLabelSampler(torch.arange(labelled), labelled + torch.arange(unlabelled), batch_size, seed=1)
    sampler.set_epoch(epoch)
    batches = [plan.rows for plan in sampler]
    assert len(batches) == len(sampler)
    assert torch.cat(batches).unique().tolist() == list(range(labelled + unlabelled))
    assert all(len(rows) <= batch_size for rows in batches)
    assert len({len(rows) for rows in batches}) == 1
    if labelled:
        assert all((rows < labelled).any() for rows in batches)


def test_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        sampler = FewLabelSampler(torch.arange(4), torch.arange(4, 40), 8, seed, augment=True)
        sampler.set_epoch(epoch)
        return [(plan.rows.tolist(), plan.augmentation_seed) for plan in sampler]

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_each_batch_without_overlap(world_size):
    def batches(rank, world_size):
        sampler = FewLabelSampler(torch.arange(5), torch.arange(5, 50), 12, 0, rank=rank, world_size=world_size)
        return [plan.rows[plan.mine] for plan in sampler]

    whole = batches(0, 1)
    parts = [batches(rank, world_size) for rank in range(world_size)]
    for number, rows in enumerate(whole):
        dealt = torch.cat([part[number] for part in parts])
        assert sorted(dealt.tolist()) == sorted(rows.tolist())


def test_a_row_is_augmented_alike_however_many_processes_share_the_batch():
    target = make_target()
    rows = target.rows(target.spec)

    def views(rank, world_size):
        known = rows.label != UNLABELLED
        labelled, others = torch.nonzero(known).flatten(), torch.nonzero(~known).flatten()
        batches = [rows[plan] for plan in FewLabelSampler(labelled, others, 9, 0, True, rank, world_size)]
        return {int(row): view for row, view in zip(batches[0].index, batches[0].target, strict=True)}

    whole, halves = views(0, 1), [views(rank, 2) for rank in range(2)]
    assert len(halves[0]) + len(halves[1]) == len(whole)
    assert all(torch.equal(view, whole[row]) for half in halves for row, view in half.items())


def test_batches_hold_both_views_and_are_augmented_only_when_asked():
    target = make_target()
    rows = target.rows(target.spec)
    for augment in (False, True):
        loader = TargetDataModule(rows, 8, seed=0, augment=augment).train_dataloader()
        batch = next(iter(loader))
        assert torch.equal(batch.source, target.asked_samples[batch.index])
        assert torch.equal(batch.target, rows.target[batch.index]) is not augment
        assert torch.equal(batch.label, rows.label[batch.index])


def test_loading_leaves_the_global_random_numbers_alone():
    loader = TargetDataModule(make_target().rows(make_target().spec), 8, seed=0, augment=True).train_dataloader()
    before = torch.get_rng_state()
    list(loader)
    assert torch.equal(before, torch.get_rng_state())


def test_evaluation_goes_through_all_rows_in_order():
    target = make_target()
    rows = target.test_rows(target.spec)
    batches = list(evaluation_loader(rows, batch_size=7))
    assert torch.equal(torch.cat([batch.target for batch in batches]), rows.target)
    assert (rows.label >= 0).all()
