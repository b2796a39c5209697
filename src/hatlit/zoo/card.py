"""What a source publishes about itself without its weights, and what a zoo says about all of its sources.

Cards come from other people. They are parsed strictly: no unknown field, no number that is not finite, no size without
a bound, and a fault is one sentence.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from hatlit.encoders.base import InputSpec, Text
from hatlit.errors import InputError, on_one_line

#: No card is larger, and nothing larger is parsed.
MAX_CARD_BYTES = 16 * 2**20

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def is_safe_id(source_id: str) -> bool:
    """Whether an id can name a folder of a zoo: letters, digits, dots, underscores, dashes, no way out of it."""
    return bool(_SAFE_NAME.fullmatch(source_id)) and ".." not in source_id


def check_id(source_id: str) -> str:
    """Returns the id of a source as it is.

    Raises:
        InputError: it cannot name a folder of a zoo.
    """
    if not is_safe_id(source_id):
        raise InputError(
            f"{source_id[:200]!r} cannot name a source: an id starts with a letter or digit and has at most 128 "
            "letters, digits, dots, underscores and dashes, no two dots in a row."
        )
    return source_id


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError("names must differ from one another")
    return names


# fail_fast stops at the first bad number: a hostile card of 16 MiB could otherwise report millions of faults.
Name = Annotated[Text, Field(min_length=1)]
Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=4096, fail_fast=True), AfterValidator(_unique)]
Number = Annotated[float, Field(ge=-_FLOAT32_MAX, le=_FLOAT32_MAX)]
Vector = Annotated[tuple[Number, ...], Field(min_length=1, max_length=65536, fail_fast=True)]
Centroids = Annotated[tuple[Vector | None, ...], Field(min_length=1, max_length=4096, fail_fast=True)]
Count = Annotated[int, Field(ge=0, le=2**48)]
Id = Annotated[str, AfterValidator(check_id)]


class Strict(BaseModel):
    """What strangers wrote: nothing is converted, nothing more than asked is there, and every number is finite."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Statistic(Strict):
    """One registered feature map over the windows of a domain.

    Attributes:
        mean: (S,) mean of each feature over the windows.
        spread: (S,) spread of each feature over the windows, in the units of ``mean``; never negative.
    """

    mean: Vector
    spread: Vector

    @model_validator(mode="after")
    def _consistent(self) -> Statistic:
        if len(self.mean) != len(self.spread):
            raise ValueError(f"mean has {len(self.mean)} numbers but spread has {len(self.spread)}")
        if min(self.spread) < 0:
            raise ValueError("spread must not be negative")
        return self

    @classmethod
    def of(cls, mean: np.ndarray, spread: np.ndarray) -> Statistic:
        """Builds the statistic from two arrays (S,)."""
        return cls(mean=to_floats(mean), spread=to_floats(spread))


class Training(Strict):
    """How a source was trained.

    Attributes:
        max_epochs: passes over the labelled training samples.
        seed: of initial weights, batch order and dropout.
        labels: labelled samples it learned from.
    """

    max_epochs: Count
    seed: int = Field(ge=-(2**63), lt=2**64)
    labels: Count


class Provenance(Strict):
    """Where a student comes from that has become a source. How many labels it had is in ``Training``.

    Attributes:
        round: when it joined: 1 for students of sources that were trained on all labels, and so on.
        parents: ids of the sources that taught it; empty where it learned from labels alone.
    """

    round: int = Field(ge=1, le=2**31)
    parents: Annotated[
        tuple[Id, ...],
        Field(max_length=4096, fail_fast=True),
        AfterValidator(_unique),
    ] = ()


class Card(Strict):
    """What a source publishes without its weights.

    Attributes:
        format_version: version of this layout.
        id: name of the source within its zoo; also the name of its folder.
        domain: name of the domain it was trained on.
        dataset: name of the data set the domain belongs to.
        modality: what the samples are.
        encoder: name of the encoder in the registry.
        input_spec: the view the encoder expects.
        feature_dim: width of a feature vector.
        class_names: classes in the order of the head's outputs.
        statistics: by the name of the feature map.
        centroids: per class the mean feature vector (feature_dim,) of its training samples, None where it had none.
        accuracy: share of the domain's own held-out samples that the source classifies correctly; None where none was
            held out.
        num_samples: training samples.
        num_parameters: parameters of encoder and head together.
        size_bytes: size of the weights' file.
        sha256: hash of the weights' file.
        training: how it was trained.
        noise: standard deviation of the Gaussian noise that statistics and centroids got, in units of how far each
            number varies from sample to sample.
        provenance: of a student; None for a source that was trained on all labels of its domain.
        hatlit_version: the version that wrote the card.
    """

    format_version: Literal[1] = 1
    id: Id
    domain: Name
    dataset: Name
    modality: Name
    encoder: Name
    input_spec: InputSpec
    feature_dim: int = Field(ge=1, le=65536)
    class_names: Names
    statistics: dict[Name, Statistic] = Field(max_length=64)
    centroids: Centroids
    accuracy: float | None = Field(ge=0, le=1)
    num_samples: Count
    num_parameters: Count
    size_bytes: int = Field(ge=1, le=2**40)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    training: Training
    noise: float = Field(default=0.0, ge=0, le=_FLOAT32_MAX)
    provenance: Provenance | None = None
    hatlit_version: str = Field(min_length=1, max_length=64)

    @property
    def round(self) -> int:
        """When the source joined: 0 for one that was trained on all labels of its domain, else the student's round."""
        return self.provenance.round if self.provenance else 0

    @property
    def parents(self) -> tuple[str, ...]:
        """Ids of the sources that taught it."""
        return self.provenance.parents if self.provenance else ()

    @model_validator(mode="after")
    def _consistent(self) -> Card:
        if self.input_spec.modality != self.modality:
            raise ValueError(f"input_spec is of modality '{self.input_spec.modality}', the card of '{self.modality}'")
        if len(self.centroids) != len(self.class_names):
            raise ValueError(f"there are {len(self.centroids)} centroids for {len(self.class_names)} class_names")
        if self.id in self.parents:
            raise ValueError("provenance.parents has the source itself")
        for name, centroid in zip(self.class_names, self.centroids, strict=True):
            if centroid is not None and len(centroid) != self.feature_dim:
                raise ValueError(
                    f"the centroid of '{name}' has {len(centroid)} numbers, not feature_dim {self.feature_dim}"
                )
        return self


class StatisticsSpec(Strict):
    """Which statistics every card of a zoo carries, and how they are computed.

    Attributes:
        names: names of the feature maps in the registry.
        view: the common view on which they are computed, so that sources of different views compare.
        seed: of the feature maps that are drawn at random.
    """

    names: Names
    view: InputSpec
    seed: int = Field(ge=0, lt=2**63)


class ZooInfo(Strict):
    """What all sources of a zoo have in common.

    Attributes:
        format_version: version of this layout.
        modality: what the samples are.
        statistics: which statistics every card carries.
    """

    format_version: Literal[1] = 1
    modality: Name
    statistics: StatisticsSpec

    @model_validator(mode="after")
    def _consistent(self) -> ZooInfo:
        if self.statistics.view.modality != self.modality:
            raise ValueError(f"statistics.view is of modality '{self.statistics.view.modality}', not '{self.modality}'")
        return self


M = TypeVar("M", bound=BaseModel)


def parse(layout: type[M], data: bytes, name: str, limit: int) -> M:
    """Parses the bytes of a file that a stranger may have written.

    Args:
        layout: what it should be.
        data: JSON.
        name: where the bytes came from, for the error message.
        limit: more bytes than these are not parsed.

    Raises:
        InputError: it is something else; the message names ``name`` and the first faulty field.
    """
    if len(data) > limit:
        raise InputError(f"{name} is larger than {limit // 2**20} MiB and therefore not read.")
    try:
        return layout.model_validate_json(data)
    except ValidationError as error:
        raise invalid(error, name) from error


def parse_card(data: bytes, name: str) -> Card:
    """Parses the bytes of a card.

    Args:
        data: JSON.
        name: where the bytes came from, for the error message.

    Raises:
        InputError: it is not a card; the message names ``name`` and the first faulty field.
    """
    return parse(Card, data, name, MAX_CARD_BYTES)


def parse_info(data: bytes, name: str) -> ZooInfo:
    """Parses the bytes of a ``zoo.json``; see ``parse_card``."""
    return parse(ZooInfo, data, name, MAX_CARD_BYTES)


def invalid(error: ValidationError, name: str) -> InputError:
    """Turns a failed validation into one sentence that names where it happened and the first faulty field."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = on_one_line(".".join(str(part) for part in fault["loc"]))
    message = on_one_line(fault["msg"].removeprefix("Value error, ").rstrip("."))
    return InputError(f"{name} is not valid{f' at {field!r}' if field else ''}: {message}.")


def to_floats(array: np.ndarray) -> tuple[float, ...]:
    """Returns the numbers of an array (S,) as a card carries them: the shortest decimals that give the same float32."""
    return tuple(float(str(number)) for number in np.asarray(array, dtype=np.float32))
