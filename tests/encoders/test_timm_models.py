"""Models of timm as encoders: size, channels, names, weights that are no pickle, single rows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from hatlit.encoders.base import InputSpec, build_encoder
from hatlit.encoders.timm_models import TimmEncoder, timm_encoder
from hatlit.errors import InputError

timm = pytest.importorskip("timm", exc_type=(ImportError, RuntimeError))  # type: ignore[call-overload]
TAGGED = "test_resnet.r160_in1k"


def spec(channels: int = 3, shape: tuple[int, int] = (28, 28), modality: str = "image") -> InputSpec:
    return InputSpec(modality=modality, channels=tuple(f"channel_{number}" for number in range(channels)), shape=shape)


@pytest.mark.parametrize(
    ("name", "shape", "wanted"),
    [
        ("test_resnet", (28, 28), (32, 32)),
        ("test_resnet", (40, 50), (40, 50)),
        ("test_resnet", (28, 64), (32, 64)),
        ("test_vit", (28, 28), (96, 96)),
        ("test_vit", (100, 161), (112, 176)),  # whole patches of sixteen
        ("levit_128s", (28, 28), (128, 128)),  # 96 is not enough for it
        ("crossvit_tiny_240", (28, 28), (240, 240)),  # takes no size but its own
    ],
)
def test_asks_for_a_size_that_the_model_can_take(name: str, shape: tuple[int, int], wanted: tuple[int, int]) -> None:
    encoder = timm_encoder(spec(1, shape), name, pretrained=False).eval()
    assert encoder.input_spec == spec(1, wanted)
    features = encoder(encoder.input_spec.blank(2))
    assert features.shape == (2, encoder.feature_dim)
    assert timm_encoder(encoder.input_spec, name, pretrained=False).input_spec == encoder.input_spec


@pytest.mark.parametrize("channels", [1, 3, 10])
@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_any_number_of_channels(name: str, channels: int) -> None:
    encoder = timm_encoder(spec(channels), name, pretrained=False)
    encoder(encoder.input_spec.blank(2).normal_()).sum().backward()
    assert all(one.grad is not None for one in encoder.parameters())


def test_the_families_of_both_modalities() -> None:
    for modality in ("image", "depth"):
        encoder = build_encoder("timm:test_resnet", spec(1, modality=modality))
        assert isinstance(encoder, TimmEncoder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet19", "Unknown timm model 'resnet19': did you mean resnet18"),
        ("xyzzyq", r"Unknown timm model 'xyzzyq': timm\.list_models\(\)"),
        ("hf-hub:somebody/model", "Unknown timm model"),
        ("local-dir:/tmp", "Unknown timm model"),
        ("test_resnet.r160_in2k", r"Unknown weights of a timm model .* did you mean test_resnet\.r160_in1k"),
    ],
)
@pytest.mark.parametrize("pretrained", [False, True])
def test_unknown_names_are_refused(name: str, message: str, pretrained: bool) -> None:
    with pytest.raises(InputError, match=message):
        timm_encoder(spec(), name, pretrained)


def test_a_series_is_refused() -> None:
    with pytest.raises(InputError, match="over 2 axes"):
        timm_encoder(InputSpec(modality="image", channels=("x",), shape=(64,)), "test_resnet", False)


def test_a_model_that_takes_nothing_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise RuntimeError("too\nsmall")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(InputError, match="'test_resnet' cannot take 3 channels of 28 x 28: too small"):
        timm_encoder(spec(), "test_resnet", False)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"pip install 'hatlit\[image\]'"):
        timm_encoder(spec(), "test_resnet", False)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> nn.Module:
    """A hub that has the weights of one model as safetensors, and nothing else; returns the model."""
    torch.manual_seed(3)
    published = timm.create_model(TAGGED, pretrained=False).eval()
    save_file(published.state_dict(), tmp_path / "model.safetensors")

    def download(repo_id: str, filename: str, **options: object) -> str:
        assert repo_id == f"timm/{TAGGED}"
        assert filename == "model.safetensors", "no other file may be asked for"
        return str(tmp_path / filename)

    monkeypatch.setattr("timm.models._hub.hf_hub_download", download)
    return published


def test_a_tag_loads_weights(hub: nn.Module) -> None:
    encoder = timm_encoder(spec(), TAGGED, pretrained=True).eval()
    view = torch.randn(2, 3, 32, 32)
    expected: Tensor = hub.forward_head(hub.forward_features(view), pre_logits=True)  # type: ignore[operator]
    torch.testing.assert_close(encoder(view), expected)
    assert encoder.colours is not None


def test_weights_fit_any_number_of_channels(hub: nn.Module) -> None:
    encoder = timm_encoder(spec(1), TAGGED, pretrained=True).eval()
    grey = torch.randn(2, 1, 32, 32)
    in_colour = hub.forward_head(hub.forward_features(grey.expand(2, 3, 32, 32)), pre_logits=True)  # type: ignore[operator]
    torch.testing.assert_close(encoder(grey), in_colour, atol=1e-4, rtol=1e-4)


def test_pretrained_pictures_are_scaled_as_in_training(hub: nn.Module) -> None:
    encoder = build_encoder(f"timm:{TAGGED}", spec())
    wanted = encoder.input_spec
    assert isinstance(wanted, InputSpec)
    assert wanted.mean == pytest.approx([255 * value for value in hub.pretrained_cfg["mean"]])  # type: ignore[index]
    for pretrained in (True, False):
        assert build_encoder(f"timm:{TAGGED}", wanted, pretrained).input_spec == wanted


def test_pretrained_depth_keeps_its_normalisation(hub: nn.Module) -> None:
    assert build_encoder(f"timm:{TAGGED}", spec(1, modality="depth")).input_spec.mean == ()  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "pretrained"), [(TAGGED, False), ("test_resnet", True)])
def test_nothing_is_downloaded_unless_asked(monkeypatch: pytest.MonkeyPatch, name: str, pretrained: bool) -> None:
    def download(*args: object, **options: object) -> str:
        raise AssertionError("nobody asked for weights")

    monkeypatch.setattr("timm.models._hub.hf_hub_download", download)
    assert timm_encoder(spec(), name, pretrained).colours is None


def test_weights_that_cannot_be_had_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*args: object, **options: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr("timm.models._hub.hf_hub_download", download)
    with pytest.raises(InputError, match=f"weights of timm model '{TAGGED}' could not be loaded: no network"):
        timm_encoder(spec(), TAGGED, pretrained=True)


def test_weights_without_safetensors_are_refused() -> None:
    with pytest.raises(InputError, match="a pickle, which is never read"):
        timm_encoder(spec(), "gcvit_xxtiny.in1k", pretrained=True)


class Normed(nn.Module):
    """A batch norm of the mean of each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, view: Tensor) -> Tensor:
        return self.norm(view.mean((2, 3)))


def test_a_single_row_can_train() -> None:
    encoder = TimmEncoder(Normed(), spec())
    encoder.model.norm.eval()  # type: ignore[union-attr]
    modes = [module.training for module in encoder.modules()]
    view = torch.randn(1, 3, 28, 28)
    encoder(view).sum().backward()
    assert [module.training for module in encoder.modules()] == modes
    encoder.train()
    torch.testing.assert_close(encoder(view), view.mean((2, 3)), atol=1e-4, rtol=1e-4)
    assert encoder.model.norm.num_batches_tracked == 0  # type: ignore[union-attr]


def test_what_gives_no_vector_is_refused() -> None:
    with pytest.raises(InputError, match="one feature vector a row"):
        TimmEncoder(nn.Identity(), spec())
