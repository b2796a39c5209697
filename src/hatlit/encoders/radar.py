"""Encoders of radar recordings, which come in three forms: maps of bins over time, series over time, clouds of points.

Every family of time series serves maps as well, under the same name. ``cnn`` takes a map for a picture, whose two axes
are alike; the others sum up each frame first and then look at the frames in a row.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from torch import nn

from hatlit.encoders import grid, series
from hatlit.encoders.base import InputSpec, register_encoder
from hatlit.encoders.blocks import SIZES, Blocks, require_axes
from hatlit.encoders.points import pointnet

MAP = ("bin", "time")
MIN_SIDE = 8

_BINS_LEFT = 4  # of a frame, at most
_WIDTHS = {"nano": 8, "tiny": 12, "small": 24, "base": 48}  # numbers kept of each

Family = Callable[[InputSpec, str], nn.Module]


def cnn(input_spec: InputSpec, size: str) -> nn.Module:
    """Three convolutions, each halving the axes of a map or series: the cheapest, and the usual student.

    Raises:
        InputError: the view is neither a map over bins and time nor a series over time, or is too small.
    """
    return (grid.cnn if input_spec.axes == MAP else series.cnn)(input_spec, size)


def over_frames(family: Family) -> Family:
    """Extends a family of time series to maps: convolutions sum up each frame, the family looks at what they say.

    Unlike ``cnn`` it can tell where along the bins something lies. After Singh, Sandha, Garcia and Srivastava,
    "RadHAR: Human Activity Recognition from Point Clouds Generated through a Millimeter-wave Radar", mmNets 2019.
    """

    @wraps(family)
    def build(input_spec: InputSpec, size: str) -> nn.Module:
        if input_spec.axes != MAP:
            return family(input_spec, size)
        require_axes(input_spec, MAP, MIN_SIDE)
        frames = _Frames(input_spec, _WIDTHS[size])
        over_time = family(frames.output_spec, size)
        return Blocks(input_spec, int(over_time.feature_dim), frames, *over_time.children())  # type: ignore[arg-type]

    return build


class _Frames(nn.Sequential):
    """Maps (B, channels, bins, time) to (B, features, time), halving the bins until ``_BINS_LEFT`` or fewer remain."""

    def __init__(self, input_spec: InputSpec, width: int) -> None:
        channels, (bins, time) = input_spec.num_channels, input_spec.shape
        layers: list[nn.Module] = []
        while bins > _BINS_LEFT:
            halving = nn.Conv2d(channels, width, kernel_size=3, padding=1, stride=(2, 1))
            layers += [halving, nn.GroupNorm(4, width), nn.GELU()]
            channels, bins = width, -(-bins // 2)
        super().__init__(*layers, nn.Flatten(1, 2))
        features = tuple(f"feature_{number}" for number in range(width * bins))
        self.output_spec = InputSpec(modality=input_spec.modality, channels=features, shape=(time,))


register_encoder("radar", sizes=SIZES)(cnn)
for _family in (series.cnn_gru, series.tcn, series.transformer):
    register_encoder("radar", sizes=SIZES)(over_frames(_family))
register_encoder("radar", sizes=SIZES)(pointnet)
