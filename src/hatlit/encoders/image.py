"""Encoders of pictures: families that know where in the picture something is, and every model of timm."""

from __future__ import annotations

from torch import nn

from hatlit.encoders.base import InputSpec, register_family
from hatlit.encoders.grid import register_pictures
from hatlit.encoders.timm_models import Colours, timm_encoder

register_pictures("image")

#: What the brightest pixel may be: in pictures of fractions, of bytes, of two bytes a colour.
WHITES = (1.0, 255.0, 65535.0)


@register_family("image", "timm")
def timm(input_spec: InputSpec, model: str, pretrained: bool) -> nn.Module:
    """Every model of timm, by its name: untrained, or with the weights that a tag behind the name stands for.

    Pretrained weights expect colours scaled as in their training (for most the mean and deviation of ImageNet) and not
    each domain's own normalisation, so the encoder's ``input_spec`` asks for that. For other than three channels timm
    sums up or repeats its first layer, and each channel gets the mean over the colours.

    Raises:
        InputError: timm is not installed, has no such model or weights, or the model cannot take such a view.
    """
    encoder = timm_encoder(input_spec, model, pretrained)
    if encoder.colours:
        encoder.input_spec = as_in_training(encoder.input_spec, encoder.colours)
    return encoder


def as_in_training(input_spec: InputSpec, colours: Colours) -> InputSpec:
    """Returns a view whose channels are scaled as in the training of pretrained weights.

    Args:
        input_spec: the view, with the normalisation that suits its domain.
        colours: how the pictures of that training were scaled.
    """
    white = next((white for white in WHITES if max(input_spec.std, default=255.0) <= white), WHITES[-1])
    if len(colours.mean) != input_spec.num_channels:
        colours = Colours(*((sum(values) / len(values),) * input_spec.num_channels for values in colours))
    mean, std = (tuple(white * value for value in values) for values in colours)
    return input_spec.with_(mean=mean, std=std)
