"""What a loss of the student is."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from hatlit.registry import Registry

#: An entry combines the mean label loss and the weighted mean dictionary loss: (labels, dictionary, alpha) to a total.
#: Alpha is zero until the dictionary is first written.
InjectionLoss = Callable[[Tensor, Tensor, Tensor], Tensor]

INJECTION_LOSSES: Registry[InjectionLoss] = Registry(
    "injection loss", home="hatlit.injection.losses", group="hatlit.injection_losses"
)
