import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hatlit.datamodules.blend import blend
from hatlit.encoders.base import InputSpec

SERIES = InputSpec(modality="imu", channels=("x", "y"), shape=(4,))
PICTURE = InputSpec(modality="image", channels=("grey",), shape=(2, 2), axes=("height", "width"))
CLOUD = InputSpec(modality="radar", channels=("x", "y", "z"), shape=(4,), axes=("point",))
TEXT = InputSpec(modality="text", channels=("utf8",), shape=(12,), axes=("byte",))


def as_text(*words, length=12):
    return torch.stack([torch.tensor([*word.encode(), *[0] * (length - len(word))]).float() for word in words])[:, None]


def as_words(texts):
    return [bytes(int(byte) for byte in row[0] if byte).decode() for row in texts]


@pytest.mark.parametrize("spec", [SERIES, PICTURE])
def test_what_can_be_summed_is_summed(spec):
    ones = torch.ones(3, len(spec.channels), *spec.shape)
    blended = blend(ones, 5 * ones, torch.tensor([1.0, 0.5, 0.0]), spec)
    assert [row.unique().tolist() for row in blended] == [[1.0], [3.0], [5.0]]


def test_a_cloud_has_points_of_both():
    ones = torch.ones(3, 3, 4)
    blended = blend(ones, 5 * ones, torch.tensor([1.0, 0.25, 0.0]), CLOUD)
    assert blended[:, 0].tolist() == [[1, 1, 1, 1], [1, 5, 5, 5], [5, 5, 5, 5]]


def test_a_text_begins_as_one_and_ends_as_the_other():
    first, second = as_text("abcdef", "abcdef", "abcdef"), as_text("uvwxyz", "uvwxyz", "uvwxyz")
    joined = blend(first, second, torch.tensor([0.5, 1.0, 0.0]), TEXT)
    assert as_words(joined) == ["abc xyz", "abcdef ", " uvwxyz"]


def test_a_text_that_gets_too_long_loses_its_end():
    joined = blend(as_text("abcdefghijkl"), as_text("u" * 12), torch.tensor([0.99]), TEXT)
    assert as_words(joined) == ["abcdefghijk "]


@given(first=st.text("abc", max_size=12), second=st.text("xyz", max_size=12), share=st.floats(0, 1))
def test_no_letter_of_a_text_is_made_up(first, second, share):
    joined = blend(as_text(first), as_text(second), torch.tensor([share]), TEXT)
    assert joined.shape == (1, 1, 12)
    (text,) = as_words(joined)
    beginning, _, end = text.partition(" ")
    assert first.startswith(beginning)
    assert end in second
    assert not joined[0, 0, len(text) :].any()  # nothing behind the padding
