import numpy as np
import pytest
import torch

from hatlit.datamodules.target.own import target_of
from hatlit.errors import InputError
from hatlit.types import UNLABELLED

WINDOWS = np.random.default_rng(0).normal(size=(12, 3, 32))


@pytest.mark.parametrize(
    "labels",
    [
        {2: "walk", 5: "run", np.int64(7): "walk"},
        [None, None, "walk", None, None, "run", None, "walk", None, None, None, None],
        np.array([None] * 2 + ["walk"] + [None] * 2 + ["run", None, "walk"] + [None] * 4, dtype=object),
    ],
)
def test_the_labelled_few_by_row_or_one_a_row(labels):
    target = target_of(WINDOWS, labels, rate=50.0)
    assert target.class_names == ("run", "walk")
    assert target.split.labelled.tolist() == [2, 5, 7]
    assert target.train_labels[[2, 5, 7]].tolist() == [1, 0, 1]
    assert (target.train_labels != UNLABELLED).sum() == 3


def test_every_sample_trains():
    target = target_of(WINDOWS, {0: "walk"}, rate=50.0)
    assert (len(target.split.train), len(target.split.test)) == (12, 0)
    np.testing.assert_allclose(target.asked_samples.numpy(), WINDOWS, rtol=1e-6)


def test_how_they_were_recorded():
    recorded = target_of(torch.from_numpy(WINDOWS), {0: "walk"}, rate=50.0, channels=["x", "y", "z"]).domain.recorded
    assert (recorded.modality, recorded.channels, recorded.shape, recorded.rate) == ("imu", ("x", "y", "z"), (32,), 50)
    clouds = target_of(np.zeros((4, 5, 16)), {0: "wave"}, "radar", axes=["point"]).domain.recorded
    assert clouds.axes == ("point",)


def test_texts():
    target = target_of(["a fine book", "a bore", "so so"], {0: "good", 1: "bad"}, "text", name="books")
    assert (target.domain.name, target.domain.recorded.modality) == ("books", "text")
    assert len(target.view(target.spec)) == 3


@pytest.mark.parametrize(
    ("samples", "labels", "options", "says"),
    [
        (WINDOWS[0], {0: "walk"}, {}, r"float64 and shape \(3, 32\)"),
        (["a text"], {0: "walk"}, {}, "they must be numbers over rows, channels"),
        (WINDOWS[:0], {0: "walk"}, {}, r"shape \(0, 3, 32\)"),
        (np.full((2, 3, 4), np.inf), {0: "walk"}, {}, "not finite"),
        (np.full((2, 3, 4), 1e300), {0: "walk"}, {}, "not finite"),
        (WINDOWS[..., None], {0: "walk"}, {}, "imu samples are rows x channels x time"),
        (WINDOWS, {0: "walk"}, {"axes": ["space"]}, "imu samples are rows x channels x time"),
        (WINDOWS, {0: "walk"}, {"channels": ["x"]}, "1 names for the 3 channels"),
        (WINDOWS, {0: "walk"}, {"channels": ["x", "x", "y"]}, "channel names must differ"),
        (WINDOWS, {0: "walk"}, {"rate": -1.0}, "No view can be built"),
        (WINDOWS, {}, {}, "No sample has a label"),
        (WINDOWS, ["walk"], {}, "1 labels for 12 samples"),
        (WINDOWS, {12: "walk"}, {}, "belongs to row 12, but the 12 samples count from 0 to 11"),
        (WINDOWS, {-1: "walk"}, {}, "belongs to row -1"),
        (WINDOWS, {0: 3}, {}, "label of row 0 is 3; labels are names of classes"),
        (WINDOWS, {0: ""}, {}, "label of row 0 is ''"),
        (WINDOWS, {0: "walk"}, {"modality": "imus"}, "did you mean imu"),
    ],
)
def test_what_cannot_be_a_target_is_refused(samples, labels, options, says):
    with pytest.raises(InputError, match=says):
        target_of(samples, labels, **options)
