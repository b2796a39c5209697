"""Words shared by every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

#: The label of a sample whose class is not known.
UNLABELLED = -1


@dataclass(frozen=True)
class Batch:
    """Rows of one target domain, seen twice.

    Attributes:
        index: (B,) row numbers within the training rows of the target; they address the knowledge dictionary and the
            cached source outputs.
        recorded: (N, channels, *shape) all training rows as recorded, the same tensor in every batch.
        target: (B, channels, *shape) the samples as the student sees them, augmented while training; of another
            modality where the recordings of two are paired.
        label: (B,) class numbers, ``UNLABELLED`` where the class is not known.
    """

    index: Tensor
    recorded: Tensor
    target: Tensor
    label: Tensor

    @property
    def source(self) -> Tensor:
        """(B, channels, *shape) the samples as recorded, looked up when asked for; each source builds its own view."""
        return self.recorded[self.index.to(self.recorded.device)].to(self.target.device)

    def to(self, device: Any, non_blocking: bool = False) -> Batch:
        """Moves what belongs to these rows to a device. Lightning finds this method and uses it."""
        index, target, label = (
            tensor.to(device, non_blocking=non_blocking) for tensor in (self.index, self.target, self.label)
        )
        return Batch(index, self.recorded, target, label)
