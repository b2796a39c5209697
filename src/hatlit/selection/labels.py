"""Label spaces that only partly overlap: sources answer in the target's words, or abstain."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hatlit.errors import InputError

#: Column number of a target class that a source does not know.
UNKNOWN = -1


def align(source_classes: Sequence[str], target_classes: Sequence[str]) -> tuple[int, ...]:
    """Finds each target class among the source's classes, by name.

    Returns:
        For each of the K target classes its number in the source, or ``UNKNOWN``.

    Raises:
        InputError: the two have no class name in common.
    """
    position = {name: number for number, name in enumerate(source_classes)}
    columns = tuple(position.get(name, UNKNOWN) for name in target_classes)
    if all(column == UNKNOWN for column in columns):
        raise InputError(
            f"The label names do not overlap: the source knows {', '.join(source_classes[:5])}, "
            f"the target has {', '.join(target_classes[:5])}; rename the classes so that equal ones have equal names."
        )
    return columns


def to_target_classes(probabilities: Tensor, columns: Sequence[int]) -> Tensor:
    """Picks from a source's probabilities (..., source classes) those of the target's classes (..., K).

    A class unknown to the source gets zero. What the source gives to classes that the target lacks is missing, so rows
    may sum to less than one: that is how a source abstains.
    """
    known = torch.tensor([column != UNKNOWN for column in columns], device=probabilities.device)
    index = torch.tensor([max(column, 0) for column in columns], device=probabilities.device)
    return probabilities[..., index] * known


def to_source_classes(labels: Tensor, columns: Sequence[int]) -> Tensor:
    """Turns target class numbers (B,) into the source's, ``UNKNOWN`` where the source does not know the class."""
    return torch.tensor(columns, device=labels.device)[labels]
