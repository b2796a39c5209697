"""Batches of a target's rows, labelled and unlabelled ones in each, and the DataModule that hands them to Lightning."""

from __future__ import annotations

import math
from collections.abc import Iterator

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from hatlit.datamodules.target.data import BatchPlan, TargetRows
from hatlit.seeds import seed_of
from hatlit.types import UNLABELLED, Batch

#: Tells the random numbers of augmentation from those of the order of rows.
AUGMENTATION = 0

#: How often an unlabelled row gives its place in a batch to a blend, where there are blends.
BLENDED = 0.5


class FewLabelSampler(Sampler[BatchPlan]):
    """Deals batches in which labelled rows are never missing.

    Up to half of each batch is labelled rows, the rest unlabelled ones; whichever kind runs out first starts over in a
    new order. An epoch is one pass over the kind that takes longer, and never less than `at_least` batches. The order
    depends on nothing but the seed and the epoch, so a resumed run deals the same batches.

    Args:
        labelled: (L,) numbers of the labelled rows.
        unlabelled: (U,) numbers of the others.
        batch_size: rows of a batch, over all processes.
        seed: of the order and of the augmentation.
        augment: whether views are randomly changed.
        rank: number of this process.
        world_size: number of processes; each gets every ``world_size``-th row of a batch.
        blends: how many blends of each row stand behind all rows. With any, an unlabelled row gives its place to one of
            its blends half of the time.
        at_least: batches of an epoch, where a pass would take fewer.
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
        blends: int = 0,
        at_least: int = 0,
    ) -> None:
        self._blends, self._at_least = blends, at_least
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
        return max([self._at_least, *(math.ceil(rows / share) for rows, share in kinds if share)])

    def __iter__(self) -> Iterator[BatchPlan]:
        generator = torch.Generator().manual_seed(seed_of(self._seed, self._epoch))
        labelled = _endless(self._labelled, self.labelled_per_batch * len(self), generator)
        unlabelled = _endless(self._unlabelled, self.unlabelled_per_batch * len(self), generator)
        unlabelled = self._stand_in(unlabelled, generator)
        for step in range(len(self)):
            known = labelled[step * self.labelled_per_batch :][: self.labelled_per_batch]
            unknown = unlabelled[step * self.unlabelled_per_batch :][: self.unlabelled_per_batch]
            place = torch.arange(len(known) + len(unknown))
            seed = seed_of(self._seed, self._epoch, step, AUGMENTATION) if self._augment else None
            yield BatchPlan(torch.cat([known, unknown]), place % self._world_size == self._rank, seed)

    def _stand_in(self, unlabelled: Tensor, generator: torch.Generator) -> Tensor:
        if not self._blends:
            return unlabelled
        which = torch.randint(1, 1 + self._blends, unlabelled.shape, generator=generator)
        gives_way = torch.rand(len(unlabelled), generator=generator) < BLENDED
        num_recorded = len(self._labelled) + len(self._unlabelled)
        return torch.where(gives_way, unlabelled + which * num_recorded, unlabelled)


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
        self.batch_size = batch_size
        self._rows, self._seed, self._augment = rows, seed, augment

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one pass."""
        return len(self.train_dataloader())

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of labelled and unlabelled rows; see ``FewLabelSampler``."""
        rows = self._rows
        pace = rows.label if rows.paced_by is None else rows.paced_by
        sampler = FewLabelSampler(
            *_kinds(rows.label[: rows.num_recorded]),
            self.batch_size,
            self._seed,
            self._augment,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
            blends=rows.blends,
            at_least=len(FewLabelSampler(*_kinds(pace[: rows.num_recorded]), self.batch_size, self._seed)),
        )
        # A generator of its own: otherwise each new iterator would draw from the global one and shift all that follows.
        return DataLoader(
            rows,
            batch_size=None,
            sampler=sampler,
            collate_fn=_as_it_is,  # type: ignore[arg-type] # with batch_size None it gets whole batches
            generator=torch.Generator(),
        )


def _as_it_is(batch: Batch) -> Batch:
    return batch


def _kinds(label: Tensor) -> tuple[Tensor, Tensor]:
    """(L,) numbers of the labelled rows, and (U,) of the others."""
    known = label != UNLABELLED
    return torch.nonzero(known).flatten(), torch.nonzero(~known).flatten()


def _endless(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    if count == 0:
        return rows[:0]
    passes = math.ceil(count / len(rows))
    return torch.cat([rows[torch.randperm(len(rows), generator=generator)] for _ in range(passes)])[:count]
