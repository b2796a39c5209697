"""What a model costs a device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hatlit.encoders.base import Classifier, InputSpec
from hatlit.threads import one_thread

#: Multiply-accumulate operations of a batch, forward. Below, a second thread makes a training step at most 1.5 times as
#: fast on two idle cores, while on busy ones every operation waits for the thread that gets its core last.
WORTH_THREADS = 200_000_000


@dataclass(frozen=True, order=True)
class Cost:
    """Cost of a model on a device, ordered by parameters, then multiplications.

    Attributes:
        parameters: numbers that were learned.
        macs: multiply-accumulate operations for one sample, those of convolutions and matrix products.
        size_bytes: of the weights and buffers, in their own number format.
    """

    parameters: int
    macs: int
    size_bytes: int


def cost(model: nn.Module, view: InputSpec) -> Cost:
    """Counts what a model costs for one sample of a view; the model is left as it was."""
    learning = [module for module in model.modules() if module.training]
    sample = view.blank(1).to(next(model.parameters()).device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(sample)
    for module in learning:  # one by one: a pretrained part may be in eval mode where the rest is not
        module.training = True
    return Cost(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        macs=counter.get_total_flops() // 2,
        size_bytes=sum(value.numel() * value.element_size() for value in model.state_dict().values()),
    )


def threads_for(model: Classifier, rows: int) -> AbstractContextManager[None]:
    """Lets torch train a model on so many rows a step with one thread, or with all where a step is worth them."""
    return nullcontext() if cost(model, model.input_spec).macs * rows >= WORTH_THREADS else one_thread()
