"""The library of skeletons: untrained student architectures, cheapest first."""

from __future__ import annotations

from typing import NamedTuple

from hatlit.encoders.base import ENCODERS, InputSpec, build_classifier, suits
from hatlit.errors import InputError
from hatlit.students.budget import Cost, cost


class Skeleton(NamedTuple):
    """An untrained student architecture: its name in the registry of encoders, and what it costs a device."""

    name: str
    cost: Cost


def skeletons(view: InputSpec, num_classes: int) -> list[Skeleton]:
    """Every registered encoder that can be a student of such views, cheapest first.

    Args:
        view: what the device sees; its modality decides which encoders count.
        num_classes: number of classes it tells apart.
    """
    names = [name for name in ENCODERS.names(view.modality) if suits(name, view)]
    models = [build_classifier(name, view, num_classes) for name in names]
    library = [Skeleton(name, cost(model, model.input_spec)) for name, model in zip(names, models, strict=True)]
    return sorted(library, key=lambda skeleton: skeleton.cost)


def default_student(view: InputSpec) -> str:
    """The student where the user names none: the first registered ``_nano`` that suits the view, or any that does.

    Raises:
        InputError: none does.
    """
    names = ENCODERS.names(view.modality)
    for name in [*(one for one in names if one.endswith("_nano")), *names]:
        if suits(name, view):
            return name
    raise InputError(
        f"No encoder is registered that can look at {view.modality} samples over {' x '.join(view.axes)} "
        f"of {' x '.join(map(str, view.shape))}; name one with --student."
    )
