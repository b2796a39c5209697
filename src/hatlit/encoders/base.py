"""What an encoder is: the input it expects, the protocol it fulfils, the registry that names it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from hatlit.errors import InputError
from hatlit.registry import Registry


class InputSpec(BaseModel):
    """How samples are laid out and scaled, at rest or as one model wants to see them.

    The recorded form of a domain and the view of every source and student are each an InputSpec; the data module of the
    modality turns samples of the first into samples of the second.

    Attributes:
        modality: the modality whose data module can build the view.
        channels: the names of the channels (for an IMU its axes), in order.
        shape: sizes of the axes behind the channels; for time series one number, the samples in time.
        rate: samples per second (Hz), or None where time has no meaning.
        mean: per channel, subtracted from the samples; empty where they are taken as they are.
        std: per channel, divides the samples after the mean is gone; empty where they are taken as they are.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    modality: str = Field(min_length=1, max_length=64)
    channels: tuple[str, ...] = Field(min_length=1, max_length=4096)
    shape: tuple[int, ...] = Field(min_length=1, max_length=4)
    rate: float | None = Field(default=None, gt=0, le=1e9)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> InputSpec:
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("channel names must differ from one another")
        if any(not 1 <= size <= 10**7 for size in self.shape):
            raise ValueError("every size in shape must lie between 1 and 10,000,000")
        if {len(self.mean), len(self.std)} - {0, len(self.channels)} or len(self.mean) != len(self.std):
            raise ValueError("mean and std need one number a channel each, or none at all")
        if any(value <= 0 for value in self.std):
            raise ValueError("every std must be positive")
        return self

    @property
    def num_channels(self) -> int:
        """How many channels a sample has."""
        return len(self.channels)


@runtime_checkable
class Encoder(Protocol):
    """A module that turns views into feature vectors. Any ``nn.Module`` with these members is one.

    Attributes:
        feature_dim: width of a feature vector.
        input_spec: the view that ``forward`` expects.
    """

    feature_dim: int
    input_spec: InputSpec

    def forward(self, view: Tensor) -> Tensor:
        """Maps views (B, channels, *shape) to features (B, feature_dim)."""
        ...


#: An entry of the registry: builds an untrained encoder for views of the given form.
EncoderBuilder = Callable[[InputSpec], nn.Module]

ENCODERS: Registry[EncoderBuilder] = Registry("encoder", home="hatlit.encoders", group="hatlit.encoders")

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


def build_encoder(name: str, input_spec: InputSpec) -> nn.Module:
    """Builds a registered encoder, untrained, and checks that it keeps the contract.

    Raises:
        InputError: the name is unknown in the modality of ``input_spec``, or what was built is not an encoder.
    """
    encoder = ENCODERS.get(name, input_spec.modality)(input_spec)
    check_encoder(encoder, name)
    return encoder


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


def build_classifier(name: str, input_spec: InputSpec, num_classes: int) -> Classifier:
    """Builds an untrained classifier around a registered encoder; see ``build_encoder``."""
    return Classifier(build_encoder(name, input_spec), num_classes)
