"""Which samples of a domain train, which test, and which few carry labels."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hatlit.config import LabelsConfig
from hatlit.datamodules.base import MODALITIES, Domain
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError, reason_of
from hatlit.types import UNLABELLED


@dataclass(frozen=True)
class Split:
    """Row numbers into a domain, each array int64 and ascending.

    Attributes:
        train: (N_train,) rows that a student may learn from, with or without their labels.
        test: (N_test,) rows that only measure; all of them have a class.
        labelled: (N_labelled,) the rows of ``train`` whose labels are known.
    """

    train: np.ndarray
    test: np.ndarray
    labelled: np.ndarray


def split_domain(domain: Domain, labels: LabelsConfig, seed: int, test_share: float = 0.3) -> Split:
    """Parts a domain into training and test rows, class by class, and draws the labelled few.

    Whole recordings (groups) go to one side, because windows of one recording are near-copies of one another. Only
    where a class has a single group in the domain are its rows cut: the last in time test, and the one before them is
    left out of both sides (fewer than three cannot be cut and all train). Rows without a class train, except those of a
    group that tests: they are left out. Every class keeps at least one training row.

    Args:
        domain: the domain; within a group its rows are in time order.
        labels: how many rows of each class are labelled; where there are fewer, all of them are. Rows of this domain
            that its file names are labelled besides.
        seed: draws the labelled rows, and nothing else. More labels of the same seed contain the fewer.
        test_share: the share of each class's rows that test, as nearly as whole groups allow.

    Raises:
        InputError: ``test_share`` does not lie between 0 and 1, or the file names rows that cannot be labelled.
    """
    if not 0 < test_share < 1:
        raise InputError(f"The share of test samples must lie between 0 and 1, not {test_share}.")
    test, left_out = _held_out(domain, test_share)
    train = np.flatnonzero(~(test | left_out))
    labelled = _draw(domain, train, labels, seed)
    if labels.also is not None:
        labelled = np.union1d(labelled, _named_rows(domain, train, labels.also))
    return Split(train, np.flatnonzero(test), labelled)


def present_classes(domain: Domain) -> np.ndarray:
    """Returns the numbers (K,) int64 of the classes that have rows in a domain, ascending."""
    return np.unique(domain.labels[domain.labels != UNLABELLED])


def labelled_rows(domain: Domain, split: Split) -> np.ndarray:
    """Returns every training row that has a class (N,): what a source, whose owner has all labels, is trained on."""
    return split.train[domain.labels[split.train] != UNLABELLED]


def fit_view(domain: Domain, rows: np.ndarray) -> InputSpec:
    """Returns the view that suits some rows of a domain, as its modality fits it: normalised, or with a vocabulary.

    Raises:
        InputError: there are no rows.
    """
    if not len(rows):
        raise InputError(f"Domain '{domain.name}' has no training samples to fit a view on.")
    return MODALITIES.get(domain.recorded.modality).fit(domain.samples[rows], domain.recorded)


def _held_out(domain: Domain, test_share: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns two masks over the rows: those that test, and those on neither side."""
    test = np.zeros(len(domain), dtype=bool)
    left_out = np.zeros(len(domain), dtype=bool)
    _, group = np.unique(domain.groups, return_inverse=True)
    has_class = domain.labels != UNLABELLED
    counts = np.zeros((len(domain.class_names), group.max(initial=-1) + 1), dtype=np.int64)
    np.add.at(counts, (domain.labels[has_class], group[has_class]), 1)
    num_groups = np.count_nonzero(counts, axis=1)

    whole = (num_groups > 1)[domain.labels] & has_class
    in_test = _test_groups(
        counts[num_groups > 1], np.bincount(group[~has_class], minlength=counts.shape[1]), test_share
    )
    test[whole] = in_test[group[whole]]
    left_out[~has_class] = in_test[group[~has_class]]
    for number in np.flatnonzero(num_groups == 1):
        rows = np.flatnonzero(domain.labels == number)
        if len(rows) > 2:
            num_test = min(max(1, round(test_share * len(rows))), len(rows) - 2)
            test[rows[-num_test:]] = True
            left_out[rows[-num_test - 1]] = True
    return test, left_out


def _test_groups(counts: np.ndarray, unlabelled: np.ndarray, test_share: float) -> np.ndarray:
    """Chooses whole groups for the test side.

    Classes with the fewest groups choose first, since they have the least choice. Groups with unlabelled rows come last
    in the order in which they are tried, since those rows would be lost.

    Args:
        counts: (classes, groups) rows of each class in each group; every class is in at least two groups.
        unlabelled: (groups,) rows without a class.
        test_share: share of each class's rows that should test.

    Returns:
        (groups,) mask.
    """
    in_test = np.zeros(counts.shape[1], dtype=bool)
    order = np.random.default_rng(0).permutation(counts.shape[1])
    order = order[np.argsort(unlabelled[order], kind="stable")]
    num_train_groups = np.count_nonzero(counts, axis=1)

    def can_test(group: int) -> bool:
        return not in_test[group] and bool(np.all(num_train_groups[counts[:, group] > 0] > 1))

    def put_in_test(group: int) -> None:
        in_test[group] = True
        num_train_groups[counts[:, group] > 0] -= 1

    for rows in counts[np.argsort(num_train_groups, kind="stable")]:
        candidates = order[rows[order] > 0]
        missing = test_share * rows.sum() - rows[in_test].sum()
        for group in candidates:
            if abs(missing - rows[group]) < abs(missing) and can_test(group):
                put_in_test(group)
                missing -= rows[group]
        if not rows[in_test].any():
            possible = [group for group in candidates if can_test(group)]
            if possible:
                put_in_test(min(possible, key=rows.__getitem__))
    return in_test


def _draw(domain: Domain, train: np.ndarray, labels: LabelsConfig, seed: int) -> np.ndarray:
    drawn = [np.empty(0, dtype=np.int64)]
    for number in present_classes(domain):
        rows = train[domain.labels[train] == number]
        wanted = 1 if labels.per_class is None else labels.per_class
        if labels.fraction is not None:
            wanted = max(1, round(labels.fraction * len(rows)))
        drawn.append(np.random.default_rng((seed, number)).permutation(rows)[:wanted])
    return np.sort(np.concatenate(drawn))


def _named_rows(domain: Domain, train: np.ndarray, path: str) -> np.ndarray:
    """Reads which rows of a domain a CSV file names as labelled."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            named = [(line["domain"], line["row"]) for line in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"The file '{path}' of --labels.also cannot be read ({reason_of(error)}); name another one."
        ) from error
    except KeyError as error:
        raise InputError(f"The file '{path}' of --labels.also has no column {error}; add it.") from error
    own = [row for name, row in named if name == domain.name]
    if not own:
        raise InputError(f"The file '{path}' of --labels.also names no row of domain '{domain.name}'; leave it out.")
    possible = {str(row) for row in train[domain.labels[train] != UNLABELLED]}
    wrong = [row for row in own if row not in possible]
    if wrong:
        raise InputError(
            f"The file '{path}' of --labels.also names row {wrong[0]} of domain '{domain.name}', which is no training "
            "sample with a class; leave it out, or give it a class."
        )
    return np.array([int(row) for row in own], dtype=np.int64)
