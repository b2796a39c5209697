"""Views and augmentation of pictures, in the numbers that were recorded (usually 0 to 255)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from hatlit.datamodules.augment import Chance, cut_out, gain, jitter
from hatlit.datamodules.base import MODALITIES, Modality
from hatlit.datamodules.views import fit_normalisation, numeric_view
from hatlit.encoders.base import InputSpec

COLOURS = ("red", "green", "blue")
GREY = "grey"
LUMA = (0.299, 0.587, 0.114)  # shares of the colours in grey, ITU-R BT.601

#: Statistics are computed on pictures of at most this height and width.
SUMMARY_SIDE = 32

#: How strongly ``augment`` changes a view. Pictures are never mirrored: a mirrored letter or digit is another one.
ROTATION = 0.17  # radians, standard deviation
SCALE = 0.08  # relative, standard deviation
TRANSLATION = 0.02  # of the height and width, standard deviation; more undoes what place tells
CONTRAST = 0.15  # relative, standard deviation
BRIGHTNESS = 0.15  # of a channel's standard deviation
JITTER = 0.05  # of a channel's standard deviation
CUTOUT = 0.3  # of the height and width, largest


def view(samples: Tensor, recorded: InputSpec, wanted: InputSpec) -> Tensor:
    """Shows recorded pictures the way a model wants to see them.

    Channels are found by name; grey stands in for missing colours, and the luma of the colours for missing grey. Height
    and width are stretched and the channels normalised.

    Args:
        samples: (B, channels, height, width) as recorded.
        recorded: how they were recorded.
        wanted: what the model expects.

    Returns:
        (B, wanted channels, wanted height, wanted width) float32.

    Raises:
        InputError: the recording lacks a channel, or has other axes than the model expects.
    """
    if not set(wanted.channels) <= set(recorded.channels):
        samples, recorded = _with_derived(samples, recorded)
    return numeric_view(samples, recorded, wanted)


def augment(views: Tensor, spec: InputSpec, generator: torch.Generator) -> Tensor:
    """Returns copies of views as another camera, hand or moment might have recorded them.

    Each picture is turned, scaled and moved a little (the border is held), changes contrast and brightness, gets noise,
    and loses a rectangle to the mean. Few but mild changes of random size, after Cubuk et al., "RandAugment",
    arXiv 1909.13719, and DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout",
    arXiv 1708.04552.

    Args:
        views: (B, channels, height, width), normalised.
        spec: their form.
        generator: the only source of randomness.
    """
    chance = Chance(views, generator)
    changed = gain(move(views, chance), CONTRAST, chance)
    changed = changed + BRIGHTNESS * chance.normal(len(views), 1, 1, 1)
    return cut_out(jitter(changed, JITTER, chance), CUTOUT, chance)


def move(views: Tensor, chance: Chance) -> Tensor:
    """Turns, scales and moves each row of (B, channels, height, width) a little; the border is held."""
    rows, _, height, width = views.shape
    angle, zoom = ROTATION * chance.normal(rows), 1 + SCALE * chance.normal(rows)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    # Places are counted in halves of the height and the width, so a turn must be told their ratio.
    turn = torch.stack([cos, -sin * height / width, sin * width / height, cos], dim=1).reshape(rows, 2, 2)
    by = 2 * TRANSLATION * chance.normal(rows, 2, 1)
    places = F.affine_grid(torch.cat([turn, by], dim=2), list(views.shape), align_corners=False)
    return F.grid_sample(views, places, padding_mode="border", align_corners=False)


def summary_view(spec: InputSpec) -> InputSpec:
    """The same view with neither side longer than ``SUMMARY_SIDE``: statistics need no more."""
    return spec.with_(shape=tuple(min(size, SUMMARY_SIDE) for size in spec.shape))


def _with_derived(samples: Tensor, recorded: InputSpec) -> tuple[Tensor, InputSpec]:
    """Adds the channels that can be made of those that are there: colours of grey, or grey of colours."""
    channels, samples = recorded.channels, samples.float()
    extra: tuple[str, ...] = ()
    if GREY in channels:
        extra = tuple(colour for colour in COLOURS if colour not in channels)
        grey = samples[:, [channels.index(GREY)]]
        samples = torch.cat([samples, *[grey] * len(extra)], dim=1)
    elif set(COLOURS) <= set(channels):
        extra = (GREY,)
        colours = samples[:, [channels.index(colour) for colour in COLOURS]]
        grey = torch.einsum("bc...,c->b...", colours, colours.new_tensor(LUMA))
        samples = torch.cat([samples, grey.unsqueeze(1)], dim=1)
    return samples, recorded.model_copy(update={"channels": channels + extra})


MODALITIES.add(
    "image",
    Modality(
        view=view,
        augment=augment,
        fit=fit_normalisation,
        layouts=(("height", "width"),),
        usual_channels={1: (GREY,), 3: COLOURS},
        summary_view=summary_view,
    ),
)
