from dataclasses import replace

import numpy as np
import pytest
import torch

from hatlit.config import LabelsConfig
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.target.data import Blends, TargetData, some_of
from hatlit.types import UNLABELLED


def test_classes_of_the_target_are_those_it_has(make_target):
    target = make_target()
    assert target.class_names == ("walk", "sit")
    known = target.train_labels[target.train_labels != UNLABELLED]
    assert sorted(known.tolist()) == [0, 0, 1, 1]


def test_only_the_labelled_few_carry_labels(make_target):
    target = make_target()
    rows = target.rows(target.spec)
    truth = target.domain.labels[target.split.train[rows.labelled.numpy()]]
    assert [target.domain.class_names.index(target.class_names[y]) for y in rows.label[rows.labelled]] == truth.tolist()
    assert len(rows.labelled) == len(target.split.labelled) == 4


def test_no_test_sample_reaches_training(make_target):
    target = make_target()
    train, test = target.rows(target.spec).source, target.test_rows(target.spec).source
    seen = {row.numpy().tobytes() for row in train}
    assert len(seen) == len(train)
    assert not seen & {row.numpy().tobytes() for row in test}


def test_views_are_normalised_by_the_training_rows(make_target):
    rows = make_target().rows(make_target().spec)
    assert rows.target.mean((0, 2)).abs().max() < 1e-5
    assert (rows.target.std((0, 2), correction=0) - 1).abs().max() < 1e-5


def test_labels_fingerprint_tells_label_sets_apart(make_target):
    assert make_target(seed=0).labels_fingerprint == make_target(seed=0).labels_fingerprint
    target = make_target()
    other = TargetData(target.domain, split_domain(target.domain, LabelsConfig(per_class=2), seed=9))
    assert target.rows_fingerprint == other.rows_fingerprint
    assert target.labels_fingerprint != other.labels_fingerprint


def test_rows_fingerprint_follows_data_and_split(make_target):
    target = make_target()
    samples = target.domain.samples.copy()
    samples[target.split.train[0], 0, 0] += 1e-3
    other_data = TargetData(replace(target.domain, samples=samples), target.split)
    other_split = TargetData(target.domain, replace(target.split, train=target.split.train[:-1]))
    prints = {one.rows_fingerprint for one in (target, make_target(), other_data, other_split)}
    assert len(prints) == 3


def test_blends_stand_behind_the_rows_without_a_label(make_target):
    target = make_target()
    plain, rows = target.rows(target.spec), target.rows(target.spec, blends=Blends(2, seed=3))
    recorded = len(plain)
    assert (len(rows), rows.num_recorded) == (3 * recorded, recorded)
    assert torch.equal(rows.label[:recorded], plain.label)
    assert (rows.label[recorded:] == UNLABELLED).all()
    assert torch.equal(rows.target[:recorded], plain.target)
    assert not torch.equal(rows.source[recorded : 2 * recorded], rows.source[2 * recorded :])


def test_a_blend_lies_between_its_row_and_another_one(make_target):
    target = make_target()
    rows = target.rows(target.spec, blends=Blends(1, seed=3))
    own, others, blends = (
        rows.source[: rows.num_recorded],
        rows.source[: rows.num_recorded],
        rows.source[-rows.num_recorded :],
    )
    for row, blended in zip(own, blends, strict=True):
        direction, moved = (others - row).flatten(1), (blended - row).flatten()
        share = (direction @ moved / direction.square().sum(1).clamp_min(1e-9)).clamp(0, 1)
        assert (share[:, None] * direction - moved).norm(dim=1).min() < 1e-4


def test_the_same_seed_blends_alike_and_another_one_does_not(make_target):
    target = make_target()
    first, again, other = (target.with_blends(Blends(1, seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_paired_recordings_are_blended_alike(make_target):
    target = make_target()
    paired = replace(target, paired=replace(target.domain, samples=2 * target.domain.samples))
    blends = Blends(2, seed=1)
    torch.testing.assert_close(paired.with_blends(blends), 2 * target.with_blends(blends))


def test_blends_stay_within_the_training_rows(make_target):
    target = make_target()
    forged = target.domain.samples.copy()
    forged[target.split.test] = 1e6
    other = replace(target, domain=replace(target.domain, samples=forged))
    assert torch.equal(target.with_blends(Blends(3)), other.with_blends(Blends(3)))


def test_without_a_label_nobody_knows_which_classes_there_are(make_target):
    target = make_target(per_class=0)
    assert target.class_names == ("walk", "run", "sit")
    assert (target.train_labels == UNLABELLED).all()
    assert set(target.test_rows(target.spec).label.tolist()) == {0, 2}
    hidden = replace(target.domain, labels=np.full_like(target.domain.labels, UNLABELLED))
    nothing = TargetData(hidden, split_domain(hidden, LabelsConfig(per_class=0), seed=0))
    assert nothing.class_names == target.class_names
    assert len(nothing.split.test) == 0


def test_labels_are_counted_as_the_target_counts_its_classes(make_target):
    target = make_target()
    labels = target.domain.labels.copy()
    labels[target.split.train[0]] = UNLABELLED
    forgetful = TargetData(replace(target.domain, labels=labels), target.split)
    told = forgetful.labels_of(target.split.train)
    assert told[0] == UNLABELLED
    assert [(0, 2)[number] for number in told[1:].tolist()] == labels[target.split.train[1:]].tolist()


def test_some_of_few_rows_are_all_of_them():
    rows = torch.tensor([3, 5, 9])
    assert torch.equal(some_of(rows, 3), rows)


@pytest.mark.parametrize("classes", [torch.arange(6000) // 600, torch.arange(6000) % 10], ids=["sorted", "in turn"])
def test_some_of_many_rows_hold_every_class_however_they_lie(classes):
    rows = some_of(torch.arange(10_000, 16_000), 600)
    assert len(rows) == len(rows.unique()) == 600
    assert torch.equal(rows, rows.sort().values)
    assert torch.equal(rows, some_of(torch.arange(10_000, 16_000), 600)), "always the same ones"
    assert classes[rows - 10_000].bincount(minlength=10).min() >= 35
