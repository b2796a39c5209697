"""Any model of timm as an encoder of what lies on a grid of two axes: pictures, depth maps, radar maps, spectrograms.

timm is Wightman's PyTorch Image Models, https://github.com/huggingface/pytorch-image-models. Many of its models hold
batch norms and dropout: unlike hatlit's own encoders, while they train the rows of a batch see one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hatlit.encoders.base import InputSpec
from hatlit.encoders.blocks import require_axes
from hatlit.errors import InputError, missing_library, nearest, unknown_name

#: Sides that a view is stretched to, unless it is larger, in the order in which they are tried.
SIDES = (32, 64, 128)
#: The same for models made for one size only, such as vision transformers: of smaller views they would see few patches.
FIXED_SIDES = (96, 192)

#: Sides of a patch, in pixels, where a model does not say how large its own is.
LARGEST_PATCH = 32

#: The only file that weights are read from. It cannot hold code, which a torch checkpoint can.
WEIGHTS_FILE = "model.safetensors"


class Colours(NamedTuple):
    """How pictures are scaled: what is subtracted from each colour and what divides it, where white is one."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class TimmEncoder(nn.Module):
    """A timm model without its classifier; fulfils ``Encoder``.

    Args:
        model: built by timm with ``num_classes=0``.
        input_spec: a view that it can take.

    Attributes:
        colours: how the pictures were scaled that its weights were trained on; None where it starts untrained.

    Raises:
        InputError: what the model makes of a view is not one vector a row.
    """

    def __init__(self, model: nn.Module, input_spec: InputSpec) -> None:
        super().__init__()
        self.model = model
        self.input_spec = input_spec
        with torch.no_grad():
            features = self.model.eval()(input_spec.blank(1))
        self.model.train()
        self.colours: Colours | None = None
        if not isinstance(features, Tensor) or features.ndim != 2 or not features.numel():
            raise InputError("This model does not answer with one feature vector a row.")
        self.feature_dim = features.shape[1]

    def forward(self, view: Tensor) -> Tensor:
        """Maps views (B, channels, height, width) to features (B, feature_dim)."""
        if self.training and len(view) == 1:
            return self._alone(view)
        return self.model(view)

    def _alone(self, view: Tensor) -> Tensor:
        """Features of a single row while training: batch norms, which need company, take their running statistics."""
        training = [module for module in self.model.modules() if module.training]
        self.model.eval()
        features = self.model(view)
        for module in training:
            module.training = True
        return features


def timm_encoder(input_spec: InputSpec, name: str, pretrained: bool) -> TimmEncoder:
    """Builds an encoder of a timm model for any number of channels.

    Where the view is smaller than the model can make use of, its ``input_spec`` asks for a stretched one.

    Args:
        input_spec: the view that is there to be seen.
        name: as timm knows it. With a tag, ``resnet18.a1_in1k``, it names pretrained weights; without, the model starts
            untrained.
        pretrained: whether those weights are loaded, from a safetensors file on timm's hub.

    Raises:
        InputError: timm is not installed, has no such model or weights, or the model cannot take such a view.
    """
    require_axes(input_spec, 2, 1)
    tag = _check_name(name)
    encoder = _fit(input_spec, name)
    if pretrained and tag:
        encoder.model = _load(name, encoder.input_spec)
        encoder.colours = _colours(name)
    return encoder


def _fit(input_spec: InputSpec, name: str) -> TimmEncoder:
    """Builds a model, untrained, for the first size that it can take."""
    fault: Exception | None = None
    for shape in _shapes(input_spec.shape, name):
        try:
            return _build(input_spec.with_(shape=shape), name)
        except Exception as error:  # what a model raises when a size does not suit it is its own affair
            fault = error
    raise InputError(
        f"The timm model '{name}' cannot take {input_spec.num_channels} channels of "
        f"{' x '.join(str(size) for size in input_spec.shape)}: {' '.join(str(fault).split())}"
    ) from fault


def _build(input_spec: InputSpec, name: str) -> TimmEncoder:
    model = _create(name, input_spec)
    published = _published(name)
    if published.fixed_input_size and input_spec.shape != tuple(published.input_size[1:]):
        stages: Any = getattr(model, "feature_info", None)
        patch = stages[-1]["reduction"] if stages else LARGEST_PATCH
        whole = tuple(-(-size // patch) * patch for size in input_spec.shape)
        if whole != input_spec.shape:
            return _build(input_spec.with_(shape=whole), name)
    return TimmEncoder(model, input_spec)


def _create(name: str, input_spec: InputSpec, **options: Any) -> nn.Module:
    from timm import create_model

    if _published(name).fixed_input_size:
        options["img_size"] = input_spec.shape
    return create_model(name, in_chans=input_spec.num_channels, num_classes=0, **options)


def _load(name: str, input_spec: InputSpec) -> nn.Module:
    if not _published(name).hf_hub_id:
        raise InputError(f"The weights of timm model '{name}' are a pickle, which is never read; choose another tag.")
    try:
        return _create(name, input_spec, pretrained=True, pretrained_cfg_overlay={"hf_hub_filename": WEIGHTS_FILE})
    except Exception as error:  # a network, a cache and a file format can fail in many ways
        raise InputError(
            f"The weights of timm model '{name}' could not be loaded: {' '.join(str(error).split())}"
        ) from error


def _colours(name: str) -> Colours:
    published = _published(name)
    return Colours(tuple(published.mean), tuple(published.std))


def _shapes(shape: tuple[int, ...], name: str) -> Iterator[tuple[int, ...]]:
    """Sizes to try in turn, the last being the one that the model was made for."""
    published = _published(name)
    for side in FIXED_SIDES if published.fixed_input_size else SIDES:
        yield tuple(max(side, size) for size in shape)
    yield tuple(published.input_size[1:])


def _published(name: str) -> Any:
    """What timm says of a model: its weights, the size it was made for, the mean and deviation of its channels."""
    from timm.models import get_pretrained_cfg

    return get_pretrained_cfg(name, allow_unregistered=True)


def _check_name(name: str) -> str:
    """Returns the tag of a name, empty where it has none.

    Raises:
        InputError: timm is not installed, or does not know the name.
    """
    try:
        import timm
    except ImportError as error:
        raise missing_library("timm", "image") from error
    architecture, _, tag = name.partition(".")
    models = timm.list_models()
    if architecture not in models:
        close = nearest(architecture, models)
        hint = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() names those that there are."
        raise InputError(f"Unknown timm model '{name}': {hint}")
    weights = [known for known in timm.list_pretrained() if known.startswith(f"{architecture}.")]
    if tag and name not in weights:
        raise unknown_name("weights of a timm model", name, weights)
    return tag
