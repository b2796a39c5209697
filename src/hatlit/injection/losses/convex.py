"""The published injection loss."""

from torch import Tensor

from hatlit.injection.losses.base import INJECTION_LOSSES


@INJECTION_LOSSES.register()
def convex(labels: Tensor, dictionary: Tensor, alpha: Tensor | float) -> Tensor:
    """(1 − alpha) · labels + alpha · dictionary (HaT). At alpha = 1 the labels are silent."""
    return (1 - alpha) * labels + alpha * dictionary
