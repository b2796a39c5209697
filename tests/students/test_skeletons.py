import pytest
import torch

from hatlit.config import DeviceConfig
from hatlit.encoders.base import ENCODERS, InputSpec
from hatlit.errors import InputError
from hatlit.students.skeletons import AUTO, choose_student, default_student, fitting, skeletons

SPEC = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(64,), rate=50.0)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Lets every model take a millisecond for 100,000 parameters, whatever the machine is busy with."""
    size = {}

    def measured(name, model, view):
        size[name] = sum(parameter.numel() for parameter in model.parameters())
        return size[name] / 1e5

    monkeypatch.setattr("hatlit.students.skeletons.measured_ms", measured)


def costs(view, classes):
    return {one.name: one.cost for one in skeletons(view, classes)}


def test_every_encoder_is_there_cheapest_first():
    library = skeletons(SPEC, 5)
    assert sorted(skeleton.name for skeleton in library) == sorted(ENCODERS.names("imu"))
    parameters = [skeleton.cost.parameters for skeleton in library]
    assert parameters == sorted(parameters)
    assert all(skeleton.cost.macs > 0 for skeleton in library)


def test_more_classes_and_longer_windows_cost_more():
    small, more_classes = (costs(SPEC, classes)["cnn_nano"] for classes in (2, 50))
    longer = SPEC.model_copy(update={"shape": (128,)})
    assert small.parameters < more_classes.parameters
    assert small.macs < costs(longer, 2)["cnn_nano"].macs


def test_the_default_student_is_the_first_small_one_that_suits():
    assert default_student(SPEC) == "cnn_nano"
    tiny = InputSpec(modality="depth", channels=("distance",), shape=(4, 4))
    with pytest.raises(
        InputError, match=r"depth samples over height x width of 4 x 4 \(channels: .*\); name one with --student"
    ):
        default_student(tiny)


@pytest.mark.parametrize(
    ("name", "limits", "chosen"),
    [
        (None, {}, "cnn_nano"),
        ("tcn_small", {}, "tcn_small"),
        ("tcn_small", {"max_bytes": 10**6}, "tcn_small"),
        (None, {"max_bytes": 10**5}, "cnn_tiny"),
        (None, {"max_bytes": 10**9}, "transformer_base"),
        (None, {"max_latency_ms": 0.25}, "cnn_tiny"),
        (None, {"max_bytes": 10**9, "max_latency_ms": 0.08}, "cnn_nano"),
    ],
)
def test_the_largest_student_within_the_limits_is_taken(name, limits, chosen):
    assert choose_student(name, SPEC, 5, DeviceConfig(**limits)) == chosen


@pytest.mark.parametrize(
    ("name", "limits", "says"),
    [
        (None, {"max_bytes": 100}, r"No student fits --device.max_bytes 100: the smallest, tcn_nano, takes \d+ bytes"),
        (
            None,
            {"max_latency_ms": 1e-3},
            r"No student fits --device.max_latency_ms 0.001: .* and the fastest, tcn_nano",
        ),
        ("cnn_base", {"max_bytes": 10**5}, r"The student cnn_base, takes \d+ bytes .* more than --device.max_bytes"),
    ],
)
def test_limits_that_nothing_keeps_are_refused(name, limits, says):
    with pytest.raises(InputError, match=says):
        choose_student(name, SPEC, 5, DeviceConfig(**limits))


def test_what_is_ranked_is_what_fits():
    assert [one.name for one in fitting(SPEC, 5, DeviceConfig(max_parameters=10**4))] == [
        one.name for one in skeletons(SPEC, 5) if one.cost.parameters <= 10**4
    ]
    unlimited = [one.name for one in fitting(SPEC, 5, DeviceConfig())]
    assert {name.rpartition("_")[2] for name in unlimited} == {"nano", "tiny"} and len(unlimited) == 8
    assert choose_student(AUTO, SPEC, 5, DeviceConfig(max_parameters=10**4)) == AUTO
    with pytest.raises(InputError, match=r"No student fits --device.max_bytes 100"):
        choose_student(AUTO, SPEC, 5, DeviceConfig(max_bytes=100))


def test_choosing_costs_no_random_numbers():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    choose_student(None, SPEC, 5, DeviceConfig(max_bytes=10**5))
    assert torch.equal(torch.get_rng_state(), before)
