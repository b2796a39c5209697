import pytest

from hatlit.config import DeviceConfig
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.students.device import device_view

SERIES = InputSpec(
    modality="imu", channels=("x", "y", "z"), shape=(192,), rate=64.0, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0)
)
PICTURE = InputSpec(modality="depth", channels=("depth",), shape=(36, 36))


def test_nothing_asked_nothing_changed():
    assert device_view(SERIES, DeviceConfig()) == SERIES


def test_fewer_channels_keep_their_own_scale_and_order():
    view = device_view(SERIES, DeviceConfig(channels="z,x"))
    assert (view.channels, view.mean, view.std) == (("x", "z"), (1.0, 3.0), (4.0, 6.0))


@pytest.mark.parametrize(("rate", "time"), [(64.0, 192), (32.0, 96), (20.0, 60), (25.0, 75)])
def test_a_lower_rate_keeps_the_duration(rate, time):
    view = device_view(SERIES, DeviceConfig(rate=rate))
    assert (view.rate, view.shape) == (rate, (time,))


def test_a_smaller_picture():
    assert device_view(PICTURE, DeviceConfig(shape="16,16")).shape == (16, 16)
    assert device_view(SERIES, DeviceConfig(rate=32.0, shape=[50])).shape == (50,)


@pytest.mark.parametrize(
    ("spec", "options", "says"),
    [
        (SERIES, {"channels": "x,w"}, "Unknown channel 'w' for --device.channels"),
        (SERIES, {"rate": 100.0}, "100 Hz is above the recorded 64 Hz"),
        (PICTURE, {"rate": 10.0}, "have no sampling rate"),
        (
            PICTURE,
            {"shape": "16"},
            "--device.shape 16 gives 1 size; these samples have 2 axes behind the channels: height, width.",
        ),
        (
            SERIES,
            {"shape": "16,16"},
            "--device.shape 16,16 gives 2 sizes; these samples have 1 axis behind the channels: time.",
        ),
    ],
)
def test_what_the_recording_cannot_give_is_refused(spec, options, says):
    with pytest.raises(InputError, match=says):
        device_view(spec, DeviceConfig(**options))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"shape": "16x16"}, "sizes such as 16,16"),
        ({"shape": [0]}, "at least 1"),
        ({"rate": 0.0}, "above 0"),
        ({"max_bytes": 0}, "--device.max_bytes must be above 0"),
        ({"max_latency_ms": -1.0}, "--device.max_latency_ms must be above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(options, says):
    with pytest.raises(InputError, match=says):
        DeviceConfig(**options)
