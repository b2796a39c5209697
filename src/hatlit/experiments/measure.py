"""What a finished student is worth on the test part."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score

from hatlit.datamodules.target.batches import evaluation_loader
from hatlit.datamodules.target.data import TargetRows


@dataclass(frozen=True)
class Quality:
    """Shares in [0, 1].

    Attributes:
        accuracy: of all test samples.
        balanced_accuracy: mean of the accuracy on each class that has test samples.
        macro_f1: mean over the classes of F1.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float


def quality(predicted: Tensor, label: Tensor, num_classes: int) -> Quality:
    """Compares predicted classes (N,) with the true ones (N,)."""
    count = max(num_classes, 2)
    shares = multiclass_accuracy(predicted, label, count, average="none")
    tested = torch.bincount(label, minlength=count) > 0
    return Quality(
        float(multiclass_accuracy(predicted, label, count, average="micro")),
        float(shares[tested].mean()),
        float(multiclass_f1_score(predicted, label, count, average="macro")),
    )


@torch.no_grad()
def predict(student: nn.Module, rows: TargetRows) -> Tensor:
    """Class numbers (N,) that a student gives to rows, in eval mode."""
    student.eval()
    device = next(student.parameters()).device
    return torch.cat([student(batch.target.to(device)).argmax(-1).cpu() for batch in evaluation_loader(rows)])
