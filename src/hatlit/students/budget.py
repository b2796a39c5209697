"""What a model costs a device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hatlit.encoders.base import InputSpec


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
    was_training = model.training
    sample = view.blank(1).to(next(model.parameters()).device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(sample)
    model.train(was_training)
    return Cost(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        macs=counter.get_total_flops() // 2,
        size_bytes=sum(value.numel() * value.element_size() for value in model.state_dict().values()),
    )
