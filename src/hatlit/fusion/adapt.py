"""Adapt first, then freeze: a few gradient steps of a source on the labelled few."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hatlit.config import AdaptConfig
from hatlit.encoders.base import Classifier

#: Labelled rows a step; more than a handful of labels are taken in random portions.
ROWS_A_STEP = 64


def adapt(source: Classifier, view: Tensor, label: Tensor, config: AdaptConfig, seed: int) -> Classifier:
    """Fine-tunes a copy of a source on the labelled few.

    Args:
        source: stays as it is.
        view: (L, channels, *shape) the labelled rows as this source sees them.
        label: (L,) numbers of the source's own classes; negative where the source does not know the class.
        config: what moves, how far and how long.
        seed: of dropout, and of the choice of rows where there are more than ``ROWS_A_STEP``.

    Returns:
        The copy, frozen and in eval mode.
    """
    adapted = copy.deepcopy(source)
    known = label >= 0
    if config.steps and bool(known.any()):
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # of dropout
            _tune(adapted, view[known], label[known], config, torch.Generator().manual_seed(seed))
    return freeze(adapted)


def freeze(source: Classifier) -> Classifier:
    """Puts a source in eval mode and takes its parameters out of every gradient; returns it."""
    source.eval().requires_grad_(False).zero_grad()
    return source


def moving_parameters(source: Classifier, part: str) -> list[nn.Parameter]:
    """The parameters that adaptation may move: of the whole source, of its last block and head, or of its head."""
    if part == "head":
        return list(source.head.parameters())
    if part == "last_block":
        blocks = _blocks(source.encoder)
        return [*(blocks[-1].parameters() if blocks else []), *source.head.parameters()]
    return list(source.parameters())


def _blocks(module: nn.Module) -> list[nn.Module]:
    """The children that have parameters; where a module merely wraps another one, those of the other."""
    blocks = [block for block in module.children() if any(True for _ in block.parameters())]
    inner = _blocks(blocks[0]) if len(blocks) == 1 else []
    return inner or blocks


def pull_to_start(parameters: list[nn.Parameter], start: list[Tensor]) -> Tensor:
    """Squared distance to the start, Σ ‖θ − θ₀‖² (L2-SP, Li et al. 2018)."""
    return torch.stack([(now - then).square().sum() for now, then in zip(parameters, start, strict=True)]).sum()


def _tune(source: Classifier, view: Tensor, label: Tensor, config: AdaptConfig, generator: torch.Generator) -> None:
    source.train().requires_grad_(False)
    for module in source.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()  # a handful of rows would overwrite what a whole domain has to say about mean and variance
    moving = moving_parameters(source, config.part)
    for parameter in moving:
        parameter.requires_grad_(True)
    start = [parameter.detach().clone() for parameter in moving]
    optimizer = torch.optim.Adam(moving, lr=config.learning_rate)
    for _ in range(config.steps):
        rows = torch.randperm(len(label), generator=generator)[:ROWS_A_STEP]
        loss = F.cross_entropy(source(view[rows]), label[rows])
        if config.pull:
            loss = loss + config.pull * pull_to_start(moving, start)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
