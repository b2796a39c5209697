"""The library of skeletons: untrained student architectures, cheapest first."""

from __future__ import annotations

from typing import NamedTuple

import torch

from hatlit.config import DeviceConfig
from hatlit.encoders.base import ENCODERS, InputSpec, build_classifier, suits
from hatlit.errors import InputError
from hatlit.students.budget import Cost, cost
from hatlit.students.latency import measured_ms

#: What the user names where the student is to be the best of those that fit; see ``hatlit.students.ranking``.
AUTO = "auto"

#: How the names end of what is tried at most where nothing limits the device.
LARGEST_UNLIMITED = "_tiny"


class Skeleton(NamedTuple):
    """An untrained student architecture: its name in the registry of encoders, and what it costs a device.

    Attributes:
        name: in the registry.
        cost: what it takes to hold and to run.
        milliseconds: median of one pass over one sample on this machine.
    """

    name: str
    cost: Cost
    milliseconds: float

    def fits(self, device: DeviceConfig) -> bool:
        """Whether a device can carry it."""
        takes = {
            "max_parameters": self.cost.parameters,
            "max_macs": self.cost.macs,
            "max_bytes": self.cost.size_bytes,
            "max_latency_ms": self.milliseconds,
        }
        return all(takes[name] <= limit for name, limit in device.limits.items())


def skeletons(view: InputSpec, num_classes: int) -> list[Skeleton]:
    """Every registered encoder that can be a student of such views, cheapest first.

    Args:
        view: what the device sees; its modality decides which encoders count.
        num_classes: number of classes it tells apart.
    """
    names = [name for name in ENCODERS.names(view.modality) if suits(name, view)]
    return sorted((skeleton(name, view, num_classes) for name in names), key=lambda one: one.cost)


def skeleton(name: str, view: InputSpec, num_classes: int) -> Skeleton:
    """One architecture with what it costs; the global random numbers are left as they were.

    Raises:
        InputError: it cannot take such views.
    """
    with torch.random.fork_rng(devices=[]):
        model = build_classifier(name, view, num_classes, pretrained=False).eval()
    return Skeleton(name, cost(model, model.input_spec), measured_ms(name, model, model.input_spec))


def fitting(view: InputSpec, num_classes: int, device: DeviceConfig) -> list[Skeleton]:
    """The skeletons that a device can carry, cheapest first; where nothing limits it, those of at most ``_tiny`` size.

    Raises:
        InputError: none can, or none can look at such views.
    """
    library = skeletons(view, num_classes)
    if not library:
        default_student(view)  # says that none can look at such views
    if not device.limits:
        small = [place for place, one in enumerate(library, start=1) if one.name.endswith(LARGEST_UNLIMITED)]
        return library[: small[-1]] if small else library
    found = [one for one in library if one.fits(device)]
    if found:
        return found
    smallest, fastest = library[0], min(library, key=lambda one: one.milliseconds)
    raise InputError(
        f"No student fits {_limits(device)}: the smallest, {_told(smallest)}, and the fastest, {_told(fastest)}."
    )


def choose_student(name: str | None, view: InputSpec, num_classes: int, device: DeviceConfig) -> str:
    """The student of a run: the one named, or the largest within the limits of the device, or the usual one.

    Args:
        name: what the user asks for, if anything; ``AUTO`` stays as it is where any student fits.
        view: what the device sees.
        num_classes: number of classes it tells apart.
        device: with its limits, if it has any.

    Raises:
        InputError: the one named does not fit, none does, or none can look at such views.
    """
    if name == AUTO:
        fitting(view, num_classes, device)
        return AUTO
    if not device.limits:
        return name or default_student(view)
    if not name:
        return fitting(view, num_classes, device)[-1].name
    asked = skeleton(name, view, num_classes)
    if not asked.fits(device):
        raise InputError(f"The student {_told(asked)}, more than {_limits(device)}; name a smaller one, or none.")
    return name


def _told(one: Skeleton) -> str:
    cost = one.cost
    size = f"{cost.size_bytes} bytes and {one.milliseconds:g} ms"
    return f"{one.name}, takes {size} ({cost.parameters} parameters, {cost.macs} MACs)"


def _limits(device: DeviceConfig) -> str:
    return " and ".join(f"--device.{name} {limit:g}" for name, limit in device.limits.items())


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
        f"of {' x '.join(map(str, view.shape))} (channels: {', '.join(view.channels)}); name one with --student."
    )
