"""What the methods have in common that teach a student by frozen sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from hatlit.config import DistillationConfig, OptimizerConfig
from hatlit.encoders.base import Classifier
from hatlit.fusion.bank import SourceBank, SourceOutputs
from hatlit.fusion.mixer import fuse, prior_weights
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


class Seen(NamedTuple):
    """One batch, before the student has looked at it.

    Attributes:
        view: (B, channels, *shape) as the student sees it.
        outputs: what the sources say.
        label: (B,) class numbers, ``UNLABELLED`` where the class is not known.
    """

    view: Tensor
    outputs: SourceOutputs
    label: Tensor


class DistillingMethod(StudentMethod):
    """Base of methods whose student learns from the labels and, on every row, from what frozen sources say of it.

    A subclass says how the sources count (``weights``), or what else they teach (``taught``, ``hint``).

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
        self.hint: nn.Module | None = None

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

    def missed(self, lesson: Lesson) -> Tensor | None:
        """The loss (B,) of the hint on each row; None in methods without one."""
        return None

    def trained_parts(self) -> dict[str, Sequence[nn.Parameter]]:
        """The student, with its hint."""
        hint = [] if self.hint is None else list(self.hint.parameters())
        return {"student": [*self.student.parameters(), *hint]}

    def look_up(self, batch: Batch) -> Seen:
        """Asks the sources about a batch."""
        return Seen(batch.target, self.bank(batch.index), batch.label)

    def cost(self, seen: Seen) -> dict[str, Tensor]:
        """Labels, what is taught, and the hint."""
        lesson = self._lesson(seen)
        told = self.divergence(lesson, self.taught(lesson))
        return {"student": self.student_loss(lesson, told, self.missed(lesson))}

    def divergence(self, lesson: Lesson, taught: Tensor) -> Tensor:
        """How far the student is from what it is taught (B, K): (B,)."""
        return distillation(lesson.logits, taught, self.config.temperature)

    def student_loss(self, lesson: Lesson, told: Tensor, missed: Tensor | None = None) -> Tensor:
        """Cross-entropy on the labelled rows + ``distillation.weight`` · told + ``distillation.hint_weight`` · missed.

        Args:
            lesson: the batch.
            told: (B,) divergence from what is taught.
            missed: (B,) loss of the hint; None where there is none.
        """
        loss = mean_over_rows(*label_losses(lesson.logits, lesson.label))
        loss = loss + self.config.weight * mean_over_rows(told)
        return loss if missed is None else loss + self.config.hint_weight * mean_over_rows(missed)

    def lesson(self, batch: Batch) -> Lesson:
        """Asks student and sources about a batch."""
        return self._lesson(self.look_up(batch))

    def _lesson(self, seen: Seen) -> Lesson:
        return Lesson(*self.student.both(seen.view), seen.outputs, seen.label)


def even_weights(outputs: SourceOutputs) -> Tensor:
    """The same weight for each source (B, N), save that a source counts less on a row on which it abstains."""
    return prior_weights(outputs.known_mass)
