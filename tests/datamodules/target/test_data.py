from dataclasses import replace

from hatlit.config import LabelsConfig
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.target.data import TargetData
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
