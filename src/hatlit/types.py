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
        source: (B, channels, *shape) the samples as recorded; each source builds its own view of them.
        target: (B, channels, *shape) the samples as the student sees them, augmented while training; of another
            modality where the recordings of two are paired.
        label: (B,) class numbers, ``UNLABELLED`` where the class is not known.
    """

    index: Tensor
    source: Tensor
    target: Tensor
    label: Tensor

    def to(self, device: Any, non_blocking: bool = False) -> Batch:
        """Moves every tensor to a device. Lightning finds this method and uses it."""
        index, source, target, label = (
            tensor.to(device, non_blocking=non_blocking)
            for tensor in (self.index, self.source, self.target, self.label)
        )
        return Batch(index, source, target, label)
