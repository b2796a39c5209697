"""The target domain as methods see it: training rows of which few have labels, and a sealed test part."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hatlit.datamodules.base import MODALITIES, Domain, build_view
from hatlit.datamodules.blend import blend
from hatlit.datamodules.split import Split, fit_view, present_classes
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.types import UNLABELLED, Batch

#: Samples of which a view is built at a time; bounds the memory that this takes.
SAMPLES_A_PASS = 512


@dataclass(frozen=True)
class Blends:
    """How training rows are blended with one another.

    Attributes:
        count: blends of each row.
        seed: of who is blended with whom, and how much.
    """

    count: int = 0
    seed: int = 0


#: Rows as they were recorded, and no others.
NO_BLENDS = Blends()


@dataclass(frozen=True)
class TargetData:
    """One target domain, split.

    Attributes:
        domain: the domain, as the student's device records it; its labels are only read through the split.
        split: which rows train, which of those are labelled, which test.
        paired: the same rows as the sources' modality records them, None where that is the student's own.
    """

    domain: Domain
    split: Split
    paired: Domain | None = None

    @cached_property
    def classes(self) -> np.ndarray:
        """(K,) the class numbers of the data set that the target has; methods count them 0 to K - 1.

        They are those that occur in the domain, as its labels say. Where some of these have no label, nobody knows
        which occur, and all classes of the data set are meant.
        """
        present = present_classes(self.domain)
        named = np.unique(self.domain.labels[self.split.labelled])
        return present if 0 < len(named) == len(present) else np.arange(len(self.domain.class_names))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the K classes of the target."""
        return tuple(self.domain.class_names[number] for number in self.classes)

    @cached_property
    def train_labels(self) -> Tensor:
        """(N,) label of each training row, ``UNLABELLED`` for all but the labelled few."""
        known = torch.from_numpy(np.isin(self.split.train, self.split.labelled))
        return self.labels_of(self.split.train).where(known, UNLABELLED)

    def labels_of(self, rows: np.ndarray) -> Tensor:
        """The labels (B,) of rows of the domain, as the target counts classes; ``UNLABELLED`` where there is none."""
        labels = self.domain.labels[rows]
        numbers = np.searchsorted(self.classes, labels)
        return torch.from_numpy(np.where(labels == UNLABELLED, UNLABELLED, numbers).astype(np.int64))

    @property
    def asked(self) -> Domain:
        """The domain as sources are asked about it: the paired recording, or the domain itself."""
        return self.paired or self.domain

    def recording(self, modality: str) -> Domain:
        """The domain as a modality records it.

        Raises:
            InputError: the target has no recording of that modality.
        """
        for domain in (self.domain, self.asked):
            if domain.recorded.modality == modality:
                return domain
        raise InputError(f"Target '{self.domain.name}' has no {modality} recording.")

    @cached_property
    def asked_samples(self) -> Tensor:
        """(N, channels, *shape) the training rows as recorded for the sources."""
        return self.asked.tensor(self.split.train)

    def with_blends(self, blends: Blends) -> Tensor:
        """(N + N count, channels, *shape) the training rows as recorded for the sources, their blends behind them."""
        return torch.cat([self.asked_samples, *self._blends(self.asked, blends)])

    def view(self, wanted: InputSpec, rows: Tensor | None = None, blends: Blends = NO_BLENDS) -> Tensor:
        """The training rows, or those of them with given numbers (B,), as a source or student wants to see them.

        With ``blends``, their blends follow: (N + N count, channels, *wanted shape).
        """
        numbers = self.split.train if rows is None else self.split.train[rows.numpy()]
        domain = self.recording(wanted.modality)
        blended = [build_view(part, domain.recorded, wanted) for part in self._blends(domain, blends)]
        return torch.cat([self._view(wanted, numbers), *blended])

    def can_show(self, wanted: InputSpec) -> str:
        """Why the target cannot be seen as a model wants to see it; empty where it can."""
        try:
            self._view(wanted, self.split.train[:1])
        except InputError as fault:
            return str(fault)
        return ""

    @cached_property
    def spec(self) -> InputSpec:
        """The view fitted to the training rows: what a student sees unless told otherwise."""
        return fit_view(self.domain, self.split.train)

    @cached_property
    def rows_fingerprint(self) -> str:
        """A hash of the training rows as sources see them, whichever of them are labelled."""
        return hashlib.sha256(self.asked.fingerprint.encode() + self.split.train.tobytes()).hexdigest()

    @cached_property
    def labels_fingerprint(self) -> str:
        """A hash of which rows are labelled: two runs with the same one had the same labels."""
        recorded = self.rows_fingerprint + self.domain.fingerprint
        return hashlib.sha256(recorded.encode() + self.train_labels.numpy().tobytes()).hexdigest()

    def rows(self, view: InputSpec, deal_unlabelled: bool = True, blends: Blends = NO_BLENDS) -> TargetRows:
        """The training rows, seen by a student that expects ``view``; batches of them may leave out the unlabelled.

        With ``blends``, blends of the rows stand behind them, without a label.
        """
        unknown = torch.full((blends.count * len(self.train_labels),), UNLABELLED)
        labels = torch.cat([self.train_labels, unknown])
        samples = self.with_blends(blends)
        return TargetRows(samples, self.view(view, blends=blends), labels, view, deal_unlabelled, blends.count)

    def test_rows(self, view: InputSpec) -> TargetRows:
        """The test rows with all their labels. Only what reports a finished student may ask for them."""
        samples = self.asked.tensor(self.split.test)
        return TargetRows(samples, self._view(view, self.split.test), self.labels_of(self.split.test), view)

    def _view(self, wanted: InputSpec, numbers: np.ndarray) -> Tensor:
        domain = self.recording(wanted.modality)
        chunks = np.split(numbers, range(SAMPLES_A_PASS, len(numbers), SAMPLES_A_PASS))
        return torch.cat([build_view(domain.tensor(chunk), domain.recorded, wanted) for chunk in chunks])

    def _blends(self, domain: Domain, blends: Blends) -> Iterator[Tensor]:
        """Parts (B, channels, *shape) of the blends of the training rows, as ``domain`` records them."""
        generator = torch.Generator().manual_seed(blends.seed)
        for _ in range(blends.count):
            others = self.split.train[torch.randperm(len(self.split.train), generator=generator).numpy()]
            share = torch.rand(len(others), generator=generator)
            for start in range(0, len(others), SAMPLES_A_PASS):
                part = slice(start, start + SAMPLES_A_PASS)
                samples = domain.tensor(self.split.train[part])
                yield blend(samples, domain.tensor(others[part]), share[part], domain.recorded)


class BatchPlan(NamedTuple):
    """How the next batch is made.

    Attributes:
        rows: (B,) the rows of the whole batch, those of other processes included.
        mine: (B,) mask of the rows that this process gets.
        augmentation_seed: of the random changes of the whole batch, so that a row is changed alike however many
            processes share the batch; None leaves the views alone.
    """

    rows: Tensor
    mine: Tensor
    augmentation_seed: int | None


@dataclass(frozen=True)
class TargetRows(Dataset[Batch]):
    """Rows of a target in memory; a whole batch is one indexing of each tensor.

    Attributes:
        source: (N, channels, *shape) as recorded for the sources.
        target: (N, channels, *shape) as the student sees them, before augmentation.
        label: (N,) class numbers, ``UNLABELLED`` where the class is not known.
        spec: the student's view; its modality supplies the augmentation.
        deal_unlabelled: whether batches hold their unlabelled rows; without them, the labelled ones come in the same
            order, as many a batch, and augmented alike. A batch with fewer than two labelled rows keeps the others.
        blends: how many blends of each of the first N / (1 + blends) rows, which were recorded, stand behind them: all
            first blends in the order of the rows, then all second ones.
        paced_by: (N,) the labels that others know, where an oracle that knows more takes as many batches a pass as they
            do; None where it is ``label``.
    """

    source: Tensor
    target: Tensor
    label: Tensor
    spec: InputSpec
    deal_unlabelled: bool = True
    blends: int = 0
    paced_by: Tensor | None = None

    def __len__(self) -> int:
        return len(self.label)

    @property
    def num_recorded(self) -> int:
        """How many rows were recorded; the others are blends of them."""
        return len(self.label) // (1 + self.blends)

    @property
    def labelled(self) -> Tensor:
        """(L,) numbers of the labelled rows."""
        return torch.nonzero(self.label != UNLABELLED).flatten()

    def __getitem__(self, plan: BatchPlan) -> Batch:
        rows, mine, seed = plan
        view = self.target[rows]
        if seed is not None:
            augment = MODALITIES.get(self.spec.modality).augment
            view = augment(view, self.spec, torch.Generator().manual_seed(seed))
        known = mine & (self.label[rows] != UNLABELLED)
        if not self.deal_unlabelled and int(known.sum()) > 1:  # none is no batch, and one has no batch statistics
            mine = known
        own = rows[mine]
        return Batch(own, self.source, view[mine], self.label[own])


def some_of(rows: Tensor, most: int) -> Tensor:
    """At most so many of the rows (N,), in their order; of more, some that are drawn at random, always the same.

    Neither the first nor every n-th would do: data sets may hold one class after the other, or the classes in turn.
    """
    if len(rows) <= most:
        return rows
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:most]
    return rows[drawn.sort().values]
