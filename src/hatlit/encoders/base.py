"""What an encoder is: the input it expects, the protocol it fulfils, the registry that names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial, update_wrapper
from math import prod
from typing import Annotated, Any, Protocol, TypeVar, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from hatlit.errors import InputError
from hatlit.registry import Registry

#: What the axes behind the channels are called where a spec does not name them, by how many there are.
USUAL_AXES = {1: ("time",), 2: ("height", "width")}

#: Numbers that one sample holds at most, at rest or as a view.
MOST_NUMBERS = 2**24

#: Rows of a forward pass outside training, and numbers that their views hold; bound the memory that models take.
ROWS_A_PASS = 256
NUMBERS_A_PASS = 2**23

#: Largest logit that is of use: a float32 beyond it knows no steps of a tenth, so it gives neither probabilities nor
#: gradients.
LARGEST_LOGIT = 1e6

#: Axes along which samples are numbers of signs, not measurements.
DISCRETE_AXES = ("byte", "token")


#: Names end up in sentences, tables and on terminals: no control signs, no line ends, nothing that turns text around.
Text = Annotated[str, Field(max_length=256, pattern=r"^[^\p{Cc}\u{2028}\u{2029}\u{202a}-\u{202e}\u{2066}-\u{2069}]*$")]


def _usual_axes(values: dict[str, Any]) -> tuple[str, ...]:
    return USUAL_AXES.get(len(values.get("shape", ())), ())


class InputSpec(BaseModel):
    """How samples are laid out and scaled, at rest or as one model wants to see them.

    The recorded form of a domain and the view of every source and student are each an InputSpec; the data module of the
    modality turns samples of the first into samples of the second.

    Attributes:
        modality: the modality whose data module can build the view.
        channels: the names of the channels (for an IMU its axes), in order.
        shape: sizes of the axes behind the channels; for time series one number, the samples in time.
        axes: what those axes are: ``time``, ``height``, ``width``, ``mel``, ``bin``, ``point``, ``byte``, ``token``.
        rate: samples per second (Hz), or None where time has no meaning.
        mean: per channel, subtracted from the samples; empty where they are taken as they are.
        std: per channel, divides the samples after the mean is gone; empty where they are taken as they are.
        tokenizer: what cuts a text into tokens; empty where nothing does.
        vocabulary: the tokens of a trained tokenizer, in the order of their numbers.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    modality: Text = Field(min_length=1, max_length=64)
    channels: tuple[Text, ...] = Field(min_length=1, max_length=4096, fail_fast=True)
    shape: tuple[int, ...] = Field(min_length=1, max_length=4)
    axes: tuple[Text, ...] = Field(default_factory=_usual_axes)
    rate: float | None = Field(default=None, gt=0, le=1e9)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    tokenizer: str = Field(default="", max_length=256)
    vocabulary: tuple[Annotated[str, Field(max_length=256)], ...] = Field(default=(), max_length=65536, fail_fast=True)

    @model_validator(mode="after")
    def _consistent(self) -> InputSpec:
        if len(self.axes) != len(self.shape) or len(set(self.axes)) != len(self.axes):
            raise ValueError("axes must name each size in shape, no two alike")
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("channel names must differ from one another")
        if any(not 1 <= size <= 10**7 for size in self.shape):
            raise ValueError("every size in shape must lie between 1 and 10,000,000")
        if self.num_numbers > MOST_NUMBERS:
            raise ValueError(f"a sample must not hold more than {MOST_NUMBERS:,} numbers, and shape asks for more")
        if {len(self.mean), len(self.std)} - {0, len(self.channels)} or len(self.mean) != len(self.std):
            raise ValueError("mean and std need one number a channel each, or none at all")
        if any(value <= 0 for value in self.std):
            raise ValueError("every std must be positive")
        return self

    @property
    def num_channels(self) -> int:
        """How many channels a sample has."""
        return len(self.channels)

    @property
    def num_numbers(self) -> int:
        """How many numbers a sample has."""
        return self.num_channels * prod(self.shape)

    @property
    def rows_a_pass(self) -> int:
        """How many views are looked at at a time."""
        return max(1, min(ROWS_A_PASS, NUMBERS_A_PASS // self.num_numbers))

    def blank(self, rows: int) -> Tensor:
        """Returns views (rows, channels, *shape) of nothing at all, in the number type that models get."""
        dtype = torch.int64 if set(self.axes) & set(DISCRETE_AXES) else torch.float32
        return torch.zeros(rows, self.num_channels, *self.shape, dtype=dtype)

    def with_(self, **changes: Any) -> InputSpec:
        """Returns a copy in which some attributes differ.

        Raises:
            ValidationError: the attributes do not go together.
        """
        return InputSpec.model_validate(self.model_dump() | changes)


@runtime_checkable
class Encoder(Protocol):
    """A module that turns views into feature vectors. Any ``nn.Module`` with these members is one.

    Attributes:
        feature_dim: width of a feature vector.
        input_spec: the view that ``forward`` expects. It may differ from the one that the encoder was built for where
            the encoder needs another size, rate or tokenizer; built for its own ``input_spec``, it keeps it.
    """

    feature_dim: int
    input_spec: InputSpec

    def forward(self, view: Tensor) -> Tensor:
        """Maps views (B, channels, *shape) to features (B, feature_dim). Views of text are int64, others float32."""
        ...


#: An entry of the registry: builds an untrained encoder for views of the given form.
EncoderBuilder = Callable[[InputSpec], nn.Module]

ENCODERS: Registry[EncoderBuilder] = Registry("encoder", home="hatlit.encoders", group="hatlit.encoders")

#: An entry of the registry of families: builds the encoder of any name that a library knows. Its arguments are the
#: view, the name, and whether weights that come with the name are loaded (they are not where own weights follow).
FamilyBuilder = Callable[[InputSpec, str, bool], nn.Module]

FAMILIES: Registry[FamilyBuilder] = Registry("encoder family", home="hatlit.encoders", group="hatlit.encoder_families")

B = TypeVar("B", bound=Callable[..., Any])


def register_encoder(modality: str, name: str | None = None, sizes: tuple[str, ...] = ()) -> Callable[[B], B]:
    """Returns a decorator that names an encoder.

    The decorated function or class takes an ``InputSpec`` and answers with the encoder. With ``sizes`` it also takes
    ``size``, and each size is an entry of its own: ``cnn`` in nano and base becomes ``cnn_nano`` and ``cnn_base``.

    Raises:
        InputError: the name is already taken in that modality.

    Example:
        >>> @register_encoder("imu")
        ... class MeanOfChannels(nn.Module):
        ...     def __init__(self, input_spec):
        ...         super().__init__()
        ...         self.input_spec, self.feature_dim = input_spec, input_spec.num_channels
        ...     def forward(self, view):
        ...         return view.mean(-1)
        >>> ENCODERS.get("mean_of_channels", "imu") is MeanOfChannels
        True
    """

    def enter(builder: B) -> B:
        if not sizes:
            return ENCODERS.register(name, modality)(builder)  # type: ignore[return-value]
        for size in sizes:
            sized = update_wrapper(partial(builder, size=size), builder)
            ENCODERS.add(f"{name or builder.__name__}_{size}", sized, modality)
        return builder

    return enter


def register_family(modality: str, name: str) -> Callable[[FamilyBuilder], FamilyBuilder]:
    """Returns a decorator that names a family: ``name:model`` is then an encoder for every model its library knows."""
    return FAMILIES.register(name, modality)


def find_encoder(name: str, modality: str, pretrained: bool = True, also: Iterable[str] = ()) -> EncoderBuilder:
    """Looks up what builds an encoder: an entry of the registry, or ``family:model``.

    Args:
        name: in the registry, or ``family:model``.
        modality: that it has to serve.
        pretrained: whether weights that come with the name are loaded.
        also: what the user could have given instead, such as a word for a choice.

    Raises:
        InputError: the modality has no such encoder or family.
    """
    family, colon, model = name.partition(":")
    if not colon:
        return ENCODERS.get(name, modality, also)
    return partial(_of_family, FAMILIES.get(family, modality), model, pretrained)


def _of_family(family: FamilyBuilder, model: str, pretrained: bool, input_spec: InputSpec) -> nn.Module:
    return family(input_spec, model, pretrained)


def build_encoder(name: str, input_spec: InputSpec, pretrained: bool = True) -> nn.Module:
    """Builds an encoder and checks that it keeps the contract.

    Args:
        name: in the registry, or ``family:model``.
        input_spec: the view that is there to be seen; the encoder's own may differ.
        pretrained: whether weights that come with the name are loaded. Most names come with none.

    Raises:
        InputError: the name is unknown in the modality of ``input_spec``, the encoder cannot take such a view, or what
            was built is not an encoder.
    """
    encoder = find_encoder(name, input_spec.modality, pretrained)(input_spec)
    check_encoder(encoder, name)
    return encoder


def suits(name: str, input_spec: InputSpec) -> bool:
    """Whether a registered encoder can take a view."""
    try:
        with torch.random.fork_rng(devices=[]):
            build_encoder(name, input_spec)
    except InputError:
        return False
    return True


def check_encoder(encoder: object, name: str = "") -> None:
    """Refuses an object that is not an encoder.

    Raises:
        InputError: lists every member that is missing or of the wrong type.
    """
    faults = [] if isinstance(encoder, nn.Module) else ["it is not a torch.nn.Module"]
    width = getattr(encoder, "feature_dim", None)
    if not isinstance(width, int) or width < 1:
        faults.append("feature_dim must be a positive int")
    if not isinstance(getattr(encoder, "input_spec", None), InputSpec):
        faults.append("input_spec must be the InputSpec it was built for")
    if not callable(getattr(encoder, "forward", None)):
        faults.append("forward(view) is missing")
    if faults:
        raise InputError(f"'{name or type(encoder).__name__}' is not an encoder: {'; '.join(faults)}.")


class Classifier(nn.Module):
    """An encoder with a linear head: what every source and every student is.

    Args:
        encoder: fulfils ``Encoder``.
        num_classes: number of classes the head tells apart.
    """

    def __init__(self, encoder: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(self.feature_dim, num_classes)

    @property
    def feature_dim(self) -> int:
        """Width of the encoder's feature vectors."""
        return int(self.encoder.feature_dim)  # type: ignore[arg-type]

    @property
    def input_spec(self) -> InputSpec:
        """The view that the encoder expects."""
        spec = self.encoder.input_spec
        assert isinstance(spec, InputSpec)
        return spec

    def features(self, view: Tensor) -> Tensor:
        """Maps views (B, channels, *shape) to features (B, feature_dim)."""
        return self.encoder(view)

    def forward(self, view: Tensor) -> Tensor:
        """Maps views (B, channels, *shape) to logits (B, num_classes)."""
        return self.head(self.features(view))

    def both(self, view: Tensor) -> tuple[Tensor, Tensor]:
        """Maps views (B, channels, *shape) to features (B, feature_dim) and logits (B, num_classes) in one pass."""
        features = self.features(view)
        return features, self.head(features)


def are_sound(features: Tensor, logits: Tensor) -> Tensor:
    """Which answers of a classifier are of use (B,): with finite features and no logit beyond ``LARGEST_LOGIT``.

    Args:
        features: (B, feature_dim)
        logits: (B, num_classes)
    """
    return features.isfinite().all(1) & (logits.abs() <= LARGEST_LOGIT).all(1)


def build_classifier(name: str, input_spec: InputSpec, num_classes: int, pretrained: bool = True) -> Classifier:
    """Builds a classifier with an untrained head around an encoder; see ``build_encoder``."""
    return Classifier(build_encoder(name, input_spec, pretrained), num_classes)
