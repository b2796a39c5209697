"""Domains, and what every modality must offer for them: views and augmentation."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError, unknown_name
from hatlit.registry import Registry


@dataclass(frozen=True)
class Domain:
    """The data of one user, device, room or site.

    Attributes:
        name: what the user calls it.
        samples: (N, channels, *shape) as recorded, any number type; in time order inside a group.
        labels: (N,) int64 class numbers into ``class_names``; ``UNLABELLED`` where the class is not known.
        groups: (N,) int64 number of the recording a sample was cut from; no split may tear a group apart.
        recorded: how ``samples`` are laid out.
        class_names: names of the classes of the whole data set.
    """

    name: str
    samples: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    recorded: InputSpec
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything in the domain; it changes when anything in it does."""
        digest = hashlib.sha256(self.name.encode())
        digest.update(self.recorded.model_dump_json().encode())
        digest.update("\0".join(self.class_names).encode())
        for array in (self.samples, self.labels, self.groups):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def tensor(self, rows: np.ndarray | None = None) -> Tensor:
        """Returns the samples, or some rows of them, as float32 (rows, channels, *shape)."""
        chosen = self.samples if rows is None else self.samples[rows]
        return torch.from_numpy(np.ascontiguousarray(chosen, dtype=np.float32))


@dataclass(frozen=True)
class DomainSet:
    """The domains of one data set.

    Attributes:
        name: name of the data set in the registry.
        modality: what the samples are.
        domains: one entry a domain, in the order of the data set.
        class_names: names of the classes.
        is_demo: True where the samples are synthetic; everything shown to the user then says so.
    """

    name: str
    modality: str
    domains: tuple[Domain, ...]
    class_names: tuple[str, ...]
    is_demo: bool = False

    @property
    def names(self) -> list[str]:
        """Names of the domains."""
        return [domain.name for domain in self.domains]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all domains; it changes when anything in one of them does."""
        return hashlib.sha256("".join(domain.fingerprint for domain in self.domains).encode()).hexdigest()

    def domain(self, name: str) -> Domain:
        """Looks a domain up by name.

        Raises:
            InputError: the data set has no such domain; the message names the nearest.
        """
        for domain in self.domains:
            if domain.name == name:
                return domain
        raise unknown_name("domain", name, self.names, where=f"of data set '{self.name}'")


class DatasetReader(Protocol):
    """An entry of the data set registry.

    The docstring's first line says what the data set is; lines that begin with ``Licence:``, ``Citation:`` and, where
    it was published, ``Source:`` follow.
    """

    def __call__(self, root: Path | None, modality: str) -> DomainSet:
        """Reads the data set.

        Args:
            root: the file or folder the user named with ``--data.root``, None where none was named.
            modality: what the user wants to work on.

        Raises:
            InputError: nothing readable lies there.
        """
        ...


DATASETS: Registry[DatasetReader] = Registry("data set", home="hatlit.datamodules.datasets", group="hatlit.datasets")


def register_dataset(name: str, modality: str | None = None) -> Callable[[DatasetReader], DatasetReader]:
    """Returns a decorator that names a reader; ``modality`` None means that it serves every modality."""
    return DATASETS.register(name, modality)


def unchanged(spec: InputSpec) -> InputSpec:
    """The view as it is: what most modalities compute their statistics on."""
    return spec


@dataclass(frozen=True)
class Modality:
    """What a modality adds to the machinery that all of them share.

    Attributes:
        view: maps recorded samples (B, channels, *shape), their spec and the wanted spec to the view.
        augment: maps views (B, channels, *shape), their spec and a random generator to randomly changed copies.
        fit: maps recorded samples (N, channels, *shape) and their spec to the view that suits them: normalised, or with
            a vocabulary.
        layouts: the axes that samples may have behind the channels; the first of each length is what unnamed axes are
            taken for.
        usual_channels: names of the channels where a recording does not name them, by how many there are.
        summary_view: maps the view that all domains share to the one on which statistics are computed.
    """

    view: Callable[[Tensor, InputSpec, InputSpec], Tensor]
    augment: Callable[[Tensor, InputSpec, torch.Generator], Tensor]
    fit: Callable[[np.ndarray, InputSpec], InputSpec]
    layouts: tuple[tuple[str, ...], ...] = (("time",),)
    usual_channels: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    summary_view: Callable[[InputSpec], InputSpec] = unchanged

    def axes_of(self, num_axes: int) -> tuple[str, ...] | None:
        """What that many axes are taken for, None where samples cannot have so many."""
        return next((layout for layout in self.layouts if len(layout) == num_axes), None)


MODALITIES: Registry[Modality] = Registry("modality", home="hatlit.datamodules", group="hatlit.modalities")


#: Rates of a recording and of a view that are further apart than this factor have nothing to do with one another.
MOST_TIMES_THE_RATE = 256

#: Views of up to so many numbers are always built; larger ones only up to ``MOST_TIMES_THE_SIZE`` of the recording.
ALWAYS_BUILT = 2**20
MOST_TIMES_THE_SIZE = 16


def build_view(samples: Tensor, recorded: InputSpec, wanted: InputSpec) -> Tensor:
    """Shows recorded samples (B, channels, *shape) the way a model wants to see them.

    Raises:
        InputError: the recording lacks a channel that the model needs, is of another modality, or would have to be
            blown up beyond reason.
    """
    if recorded.modality != wanted.modality:
        raise InputError(f"A model of {wanted.modality} samples cannot look at {recorded.modality} samples.")
    _check_affordable(recorded, wanted)
    return MODALITIES.get(wanted.modality).view(samples, recorded, wanted)


def _check_affordable(recorded: InputSpec, wanted: InputSpec) -> None:
    """Refuses what a card may ask for and no recording is worth: it would cost memory without bound."""
    apart = wanted.rate / recorded.rate if wanted.rate and recorded.rate else 1.0
    if not 1 / MOST_TIMES_THE_RATE <= apart <= MOST_TIMES_THE_RATE:
        raise InputError(
            f"The model expects {wanted.rate:g} samples a second, more than {MOST_TIMES_THE_RATE} times the "
            f"{recorded.rate:g} of the recording or less than a {MOST_TIMES_THE_RATE}th."
        )
    sizes = list(wanted.shape)
    if recorded.axes == wanted.axes and "time" in wanted.axes:  # time is resampled before it is cropped
        place = wanted.axes.index("time")
        sizes[place] = max(sizes[place], math.ceil(recorded.shape[place] * apart))
    most = max(ALWAYS_BUILT, MOST_TIMES_THE_SIZE * recorded.num_numbers)
    if wanted.num_channels * math.prod(sizes) > most:
        raise InputError(
            f"The model expects samples of {wanted.num_numbers:,} numbers, far more than the {recorded.num_numbers:,} "
            "of the recording."
        )
