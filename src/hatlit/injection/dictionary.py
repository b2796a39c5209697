"""The knowledge dictionary: for each training row, the best fused prediction so far."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hatlit.config import DictionaryConfig


def gate_opens(accuracy: float, best: float, config: DictionaryConfig) -> bool:
    """Whether a mixer of this accuracy may write: A ≥ b, and A > best (or A ≥ best where the gate is not strict).

    Without a gate it always may.
    """
    if not config.gate:
        return True
    improved = accuracy > best if config.strict else accuracy >= best
    return improved and accuracy >= config.threshold


def sharpen(fused: Tensor, power: float) -> Tensor:
    """p^power, renormalised: fused (B, K) in, (B, K) out. A power above one makes predictions bolder.

    At a power of one, rows stay as they are: they sum to one already.
    """
    if power == 1:
        return fused
    raised = fused.clamp_min(0).pow(power)
    return raised / raised.sum(-1, keepdim=True).clamp_min(torch.finfo(raised.dtype).tiny)


class KnowledgeDictionary(nn.Module):
    """Fused predictions that the student learns from, written only when the mixer got better.

    Everything is a buffer, so checkpoints hold it.

    Args:
        rows: number of training rows.
        num_classes: K.
        config: the gate.
    """

    entries: Tensor
    best: Tensor
    writes: Tensor

    def __init__(self, rows: int, num_classes: int, config: DictionaryConfig) -> None:
        super().__init__()
        self._config = config
        self.register_buffer("entries", torch.full((rows, num_classes), 1 / num_classes))
        self.register_buffer("best", torch.tensor(-1.0))
        self.register_buffer("writes", torch.tensor(0))

    def accepts(self, accuracy: float) -> bool:
        """Whether fused predictions of a mixer of this accuracy would be taken."""
        kept = float(torch.tensor(accuracy, dtype=self.best.dtype))  # equal accuracies must stay equal when kept
        return gate_opens(kept, float(self.best), self._config)

    def write(self, accuracy: float, fused: Tensor) -> None:
        """Takes the fused predictions (rows, K) of a mixer that ``accepts`` let pass."""
        self.best.fill_(accuracy)
        self.entries.copy_(fused)
        self.writes += 1

    def forward(self, rows: Tensor) -> Tensor:
        """Looks training rows (B,) up: (B, K)."""
        return self.entries[rows]
