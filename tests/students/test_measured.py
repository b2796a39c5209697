import json

import pytest
from pydantic import ValidationError

from hatlit.encoders.base import ENCODERS
from hatlit.students.measured import MEASURED, Accuracy, Measured, measured


@pytest.mark.parametrize("modality", sorted(json.loads(MEASURED.read_text())["sets"]))
def test_what_ships_is_about_skeletons_that_there_are(modality):
    one = measured().sets[modality]
    assert set(one.accuracy) <= set(ENCODERS.names(modality))
    assert one.command.startswith("python benchmarks/students.py")
    for accuracy in one.accuracy.values():
        assert (accuracy.low is None) == (accuracy.high is None) == (len(one.targets) == 1)
        assert accuracy.low is None or accuracy.low <= accuracy.mean <= accuracy.high


def test_a_share_lies_within_0_and_1():
    with pytest.raises(ValidationError):
        Accuracy(mean=91.2)


def test_what_nobody_knows_is_refused():
    with pytest.raises(ValidationError):
        Measured.model_validate({"sets": {}, "more": 1})
