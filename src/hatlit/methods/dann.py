"""DANN: features that no discriminator can tell apart by domain; needs the sources' own recordings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hatlit.config import LabelsConfig, OptimizerConfig
from hatlit.datamodules.base import MODALITIES, Domain, build_view
from hatlit.datamodules.split import labelled_rows, split_domain
from hatlit.encoders.base import Classifier, InputSpec
from hatlit.errors import InputError
from hatlit.methods.base import StudentMethod, TransferTask, label_losses, mean_over_rows, register_method
from hatlit.types import Batch

#: Width of the discriminator's hidden layer.
WIDTH = 64

#: How fast the reversed gradient grows over training (γ of the paper).
RISE = 10.0


@register_method("dann")
class Dann(StudentMethod):
    """Trains one student on all sources' recordings and the target (DANN, Ganin et al. 2016, arXiv 1505.07818).

    It learns the labels of the sources' training rows and of the target's labelled few. A discriminator learns to tell
    target from source by the student's features; behind a gradient reversal the same loss makes the features alike.
    The sources' domains count as one, as in the paper.

    Args:
        student: untrained, with K outputs.
        views: (M, channels, *shape) the sources' training rows as the student sees them.
        labels: (M,) their classes, numbered as the target's.
        optimizer: how student and discriminator learn.
        seed: of the rows that are drawn.
        augment: whether they are randomly changed, as the target's rows are.

    Attributes:
        step: number of batches so far; what is drawn next depends on it and the seed alone.
    """

    needs_source_data: ClassVar[bool] = True

    step: Tensor
    _views: Tensor
    _labels: Tensor

    def __init__(
        self,
        student: Classifier,
        views: Tensor,
        labels: Tensor,
        optimizer: OptimizerConfig,
        seed: int = 0,
        augment: bool = False,
    ) -> None:
        super().__init__(student, optimizer)
        self.discriminator = nn.Sequential(nn.Linear(student.feature_dim, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))
        self._seed, self._augment = seed, augment
        self._planned_batches = math.inf
        self.register_buffer("step", torch.tensor(0))
        self.register_buffer("_views", views, persistent=False)
        self.register_buffer("_labels", labels, persistent=False)

    @classmethod
    def build(cls, task: TransferTask) -> Self:
        """Shows the student the training rows of every source's domain.

        Raises:
            InputError: there are no recordings of the sources' domains, or none of a class that the target has.
        """
        student, config = task.new_student(), task.config
        views, labels = source_rows(task.source_domains, task.target.class_names, student.input_spec)
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            return cls(student, views, labels, config.optimizer, config.seed, config.trainer.augment)

    def trained_parts(self) -> dict[str, Sequence[nn.Parameter]]:
        """Discriminator and student."""
        return {"discriminator": list(self.discriminator.parameters()), "student": list(self.student.parameters())}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of target and sources, and of the discriminator; one pass of the student serves both."""
        views, labels = self.draw(len(batch.label))
        features, logits = self.student.both(torch.cat([batch.target, views]))
        of_target, of_sources = logits.split(len(batch.label))
        domain = self.discriminator(reverse(features, self.strength())).squeeze(-1)
        is_target = torch.arange(len(domain), device=domain.device) < len(batch.label)
        told_apart = F.binary_cross_entropy_with_logits(domain, is_target.to(domain), reduction="none")
        student = mean_over_rows(*label_losses(of_target, batch.label))
        return {
            "discriminator": mean_over_rows(told_apart),
            "student": student + mean_over_rows(*label_losses(of_sources, labels)),
        }

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Views (count, channels, *shape) and classes (count,) of source rows for the present step."""
        mixed = np.random.SeedSequence((self._seed, int(self.step), self.global_rank)).generate_state(1)
        generator = torch.Generator().manual_seed(int(mixed[0]))
        rows = torch.randint(len(self._labels), (count,), generator=generator).to(self._labels.device)
        views = self._views[rows]
        if self._augment:  # else the discriminator would tell the domains apart by what augmentation does
            views = MODALITIES.get(self.view.modality).augment(views, self.view, generator)
        return views, self._labels[rows]

    def strength(self) -> float:
        """Factor of the reversed gradient: 2 / (1 + exp(−γ p)) − 1 after a share p of training; 0 before it."""
        progress = min(1.0, int(self.step) / self._planned_batches)
        return 2 / (1 + math.exp(-RISE * progress)) - 1

    def on_train_start(self) -> None:
        """Finds out how long training is."""
        super().on_train_start()
        self._planned_batches = float(self.trainer.estimated_stepping_batches)

    def after_batch(self, batch: Batch) -> None:
        """Counts the batch."""
        self.step += 1


def reverse(features: Tensor, strength: float) -> Tensor:
    """The features (B, feature_dim) themselves; a gradient that passes comes out times −strength."""
    still = features.detach()
    return still + strength * (still - features)


def source_rows(domains: Sequence[Domain], class_names: Sequence[str], view: InputSpec) -> tuple[Tensor, Tensor]:
    """Views (M, channels, *shape) and classes (M,) of all domains' training rows whose class the target has.

    Raises:
        InputError: there are no domains, or no such rows in them.
    """
    if not domains:
        raise InputError(
            "Method 'dann' learns from the recordings of the sources' domains, and none were given; those of students, "
            "of which few samples have labels, do not count."
        )
    by_name = {domain.name: domain for domain in domains}  # two sources may come from one domain
    parts = [_rows_of(domain, class_names, view) for domain in by_name.values() if _known_rows(domain, class_names)]
    if not parts:
        raise InputError(
            f"The sources' domains have no training sample of {', '.join(class_names[:5])}; "
            "rename the classes so that equal ones have equal names."
        )
    views, labels = (torch.cat(part) for part in zip(*parts, strict=True))
    return views, labels


def _rows_of(domain: Domain, class_names: Sequence[str], view: InputSpec) -> tuple[Tensor, Tensor]:
    rows = np.array(_known_rows(domain, class_names))
    labels = [class_names.index(domain.class_names[label]) for label in domain.labels[rows]]
    return build_view(domain.tensor(rows), domain.recorded, view), torch.tensor(labels)


def _known_rows(domain: Domain, class_names: Sequence[str]) -> list[int]:
    rows = labelled_rows(domain, split_domain(domain, LabelsConfig(), seed=0))
    return [row for row in rows if domain.class_names[domain.labels[row]] in class_names]
