"""What predictions are worth on the test part."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_f1_score,
)

#: Probabilities below this count as this much, so that one wrong certainty does not make the mean infinite.
SMALLEST = 1e-6


@dataclass(frozen=True)
class Quality:
    """How good predictions are; all but ``nll`` are shares in [0, 1].

    Attributes:
        accuracy: of all test samples.
        balanced_accuracy: mean of the accuracy on each class that has test samples.
        macro_f1: mean over the classes of F1.
        nll: mean negative log-likelihood of the right class (nats).
        calibration_error: expected calibration error over 15 bins of confidence (Guo et al. 2017).
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    nll: float
    calibration_error: float


def quality(probabilities: Tensor, label: Tensor) -> Quality:
    """Compares predicted probabilities (N, K) with the true classes (N,)."""
    # Weights that sum to a hair above one make sure predictions exceed one, and torchmetrics takes those for logits.
    probabilities = probabilities.clamp(0, 1)
    if probabilities.shape[1] == 1:  # torchmetrics wants two classes or more
        probabilities = F.pad(probabilities, (0, 1))
    count = probabilities.shape[1]
    shares = multiclass_accuracy(probabilities, label, count, average="none")
    tested = torch.bincount(label, minlength=count) > 0
    return Quality(
        float(multiclass_accuracy(probabilities, label, count, average="micro")),
        float(shares[tested].mean()),
        float(multiclass_f1_score(probabilities, label, count, average="macro")),
        float(F.nll_loss(probabilities.clamp_min(SMALLEST).log(), label)),
        float(multiclass_calibration_error(probabilities, label, count, n_bins=15)),
    )
