"""Several frozen sources that answer together: what a device could do that had room for all of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from hatlit.config import OptimizerConfig
from hatlit.datamodules.target.data import TargetRows
from hatlit.encoders.base import InputSpec
from hatlit.fusion.bank import SourceBank, SourceOutputs
from hatlit.fusion.mixer import attention_weights, fuse, mixer_loss
from hatlit.methods.base import TransferMethod, TransferTask, mean_over_rows, register_method
from hatlit.methods.distilling import even_weights
from hatlit.methods.teachers import frozen_bank
from hatlit.types import UNLABELLED, Batch

#: The weights' learning rate in terms of the student's: a few numbers that start alike have far to go in few steps.
TIMES_LEARNING_RATE = 25


class Ensemble(TransferMethod):
    """Base of methods whose sources answer together in the end, p(x) = Σ_i a_i(x) p_i(x), with no student.

    Args:
        view: what the method's own rows look like; the sources see the recording.
        bank: the frozen sources with their outputs on the training rows.
        optimizer: how the weights learn, where they do.
    """

    leaves: ClassVar[Literal["student", "source", "ensemble"]] = "ensemble"

    def __init__(self, view: InputSpec, bank: SourceBank, optimizer: OptimizerConfig) -> None:
        super().__init__(view, optimizer)
        self.bank = bank

    @classmethod
    def build(cls, task: TransferTask) -> Self:
        """Takes the adapted, frozen sources."""
        return cls(task.student_spec, frozen_bank(task), task.config.optimizer)

    @abstractmethod
    def weights(self, outputs: SourceOutputs) -> Tensor:
        """How much each source counts on each row: (B, N), rows sum to one."""

    def models(self) -> Sequence[nn.Module]:
        """The sources."""
        return self.bank.sources

    def predict(self, rows: TargetRows) -> Tensor:
        """What the sources say together: (N, K)."""
        fused, _ = self.explain(rows)
        return fused

    @property
    def weighed(self) -> Sequence[str]:
        """The selected sources."""
        return self.bank.names

    @torch.no_grad()
    def explain(self, rows: TargetRows) -> tuple[Tensor, Tensor]:
        """Fused predictions (N, K) and weights of the sources (N, N_p)."""
        outputs = self.bank.ask(rows.source)
        weights = self.weights(outputs)
        return fuse(weights, outputs.probabilities).cpu(), weights.cpu()


@register_method()
class UniformEnsemble(Ensemble):
    """Answers with the plain mean of the sources' predictions, Σ_i p_i(x) / N; nothing is trained."""

    needs_labels: ClassVar[bool] = False
    tunable: ClassVar[bool] = False

    def weights(self, outputs: SourceOutputs) -> Tensor:
        """All alike, save that a source counts less on a row on which it abstains: (B, N)."""
        return even_weights(outputs)


@register_method()
class WeightedEnsemble(Ensemble):
    """Answers with a mean of the sources' predictions whose weights, the same for all rows, the labelled few teach.

    The weights are softmax(w) of N numbers that minimise −log Σ_i a_i p_i(x)_y (linear opinion pool; Genest and Zidek
    1986). They start alike, so that before training it is the uniform ensemble.

    Args:
        view: what the method's own rows look like; the sources see the recording.
        bank: the frozen sources with their outputs on the training rows.
        optimizer: how the weights learn.
    """

    def __init__(self, view: InputSpec, bank: SourceBank, optimizer: OptimizerConfig) -> None:
        super().__init__(view, bank, optimizer)
        self.logits = nn.Parameter(torch.zeros(len(bank)))

    def weights(self, outputs: SourceOutputs) -> Tensor:
        """The learned ones, save that a source counts less on a row on which it abstains: (B, N)."""
        mass = outputs.known_mass
        return attention_weights(self.logits.expand(len(mass), 1, -1), mass)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the fused predictions on the labelled rows."""
        outputs = self.bank(batch.index)
        fused = fuse(self.weights(outputs), outputs.probabilities)
        loss = mixer_loss(fused, batch.label.clamp_min(0))
        return {"weights": mean_over_rows(loss, batch.label != UNLABELLED)}

    def trained_parts(self) -> dict[str, Sequence[nn.Parameter]]:
        """The weights."""
        return {"weights": [self.logits]}

    def optimizer_settings(self, part: str) -> dict[str, float]:
        """As the student's, with a bolder learning rate."""
        settings = super().optimizer_settings(part)
        return {**settings, "lr": settings["lr"] * TIMES_LEARNING_RATE}
