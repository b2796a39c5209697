"""Views of pictures: colours and grey stand in for one another, and augmentation changes little but everything."""

from __future__ import annotations

import pytest
import torch

from hatlit.datamodules.image import COLOURS, GREY, LUMA, SUMMARY_SIDE, augment, summary_view, view
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError

COLOUR = InputSpec(modality="image", channels=COLOURS, shape=(6, 8))
PLAIN = InputSpec(modality="image", channels=(GREY,), shape=(6, 8))


def pictures(channels: int = 3, rows: int = 4, side: int = 16) -> torch.Tensor:
    return torch.randn(rows, channels, side, side, generator=torch.Generator().manual_seed(0))


def test_grey_stands_in_for_colours() -> None:
    grey = torch.arange(48.0).reshape(1, 1, 6, 8)
    shown = view(grey, PLAIN, COLOUR)
    assert shown.shape == (1, 3, 6, 8)
    assert all(torch.equal(shown[:, number], grey[:, 0]) for number in range(3))


def test_the_luma_of_colours_stands_in_for_grey() -> None:
    colours = torch.tensor([10.0, 20.0, 30.0]).reshape(1, 3, 1, 1).expand(1, 3, 6, 8)
    expected = sum(share * value for share, value in zip(LUMA, (10, 20, 30), strict=True))
    torch.testing.assert_close(view(colours, COLOUR, PLAIN), torch.full((1, 1, 6, 8), expected))


def test_a_channel_that_cannot_be_made_is_missing() -> None:
    with pytest.raises(InputError, match="no channel infrared"):
        view(torch.zeros(1, 3, 6, 8), COLOUR, COLOUR.with_(channels=("infrared",)))


def test_shrinking_averages_and_channels_are_normalised() -> None:
    board = torch.tensor([[0.0, 2.0], [2.0, 0.0]]).repeat(3, 4).reshape(1, 1, 6, 8)
    wanted = PLAIN.with_(shape=(3, 4), mean=(0.5,), std=(0.25,))
    torch.testing.assert_close(view(board, PLAIN, wanted)[..., 1, 1:3], torch.full((1, 1, 2), 2.0), atol=0.3, rtol=0)


def test_a_summary_is_never_larger_than_it_need_be() -> None:
    assert summary_view(COLOUR).shape == (6, 8)
    assert summary_view(COLOUR.with_(shape=(480, 20))).shape == (SUMMARY_SIDE, 20)


def test_augmentation_is_mild_and_each_picture_has_its_own() -> None:
    same = pictures(rows=1).repeat(6, 1, 1, 1)
    changed = augment(same, COLOUR.with_(shape=(16, 16)), torch.Generator().manual_seed(0))
    assert changed.shape == same.shape
    assert len({row.numpy().tobytes() for row in changed}) == 6
    smooth = torch.linspace(-1, 1, 16).expand(200, 1, 16, 16)
    spec = PLAIN.with_(shape=(16, 16))
    moved = augment(smooth.clone(), spec, torch.Generator().manual_seed(1)).mean(0)
    assert torch.corrcoef(torch.stack([moved.flatten(), smooth[0].flatten()]))[0, 1] > 0.95, "never mirrored"
