"""Adapt first, then freeze: a few gradient steps of a source on what the target has."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hatlit.config import AdaptConfig
from hatlit.cuda_check import ask_briefly
from hatlit.encoders.base import Classifier

#: Labelled rows a step; more than a handful of labels are taken in random portions.
ROWS_A_STEP = 64

#: Unlabelled rows a step: two for each class that there is to tell apart, within these limits, and no more than a
#: source is shown at a time elsewhere, where samples are large.
FEWEST_UNLABELLED, MOST_UNLABELLED = 32, 256

#: Probabilities below this count as this much where their logarithm is taken.
SMALLEST = 1e-8


class Unlabelled(NamedTuple):
    """What an adaptation may look at besides the labelled few.

    Attributes:
        view: (U, channels, *shape) unlabelled rows as the source sees them.
        classes: (C,) numbers of the source's own classes that the target has.
    """

    view: Tensor
    classes: Tensor


def adapt(
    source: Classifier,
    view: Tensor,
    label: Tensor,
    config: AdaptConfig,
    seed: int,
    unlabelled: Unlabelled | None = None,
) -> Classifier:
    """Fine-tunes a copy of a source on the labelled few, and makes it decide about other rows.

    Args:
        source: stays as it is.
        view: (L, channels, *shape) the labelled rows as this source sees them.
        label: (L,) numbers of the source's own classes; negative where the source does not know the class.
        config: what moves, how far and how long.
        seed: of dropout, and of the choice of rows where there are more than ``ROWS_A_STEP``.
        unlabelled: what else there is, if anything.

    Returns:
        The copy, frozen and in eval mode.
    """
    adapted = copy.deepcopy(source)
    known = label >= 0
    others = unlabelled if config.indecision and unlabelled is not None and len(unlabelled.view) else None
    if config.steps and (bool(known.any()) or others):
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # of dropout
            generator = torch.Generator().manual_seed(seed)
            _tune(adapted, view[known], label[known], config, generator, others)
    return freeze(adapted)


def indecision(logits: Tensor, frequencies: Tensor) -> Tensor:
    """How undecided answers are, or decided the same way too often: at least 0, which means that each is certain and
    every class is said as often as it should be.

    Mean entropy of the answers plus the divergence KL(their mean ‖ frequencies). With even frequencies this is log K
    less the information that the answers have about the rows (Bridle et al. 1991; as Liang et al. 2020, arXiv
    2002.08546, adapt a source with it).

    Args:
        logits: (B, K)
        frequencies: (K,) of the classes; positive, sum to one.
    """
    said = logits.softmax(-1)
    mean = said.mean(0)
    return _entropy(said).mean() - _entropy(mean) - (mean * frequencies.log()).sum()


def _entropy(probabilities: Tensor) -> Tensor:
    return -(probabilities * probabilities.clamp_min(SMALLEST).log()).sum(-1)


def frequencies_among(label: Tensor, classes: Tensor) -> Tensor:
    """How frequent classes are among labels (L,), each counted once more than it is there: (K,), sums to one."""
    counts = (label.unsqueeze(0) == classes.unsqueeze(1)).sum(1) + 1.0
    return counts / counts.sum()


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


def keep_batch_statistics(source: nn.Module) -> None:
    """Puts batch norm in eval mode: a handful of rows would overwrite what a whole domain says of mean and variance."""
    for module in source.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def _tune(
    source: Classifier,
    view: Tensor,
    label: Tensor,
    config: AdaptConfig,
    generator: torch.Generator,
    unlabelled: Unlabelled | None,
) -> None:
    source.train().requires_grad_(False)
    keep_batch_statistics(source)
    moving = moving_parameters(source, config.part)
    for parameter in moving:
        parameter.requires_grad_(True)
    start = [parameter.detach().clone() for parameter in moving]
    ask_briefly()
    optimizer = torch.optim.Adam(moving, lr=config.learning_rate, fused=True)
    others, classes = unlabelled or Unlabelled(view[:0], torch.arange(0))
    portion = min(MOST_UNLABELLED, max(FEWEST_UNLABELLED, 2 * len(classes)), source.input_spec.rows_a_pass)
    frequencies = frequencies_among(label, classes)
    for _ in range(config.steps):
        rows = torch.randperm(len(label), generator=generator)[:ROWS_A_STEP]
        beside = torch.randperm(len(others), generator=generator)[:portion]
        # One pass for both: two of a few rows each would take nearly twice as long.
        answers = source(torch.cat([view[rows], others[beside]]))
        loss = F.cross_entropy(answers[: len(rows)], label[rows]) if len(rows) else answers.new_zeros(())
        if len(beside):
            loss = loss + config.indecision * indecision(answers[len(rows) :, classes], frequencies)
        if config.pull:
            loss = loss + config.pull * pull_to_start(moving, start)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
