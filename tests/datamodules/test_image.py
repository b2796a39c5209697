from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hatlit.config import LabelsConfig, SourcesConfig
from hatlit.datamodules import image
from hatlit.datamodules.augment import Chance
from hatlit.datamodules.base import DATASETS, MODALITIES, build_view
from hatlit.datamodules.image import COLOURS, augment, move, summary_view, view
from hatlit.datamodules.split import split_domain
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.zoo.train_source import train_source

CHANGES = ("ROTATION", "SCALE", "TRANSLATION", "CONTRAST", "BRIGHTNESS", "JITTER", "CUTOUT")


def spec(channels: tuple[str, ...] = COLOURS, shape: tuple[int, ...] = (28, 28), **changes: object) -> InputSpec:
    return InputSpec.model_validate({"modality": "image", "channels": channels, "shape": shape, **changes})


def only(monkeypatch: pytest.MonkeyPatch, *kept: str) -> None:
    """Switches every random change off but some."""
    for name in set(CHANGES) - set(kept):
        monkeypatch.setattr(image, name, 0.0)


def test_same_spec_changes_nothing() -> None:
    samples = torch.rand(3, 3, 28, 28) * 255
    assert torch.equal(view(samples, spec(), spec()), samples)


def test_grey_stands_in_for_colours() -> None:
    grey = torch.rand(2, 1, 28, 28)
    assert torch.equal(view(grey, spec(("grey",)), spec()), grey.expand(2, 3, 28, 28))


def test_colours_mix_to_grey_by_luma() -> None:
    samples = torch.tensor([100.0, 200.0, 50.0]).reshape(1, 3, 1, 1).expand(1, 3, 28, 28)
    seen = view(samples, spec(), spec(("grey",)))
    torch.testing.assert_close(seen, torch.full((1, 1, 28, 28), 0.299 * 100 + 0.587 * 200 + 0.114 * 50))
    # The order in which colours were recorded does not matter, nor what else was.
    recorded = spec(("blue", "infrared", "green", "red"))
    mixed = view(samples[:, [2, 0, 1, 0]], recorded, spec(("infrared", "grey")))
    assert mixed[0, :, 0, 0].tolist() == pytest.approx([100.0, 153.0])


def test_colours_and_grey_that_were_recorded_come_first() -> None:
    samples = torch.rand(2, 4, 28, 28)
    recorded = spec((*COLOURS, "grey"))
    assert torch.equal(view(samples, recorded, spec(("grey", "red"))), samples[:, [3, 0]])


@pytest.mark.parametrize(
    ("recorded", "wanted"), [(("grey",), ("infrared",)), (("red", "green"), ("grey",)), (("channel_0",), COLOURS)]
)
def test_what_cannot_be_made_is_missing(recorded: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=f"no channel {wanted[0]}"):
        view(torch.rand(1, len(recorded), 28, 28), spec(recorded), spec(wanted))


def test_unnamed_channels_are_found_by_their_numbers() -> None:
    samples = torch.rand(2, 3, 28, 28)
    recorded = spec(("channel_0", "channel_1", "channel_2"))
    assert torch.equal(view(samples, recorded, spec(("channel_2",))), samples[:, [2]])


def test_stretches_and_normalises() -> None:
    samples = torch.arange(4.0).reshape(1, 1, 1, 4).expand(1, 1, 4, 4)
    wanted = spec(("grey",), (2, 2), mean=(1.5,), std=(2.0,))
    seen = view(samples, spec(("grey",), (4, 4)), wanted)
    assert seen.shape == (1, 1, 2, 2)
    torch.testing.assert_close(seen[0, 0, 0], -seen[0, 0, 0].flip(0))
    assert view(torch.full((1, 1, 4, 4), 5.5), spec(("grey",), (4, 4)), wanted).unique().tolist() == [2.0]


def test_other_axes_are_refused() -> None:
    with pytest.raises(InputError, match="height x width"):
        view(torch.rand(1, 3, 28, 28), spec(axes=("bin", "time")), spec())


def test_the_modality_fits_bytes() -> None:
    samples = np.array([0, 100, 200, 100], dtype=np.uint8).reshape(1, 1, 2, 2)
    fitted = MODALITIES.get("image").fit(samples, spec(("grey",), (2, 2)))
    assert fitted.mean == (100.0,)
    assert fitted.std == pytest.approx((math.sqrt(5000.0),))
    assert build_view(torch.from_numpy(samples), fitted.with_(mean=(), std=()), fitted).mean().item() == 0


@pytest.mark.parametrize(("shape", "summed_up"), [((28, 28), (28, 28)), ((240, 320), (32, 32)), ((16, 64), (16, 32))])
def test_statistics_are_computed_on_small_pictures(shape: tuple[int, int], summed_up: tuple[int, int]) -> None:
    assert summary_view(spec(shape=shape)) == spec(shape=summed_up)


@pytest.mark.parametrize(("channels", "shape"), [(3, (28, 28)), (1, (9, 40)), (4, (64, 8))])
def test_augment_obeys_its_generator_alone(channels: int, shape: tuple[int, int]) -> None:
    views = torch.randn(4, channels, *shape)
    kept = views.clone()
    first, second, other = (augment(views, spec(), torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert first.shape == views.shape
    assert first.isfinite().all()
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(views, kept)


def test_every_row_changes_in_its_own_way() -> None:
    views = torch.randn(1, 3, 28, 28).expand(4, 3, 28, 28)
    changed = augment(views, spec(), torch.Generator().manual_seed(0))
    assert all(not torch.allclose(changed[0], row, atol=0.1) for row in changed[1:])


def test_augment_is_mild() -> None:
    smooth = torch.nn.functional.interpolate(torch.randn(64, 3, 7, 7), size=(28, 28), mode="bilinear")
    changed = augment(smooth, spec(), torch.Generator().manual_seed(0))
    assert torch.corrcoef(torch.stack([smooth.flatten(), changed.flatten()]))[0, 1] > 0.6


def test_without_changes_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch)
    views = torch.randn(3, 3, 28, 20)
    torch.testing.assert_close(augment(views, spec(), torch.Generator().manual_seed(0)), views, atol=1e-4, rtol=0)


def test_never_mirrored() -> None:
    views = torch.linspace(-1, 1, 28).expand(200, 1, 28, 28)
    changed = augment(views, spec(), torch.Generator().manual_seed(0))
    assert (changed[..., 20:].mean((1, 2, 3)) > changed[..., :8].mean((1, 2, 3))).all()


def test_contrast_and_brightness_belong_to_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "CONTRAST", "BRIGHTNESS")
    views = torch.randn(4, 3, 8, 8)
    changed = augment(views, spec(), torch.Generator().manual_seed(0))
    for before, after in zip(views, changed, strict=True):
        ratio = after.std() / before.std()
        torch.testing.assert_close(after, ratio * before + (after - ratio * before).mean(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("shape", [(32, 32), (32, 64)])
def test_a_turn_keeps_lengths(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]) -> None:
    """Two spots keep their distance in pixels, even where a picture is not square."""
    only(monkeypatch, "ROTATION")
    monkeypatch.setattr(image, "ROTATION", 0.5)
    height, width = shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    middle = ((height - 1) / 2, (width - 1) / 2)

    def spot(dx: float) -> torch.Tensor:
        return torch.exp(-((y - middle[0]) ** 2 + (x - middle[1] - dx) ** 2) / 4).expand(5, 1, height, width)

    def place(views: torch.Tensor) -> torch.Tensor:
        weight = views[:, 0] / views.sum((1, 2, 3))[:, None, None]
        return torch.stack([(weight * y).sum((1, 2)), (weight * x).sum((1, 2))], dim=1)

    moved = [place(move(spot(dx), Chance(spot(dx), torch.Generator().manual_seed(1)))) for dx in (-8.0, 8.0)]
    torch.testing.assert_close((moved[1] - moved[0]).norm(dim=1), torch.full((5,), 16.0), atol=0.3, rtol=0)
    assert (moved[1] - moved[0])[:, 0].abs().max() > 1


@pytest.mark.real_data
def test_a_small_source_learns_real_digits_and_misses_other_styles(real_data_root) -> None:
    data = DATASETS.get("arrays", "image")(real_data_root / "image-digits5.npz", "image")
    home, away = data.domain("usps"), data.domain("mnist")
    split = split_domain(home, LabelsConfig(), seed=0)
    source = train_source(home, split.train[::3], split.test[::2], "cnn_nano", SourcesConfig(max_epochs=12), seed=0)
    assert source.accuracy > 0.85
    rows = split_domain(away, LabelsConfig(), seed=0).test[::2]
    with torch.no_grad():
        logits = source.model(build_view(away.tensor(rows), away.recorded, source.model.input_spec))
    assert (logits.argmax(1).numpy() == away.labels[rows]).mean() < source.accuracy - 0.1
