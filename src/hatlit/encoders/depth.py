"""Encoders of depth maps: families that know where in the picture something is, and every model of timm."""

from __future__ import annotations

from torch import nn

from hatlit.encoders.base import InputSpec, register_family
from hatlit.encoders.grid import register_pictures
from hatlit.encoders.timm_models import timm_encoder

register_pictures("depth")


@register_family("depth", "timm")
def timm(input_spec: InputSpec, model: str, pretrained: bool) -> nn.Module:
    """Every model of timm, by its name: untrained, or with the weights that a tag behind the name stands for.

    Distances are no colours, so the domain's own normalisation stays, which is about as wide as the one that
    pretrained weights know.

    Raises:
        InputError: timm is not installed, has no such model or weights, or the model cannot take such a view.
    """
    return timm_encoder(input_spec, model, pretrained)
