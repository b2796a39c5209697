"""The target domain as methods see it: training rows with few labels, batches of both kinds, a sealed test part."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from hatlit.datamodules.base import MODALITIES, Domain, build_view
from hatlit.datamodules.split import Split, fit_view, present_classes
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.types import UNLABELLED, Batch

#: Tells the random numbers of augmentation from those of the order of rows.
AUGMENTATION = 0

#: Samples of which a view is built at a time; bounds the memory that this takes.
ROWS_A_PASS = 512


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
        """(K,) the class numbers of the data set that occur in this domain; methods count them 0 to K - 1."""
        return present_classes(self.domain)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the K classes of this domain."""
        return tuple(self.domain.class_names[number] for number in self.classes)

    @cached_property
    def train_labels(self) -> Tensor:
        """(N,) label of each training row, ``UNLABELLED`` for all but the labelled few."""
        labels = np.full(len(self.split.train), UNLABELLED, dtype=np.int64)
        known = np.isin(self.split.train, self.split.labelled)
        labels[known] = np.searchsorted(self.classes, self.domain.labels[self.split.train[known]])
        return torch.from_numpy(labels)

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

    def view(self, wanted: InputSpec, rows: Tensor | None = None) -> Tensor:
        """The training rows, or those of them with given numbers (B,), as a source or student wants to see them."""
        numbers = self.split.train if rows is None else self.split.train[rows.numpy()]
        return self._view(wanted, numbers)

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

    def rows(self, view: InputSpec) -> TargetRows:
        """The training rows, seen by a student that expects ``view``."""
        return TargetRows(self.asked_samples, self._view(view, self.split.train), self.train_labels, view)

    def test_rows(self, view: InputSpec) -> TargetRows:
        """The test rows with all their labels. Only what reports a finished student may ask for them."""
        labels = np.searchsorted(self.classes, self.domain.labels[self.split.test])
        samples = self.asked.tensor(self.split.test)
        return TargetRows(samples, self._view(view, self.split.test), torch.from_numpy(labels), view)

    def _view(self, wanted: InputSpec, numbers: np.ndarray) -> Tensor:
        domain = self.recording(wanted.modality)
        chunks = np.split(numbers, range(ROWS_A_PASS, len(numbers), ROWS_A_PASS))
        return torch.cat([build_view(domain.tensor(chunk), domain.recorded, wanted) for chunk in chunks])


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
    """

    source: Tensor
    target: Tensor
    label: Tensor
    spec: InputSpec

    def __len__(self) -> int:
        return len(self.label)

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
        own = rows[mine]
        return Batch(own, self.source[own], view[mine], self.label[own])


class FewLabelSampler(Sampler[BatchPlan]):
    """Deals batches in which labelled rows are never missing.

    Up to half of each batch is labelled rows, the rest unlabelled ones; whichever kind runs out first starts over in a
    new order. An epoch is one pass over the kind that takes longer. The order depends on nothing but the seed and the
    epoch, so a resumed run deals the same batches.

    Args:
        labelled: (L,) numbers of the labelled rows.
        unlabelled: (U,) numbers of the others.
        batch_size: rows of a batch, over all processes.
        seed: of the order and of the augmentation.
        augment: whether views are randomly changed.
        rank: number of this process.
        world_size: number of processes; each gets every ``world_size``-th row of a batch.
    """

    def __init__(
        self,
        labelled: Tensor,
        unlabelled: Tensor,
        batch_size: int,
        seed: int,
        augment: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._labelled, self._unlabelled = labelled, unlabelled
        self._seed, self._augment = seed, augment
        self._rank, self._world_size = rank, world_size
        self._epoch = 0
        self.labelled_per_batch = min(len(labelled), batch_size if len(unlabelled) == 0 else max(1, batch_size // 2))
        self.unlabelled_per_batch = min(len(unlabelled), batch_size - self.labelled_per_batch)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next pass. Lightning calls this before every epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        kinds = [
            (len(self._labelled), self.labelled_per_batch),
            (len(self._unlabelled), self.unlabelled_per_batch),
        ]
        return max(math.ceil(rows / share) for rows, share in kinds if share)

    def __iter__(self) -> Iterator[BatchPlan]:
        generator = torch.Generator().manual_seed(_mix(self._seed, self._epoch))
        labelled = _endless(self._labelled, self.labelled_per_batch * len(self), generator)
        unlabelled = _endless(self._unlabelled, self.unlabelled_per_batch * len(self), generator)
        for step in range(len(self)):
            known = labelled[step * self.labelled_per_batch :][: self.labelled_per_batch]
            unknown = unlabelled[step * self.unlabelled_per_batch :][: self.unlabelled_per_batch]
            place = torch.cat([torch.arange(len(known)), torch.arange(len(unknown))])
            seed = _mix(self._seed, self._epoch, step, AUGMENTATION) if self._augment else None
            yield BatchPlan(torch.cat([known, unknown]), place % self._world_size == self._rank, seed)


class TargetDataModule(L.LightningDataModule):
    """Feeds the training rows of one target to a Trainer.

    Args:
        rows: the training rows.
        batch_size: rows of a batch, over all processes.
        seed: of batch order and augmentation.
        augment: whether the student's view is randomly changed while training.
    """

    def __init__(self, rows: TargetRows, batch_size: int, seed: int, augment: bool = False) -> None:
        super().__init__()
        self._rows, self._batch_size, self._seed, self._augment = rows, batch_size, seed, augment

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of labelled and unlabelled rows; see ``FewLabelSampler``."""
        known = self._rows.label != UNLABELLED
        sampler = FewLabelSampler(
            torch.nonzero(known).flatten(),
            torch.nonzero(~known).flatten(),
            self._batch_size,
            self._seed,
            self._augment,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
        )
        return _loader(self._rows, sampler)


def evaluation_loader(rows: TargetRows, batch_size: int = 512) -> DataLoader[Batch]:
    """Every row once, in order, as the student sees it outside training."""
    chunks = torch.arange(len(rows)).split(batch_size)
    plans = [BatchPlan(chunk, torch.ones_like(chunk, dtype=torch.bool), None) for chunk in chunks]
    return _loader(rows, plans)


def _loader(rows: TargetRows, plans: Sampler[BatchPlan] | list[BatchPlan]) -> DataLoader[Batch]:
    # A generator of its own: otherwise every new iterator would draw from the global one and shift all that follows.
    return DataLoader(
        rows,
        batch_size=None,
        sampler=plans,
        collate_fn=_as_it_is,  # type: ignore[arg-type] # with batch_size None it gets whole batches
        generator=torch.Generator(),
    )


def _as_it_is(batch: Batch) -> Batch:
    return batch


def _mix(*numbers: int) -> int:
    digest = hashlib.sha256(repr(numbers).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def _endless(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    if count == 0:
        return rows[:0]
    passes = math.ceil(count / len(rows))
    return torch.cat([rows[torch.randperm(len(rows), generator=generator)] for _ in range(passes)])[:count]
