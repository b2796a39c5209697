import pytest

from hatlit.encoders.base import ENCODERS, InputSpec
from hatlit.errors import InputError
from hatlit.students.skeletons import default_student, skeletons

SPEC = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(64,), rate=50.0)


def test_every_encoder_is_there_cheapest_first():
    library = skeletons(SPEC, 5)
    assert sorted(skeleton.name for skeleton in library) == sorted(ENCODERS.names("imu"))
    parameters = [skeleton.cost.parameters for skeleton in library]
    assert parameters == sorted(parameters)
    assert all(skeleton.cost.macs > 0 for skeleton in library)


def test_more_classes_and_longer_windows_cost_more():
    small, more_classes = (dict(skeletons(SPEC, classes))["cnn_nano"] for classes in (2, 50))
    longer = SPEC.model_copy(update={"shape": (128,)})
    assert small.parameters < more_classes.parameters
    assert small.macs < dict(skeletons(longer, 2))["cnn_nano"].macs


def test_the_default_student_is_the_first_small_one_that_suits():
    assert default_student(SPEC) == "cnn_nano"
    tiny = InputSpec(modality="depth", channels=("distance",), shape=(4, 4))
    with pytest.raises(InputError, match=r"depth samples over height x width of 4 x 4; name one with --student"):
        default_student(tiny)
