from dataclasses import replace

import numpy as np
import torch

from hatlit.datamodules.base import Domain
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.datamodules.target.data import TargetData
from hatlit.methods.all_labels import AllLabels
from hatlit.methods.base import METHODS
from hatlit.methods.labels_only import LabelsOnly
from hatlit.types import UNLABELLED


def with_labels(target, labels):
    domain = target.domain
    changed = Domain(domain.name, domain.samples, labels, domain.groups, domain.recorded, domain.class_names)
    return TargetData(changed, target.split)


def test_it_is_an_oracle_without_sources():
    assert METHODS.get("all_labels") is AllLabels
    assert AllLabels.is_oracle
    assert not AllLabels.needs_sources


def test_it_knows_the_label_of_every_training_row_and_the_task_does_not(task):
    made = task("all_labels")
    rows = AllLabels.build(made).rows(made)
    assert rows.label.tolist() == made.target.domain.labels[made.target.split.train].tolist()
    assert (made.target.train_labels != UNLABELLED).sum() == len(made.target.split.labelled) == 3


def test_its_rows_are_those_of_the_other_methods(task):
    made = task("all_labels")
    rows, others = (kind.build(made).rows(made) for kind in (AllLabels, LabelsOnly))
    assert torch.equal(rows.source, others.source)
    assert torch.equal(rows.target, others.target)
    assert rows.spec == others.spec


def test_it_takes_as_many_steps_as_who_knows_the_labelled_few(task):
    made = task("all_labels")
    whole, few = (TargetDataModule(kind.build(made).rows(made), 8, seed=0) for kind in (AllLabels, LabelsOnly))
    assert whole.steps_per_epoch == few.steps_per_epoch > len(made.target.split.train) / 8 + 1
    batches = list(whole.train_dataloader())
    assert len(batches) == whole.steps_per_epoch
    assert all(len(batch.label) == 8 and (batch.label != UNLABELLED).all() for batch in batches)


def test_a_training_row_without_a_class_stays_without(task):
    made = task("all_labels")
    labels = made.target.domain.labels.copy()
    nameless = np.setdiff1d(made.target.split.train, made.target.split.labelled)[0]
    labels[nameless] = UNLABELLED
    made = replace(made, target=with_labels(made.target, labels))
    label = AllLabels.build(made).rows(made).label
    assert made.target.split.train[label == UNLABELLED].tolist() == [nameless]


def test_labels_of_test_rows_stay_sealed(task):
    made = task("all_labels")
    labels, test = made.target.domain.labels.copy(), made.target.split.test
    labels[test] = (labels[test] + 1) % 3
    forged = replace(made, target=with_labels(made.target, labels))
    assert torch.equal(AllLabels.build(made).rows(made).label, AllLabels.build(forged).rows(forged).label)


def test_counts_classes_as_the_target_does_that_has_no_label(task) -> None:
    made = task("all_labels", per_class=0)
    labels = made.target.domain.labels.copy()
    labels[labels == 0] = 1  # the first class occurs nowhere, but nobody says so
    made = replace(made, target=replace(made.target, domain=replace(made.target.domain, labels=labels)))
    rows = METHODS.get("all_labels").build(made).rows(made)
    assert made.num_classes == 3
    assert rows.label.tolist() == labels[made.target.split.train].tolist()
