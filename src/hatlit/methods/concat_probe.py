"""One linear head on the features of all sources side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hatlit.config import OptimizerConfig
from hatlit.datamodules.target.data import TargetRows
from hatlit.encoders.base import InputSpec
from hatlit.fusion.bank import SourceBank, SourceOutputs
from hatlit.methods.base import TransferMethod, TransferTask, register_method
from hatlit.methods.teachers import frozen_bank

#: The largest entry of the gradient at which the head counts as fitted; float64 tells losses apart down to about here.
GRADIENT_TOLERANCE = 1e-7

#: A step or a gain smaller than this is rounding.
CHANGE_TOLERANCE = 1e-15

#: Iterations after which the search ends in any case.
MOST_ITERATIONS = 1000


@register_method()
class ConcatProbe(TransferMethod):
    """Fits a logistic regression on the concatenated features of all frozen sources; it is ready when it is built.

    Each feature is standardised over the training rows, so that no source speaks louder for its scale; a wider source
    still speaks louder than a narrow one.

    Args:
        view: what the method's own rows look like; the sources see the recording.
        bank: the frozen sources.
        head: from the features of all sources, side by side, to the K classes.
        optimizer: of no use here; every method has one.
    """

    tunable: ClassVar[bool] = False
    leaves: ClassVar[Literal["student", "source", "ensemble"]] = "ensemble"

    #: Ridge penalty λ. In the words of scikit-learn, C = 1 / (λ L): strong, for a handful of rows and many features.
    ridge: ClassVar[float] = 1.0

    def __init__(self, view: InputSpec, bank: SourceBank, head: nn.Linear, optimizer: OptimizerConfig) -> None:
        super().__init__(view, optimizer)
        self.bank = bank
        self.head = head.requires_grad_(False)

    @classmethod
    def build(cls, task: TransferTask) -> Self:
        """Takes the adapted, frozen sources and fits the head on the labelled few."""
        bank, rows = frozen_bank(task), task.target.rows(task.student_spec)
        features = side_by_side(bank(rows.labelled))
        head = fit_head(features, rows.label[rows.labelled], task.num_classes, cls.ridge)
        return cls(task.student_spec, bank, head.float(), task.config.optimizer)

    def models(self) -> Sequence[nn.Module]:
        """The sources and the head."""
        return [*self.bank.sources, self.head]

    @torch.no_grad()
    def predict(self, rows: TargetRows) -> Tensor:
        """What the head makes of the features of all sources: (N, K)."""
        return self.head(side_by_side(self.bank.ask(rows.source))).softmax(-1).cpu()


def side_by_side(outputs: SourceOutputs) -> Tensor:
    """The standardised features of all sources, (B, Σ_i feature_dim_i)."""
    return torch.cat(outputs.features, dim=-1)


def head_loss(head: nn.Linear, features: Tensor, label: Tensor, ridge: float) -> Tensor:
    """Mean cross-entropy + λ/2 ‖W‖², a scalar, for features (L, D) and label (L,); the bias is free."""
    return F.cross_entropy(head(features), label) + ridge / 2 * head.weight.square().sum()


def fit_head(features: Tensor, label: Tensor, num_classes: int, ridge: float) -> nn.Linear:
    """The head that minimises ``head_loss``, found by L-BFGS from zero in float64.

    Args:
        features: (L, D) standardised.
        label: (L,) class numbers below K; a class without rows ends with a low bias.
        num_classes: K.
        ridge: λ, above zero.

    Returns:
        From D features to K logits, in float64.
    """
    features = features.double()
    head = nn.utils.skip_init(nn.Linear, features.shape[1], num_classes, dtype=torch.float64, device=features.device)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    solver = torch.optim.LBFGS(
        head.parameters(),
        max_iter=MOST_ITERATIONS,
        tolerance_grad=GRADIENT_TOLERANCE,
        tolerance_change=CHANGE_TOLERANCE,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        solver.zero_grad()
        loss = head_loss(head, features, label, ridge)
        loss.backward()
        return loss

    solver.step(closure)
    return head
