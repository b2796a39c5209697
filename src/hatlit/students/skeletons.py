"""The library of skeletons: untrained student architectures, cheapest first."""

from __future__ import annotations

from typing import NamedTuple

from hatlit.encoders.base import ENCODERS, InputSpec, build_classifier
from hatlit.students.budget import Cost, cost


class Skeleton(NamedTuple):
    """An untrained student architecture: its name in the registry of encoders, and what it costs a device."""

    name: str
    cost: Cost


def skeletons(view: InputSpec, num_classes: int) -> list[Skeleton]:
    """Every registered encoder that can be a student of such views, cheapest first.

    Args:
        view: what the student sees; its modality decides which encoders count.
        num_classes: number of classes it tells apart.
    """
    names = ENCODERS.names(view.modality)
    library = [Skeleton(name, cost(build_classifier(name, view, num_classes), view)) for name in names]
    return sorted(library, key=lambda skeleton: skeleton.cost)
