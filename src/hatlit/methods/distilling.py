"""What the methods have in common that teach a student by frozen sources."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor

from hatlit.config import DistillationConfig, OptimizerConfig
from hatlit.encoders.base import Classifier
from hatlit.fusion.bank import SourceBank, SourceOutputs
from hatlit.fusion.mixer import attention_weights, fuse
from hatlit.injection.losses.distillation import distillation
from hatlit.methods.base import StudentMethod, TransferTask, label_losses, mean_over_rows
from hatlit.methods.teachers import frozen_bank
from hatlit.types import Batch


class Lesson(NamedTuple):
    """One batch, as a method that distils looks at it.

    Attributes:
        features: (B, student_dim) of the student.
        logits: (B, K) of the student.
        outputs: what the sources say.
        label: (B,) class numbers, ``UNLABELLED`` where the class is not known.
    """

    features: Tensor
    logits: Tensor
    outputs: SourceOutputs
    label: Tensor


class DistillingMethod(StudentMethod):
    """Base of methods whose student learns from the labels and, on every row, from what frozen sources say of it.

    A subclass says how the sources count (``weights``), or what else they teach (``taught``, ``losses``).

    Args:
        student: untrained, with K outputs.
        bank: the frozen sources with their outputs on the training rows.
        config: how much the sources' word weighs.
        optimizer: how the student learns.
    """

    def __init__(
        self, student: Classifier, bank: SourceBank, config: DistillationConfig, optimizer: OptimizerConfig
    ) -> None:
        super().__init__(student, optimizer)
        self.bank = bank
        self.config = config

    @classmethod
    def build(cls, task: TransferTask) -> Self:
        """Takes a new student and the adapted, frozen sources; random initial weights depend on the seed alone."""
        student, bank = task.new_student(), frozen_bank(task)
        with torch.random.fork_rng():
            torch.manual_seed(task.config.seed)
            return cls(student, bank, task.config.distillation, task.config.optimizer)

    def weights(self, lesson: Lesson) -> Tensor:
        """How much each source counts on each row: (B, N), rows sum to one; alike, unless a subclass knows better."""
        return even_weights(lesson.outputs)

    def taught(self, lesson: Lesson) -> Tensor:
        """What the student is taught on each row: (B, K), rows sum to one."""
        return fuse(self.weights(lesson), lesson.outputs.probabilities)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy on the labelled rows, and ``distillation.weight`` times the divergence from what is taught."""
        lesson = self.lesson(batch)
        told = distillation(lesson.logits, self.taught(lesson), self.config.temperature)
        return {"student": self.label_loss(lesson) + self.config.weight * mean_over_rows(told, every_row(lesson))}

    def lesson(self, batch: Batch) -> Lesson:
        """Asks student and sources about a batch."""
        return Lesson(*self.student.both(batch.target), self.bank(batch.index), batch.label)

    def label_loss(self, lesson: Lesson) -> Tensor:
        """Mean cross-entropy of the labelled rows."""
        return mean_over_rows(*label_losses(lesson.logits, lesson.label))


def even_weights(outputs: SourceOutputs) -> Tensor:
    """The same weight for each source (B, N), save that a source counts less on a row on which it abstains."""
    mass = outputs.known_mass
    return attention_weights(torch.zeros(len(mass), 1, mass.shape[1], device=mass.device), mass)


def every_row(lesson: Lesson) -> Tensor:
    """The mask (B,) of all rows."""
    return torch.ones_like(lesson.label, dtype=torch.bool)
