"""An injection loss that never drowns the labels."""

from torch import Tensor

from hatlit.injection.losses.base import INJECTION_LOSSES


@INJECTION_LOSSES.register()
def additive(labels: Tensor, dictionary: Tensor, alpha: Tensor | float) -> Tensor:
    """labels + alpha · dictionary: however sure the mixer is, the labels keep their full weight."""
    return labels + alpha * dictionary
