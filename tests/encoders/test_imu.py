"""Every IMU encoder keeps the contract, at any number of channels and any length; the smallest one learns."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F

from hatlit.encoders.base import ENCODERS, InputSpec, build_classifier, build_encoder
from hatlit.encoders.imu import SIZES
from hatlit.errors import InputError

FAMILIES = ("cnn", "tcn", "cnn_gru", "transformer")
NAMES = [f"{family}_{size}" for family in FAMILIES for size in SIZES]
every_encoder = pytest.mark.parametrize("name", NAMES)


def spec(channels: int = 6, time: int = 64) -> InputSpec:
    return InputSpec(modality="imu", channels=tuple(f"c{number}" for number in range(channels)), shape=(time,))


def build(name: str, channels: int = 6, time: int = 64) -> nn.Module:
    torch.manual_seed(0)
    return build_encoder(name, spec(channels, time))


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_every_family_and_size_is_registered() -> None:
    assert set(NAMES) <= set(ENCODERS.names("imu"))
    assert all(entry.summary for entry in ENCODERS.entries("imu"))


@every_encoder
@pytest.mark.parametrize(("channels", "time"), [(1, 8), (3, 9), (6, 128), (9, 200)])
def test_shapes(name: str, channels: int, time: int) -> None:
    encoder = build(name, channels, time)
    features = encoder(torch.randn(2, channels, time))
    assert features.shape == (2, encoder.feature_dim)
    assert features.isfinite().all()
    assert encoder.input_spec == spec(channels, time)


@every_encoder
@pytest.mark.parametrize("time", [9, 64])  # of eight samples a GRU sees a single step, and its recurrent weights rest
def test_gradient_reaches_every_parameter(name: str, time: int) -> None:
    encoder = build(name, time=time)
    encoder(torch.randn(4, 6, time)).square().sum().backward()
    assert [key for key, value in encoder.named_parameters() if value.grad is None or not value.grad.any()] == []


@every_encoder
def test_a_row_does_not_depend_on_its_neighbours(name: str) -> None:
    encoder = build(name)
    view = torch.randn(5, 6, 64)
    together = encoder(view)
    alone = torch.cat([encoder(row.unsqueeze(0)) for row in view])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)


@every_encoder
def test_the_same_answer_every_time_in_training_and_evaluation(name: str) -> None:
    encoder = build(name)
    view = torch.randn(3, 6, 64)
    trained = encoder(view)
    encoder.eval()
    torch.testing.assert_close(encoder(view), encoder(view), rtol=0, atol=0)
    torch.testing.assert_close(encoder(view), trained)


@every_encoder
def test_weights_survive_safetensors(name: str) -> None:
    encoder = build(name)
    stored = load(save(encoder.state_dict()))
    torch.manual_seed(1)
    other = build_encoder(name, spec())
    view = torch.randn(2, 6, 64)
    assert not torch.equal(other(view), encoder(view))
    other.load_state_dict(stored)
    torch.testing.assert_close(other(view), encoder(view), rtol=0, atol=0)


@every_encoder
def test_the_last_block_is_a_real_part_but_not_the_whole(name: str) -> None:
    encoder = build(name)
    last_block = [child for child in encoder.children() if num_parameters(child)][-1]
    assert 0.1 < num_parameters(last_block) / num_parameters(encoder) < 0.9


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_grow(family: str) -> None:
    counts = [num_parameters(build(f"{family}_{size}")) for size in SIZES]
    assert counts == sorted(set(counts))
    assert counts[0] < 20_000
    assert counts[-1] < 1_500_000


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", [(7,), (64, 64)])
def test_a_view_that_is_no_time_series_is_refused(family: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="one time axis with at least 8 samples"):
        build_encoder(f"{family}_nano", spec().model_copy(update={"shape": shape}))


def rhythms(rows_per_class: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sines of one of three frequencies at any phase, in noise: (B, 3, 64) and (B,)."""
    label = torch.arange(3).repeat_interleave(rows_per_class)
    phase = torch.rand(len(label), 3, 1, generator=generator) * 6.3
    angle = torch.arange(64) * (0.2 * 2.0 ** label[:, None, None]) + phase
    return angle.sin() + 0.3 * torch.randn(len(label), 3, 64, generator=generator), label


@pytest.mark.parametrize("family", FAMILIES)
def test_the_smallest_learns_rhythms_from_few_windows(family: str) -> None:
    generator = torch.Generator().manual_seed(0)
    view, label = rhythms(32, generator)
    unseen_view, unseen_label = rhythms(32, generator)
    torch.manual_seed(0)
    classifier = build_classifier(f"{family}_nano", spec(channels=3), num_classes=3)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(classifier(view), label).backward()
        optimizer.step()
    assert (classifier(unseen_view).argmax(1) == unseen_label).float().mean() > 0.9
