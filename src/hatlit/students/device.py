"""What a weak device sees of a sample."""

from __future__ import annotations

import math

from hatlit.config import DeviceConfig
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError, unknown_name


def device_view(spec: InputSpec, device: DeviceConfig) -> InputSpec:
    """Narrows the view of a student down to what its device can see: fewer channels, a lower rate, a smaller shape.

    At a lower rate a window lasts as long as before. Where ``device.shape`` is given, it is the shape.

    Raises:
        InputError: the device wants a channel that is not recorded, a rate that cannot be had, or a shape with another
            number of axes.
    """
    for change in (_channels, _rate, _shape):
        spec = change(spec, device)
    return spec


def _channels(spec: InputSpec, device: DeviceConfig) -> InputSpec:
    for name in device.channels:
        if name not in spec.channels:
            raise unknown_name("channel", name, spec.channels, where="for --device.channels")
    kept = [number for number, name in enumerate(spec.channels) if name in device.channels] if device.channels else None
    if kept is None:
        return spec
    pick = {name: tuple(getattr(spec, name)[number] for number in kept) for name in ("mean", "std") if spec.mean}
    return spec.with_(channels=tuple(spec.channels[number] for number in kept), **pick)


def _rate(spec: InputSpec, device: DeviceConfig) -> InputSpec:
    if device.rate is None:
        return spec
    if spec.rate is None or "time" not in spec.axes:
        raise InputError(f"--device.rate {device.rate:g} makes no sense here: these samples have no sampling rate.")
    if device.rate > spec.rate:
        raise InputError(f"--device.rate {device.rate:g} Hz is above the recorded {spec.rate:g} Hz.")
    # As many samples as resampling makes; 192 at 64 Hz must not become 97 at 32 Hz by rounding.
    time = math.ceil(spec.shape[spec.axes.index("time")] * device.rate / spec.rate - 1e-6)
    shape = tuple(time if axis == "time" else size for axis, size in zip(spec.axes, spec.shape, strict=True))
    return spec.with_(rate=device.rate, shape=shape)


def _shape(spec: InputSpec, device: DeviceConfig) -> InputSpec:
    if not device.shape:
        return spec
    if len(device.shape) != len(spec.shape):
        given, axes = len(device.shape), len(spec.axes)
        raise InputError(
            f"--device.shape {','.join(map(str, device.shape))} gives {given} size{'s' * (given > 1)}; these samples "
            f"have {axes} {'axes' if axes > 1 else 'axis'} behind the channels: {', '.join(spec.axes)}."
        )
    return spec.with_(shape=tuple(int(size) for size in device.shape))
