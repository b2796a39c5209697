"""Tiny, untrained models of sound from a folder: of waveforms, and of spectrograms with their feature extractor."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from hatlit.encoders.base import InputSpec, build_encoder
from hatlit.encoders.transformers_audio import standardise
from hatlit.errors import InputError

transformers = pytest.importorskip("transformers", exc_type=(ImportError, RuntimeError))

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


def waveform(time: int = 2000, rate: float | None = 8000.0, channels: int = 1) -> InputSpec:
    names = tuple(f"c{number}" for number in range(channels))
    return InputSpec(modality="audio", channels=names, shape=(time,), rate=rate)


def wav2vec2(folder: Path) -> None:
    config = transformers.Wav2Vec2Config(
        **SMALL,
        conv_dim=(16, 16),
        conv_stride=(20, 4),
        conv_kernel=(20, 4),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )
    transformers.Wav2Vec2Model(config).save_pretrained(folder)


def whisper(folder: Path) -> None:
    layers = {f"{part}_{what}": 2 for part in ("encoder", "decoder") for what in ("layers", "attention_heads")}
    widths = {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "d_model": 16, "vocab_size": 20}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    config = transformers.WhisperConfig(**layers, **widths, **tokens, num_mel_bins=20, max_source_positions=50)
    transformers.WhisperModel(config).save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=20, chunk_length=1).save_pretrained(folder)


def spectrogram_transformer(folder: Path) -> None:
    transformers.ASTModel(transformers.ASTConfig(**SMALL, num_mel_bins=32, max_length=64)).save_pretrained(folder)
    transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=64).save_pretrained(folder)


MAKERS: dict[str, Callable[[Path], None]] = {
    maker.__name__: maker for maker in (wav2vec2, whisper, spectrogram_transformer)
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one tiny model of each kind."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    for name, make in MAKERS.items():
        make(folder / name)
    return folder


@pytest.fixture(params=list(MAKERS))
def name(request: pytest.FixtureRequest, saved: Path) -> str:
    return f"hf:{saved / request.param}"


@pytest.fixture
def encoder(name: str) -> nn.Module:
    return build_encoder(name, waveform())


def test_asks_for_its_own_rate_and_keeps_it(encoder: nn.Module, name: str) -> None:
    assert encoder.input_spec == waveform(4000, 16000.0)
    assert encoder.feature_dim == 16
    assert build_encoder(name, encoder.input_spec, pretrained=False).input_spec == encoder.input_spec


def test_a_source_is_rebuilt_from_its_stored_weights(encoder: nn.Module, name: str) -> None:
    fresh = build_encoder(name, encoder.input_spec, pretrained=False)
    view = torch.randn(2, 1, 4000)
    assert not torch.allclose(fresh(view), encoder(view), atol=1e-3)
    fresh.load_state_dict(load(save({key: one.contiguous() for key, one in encoder.state_dict().items()})))
    torch.testing.assert_close(fresh(view), encoder(view))
    torch.testing.assert_close(copy.deepcopy(encoder)(view), encoder(view))


def test_features_of_a_row_are_its_own_and_the_same_in_training(encoder: nn.Module) -> None:
    view = torch.randn(3, 1, 4000)
    features = encoder.train()(view)
    assert features.shape == (3, 16)
    alone = torch.cat([encoder.eval()(row[None]) for row in view])
    torch.testing.assert_close(alone, features, rtol=1e-3, atol=1e-4)


def test_does_not_hear_how_loud_a_sound_is(encoder: nn.Module) -> None:
    view = torch.randn(2, 1, 4000)
    torch.testing.assert_close(encoder(7 * view), encoder(view), rtol=1e-3, atol=1e-3)


def test_a_gradient_reaches_every_weight_that_takes_part(encoder: nn.Module) -> None:
    (encoder(torch.randn(2, 1, 4000)) * torch.randn(2, 16)).sum().backward()
    learning = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    assert learning
    assert all(parameter.grad is not None for parameter in learning)


def test_padding_does_not_thin_out_the_features(saved: Path) -> None:
    """Whisper always takes its whole chunk; only the frames of the sound itself count."""
    encoder = build_encoder(f"hf:{saved / 'whisper'}", waveform())
    frames = encoder.model(encoder._prepare(standardise(torch.ones(1, 4000)))).last_hidden_state
    assert frames.shape[1] == 50
    assert encoder._heard(50) == 13  # a quarter of a second, of one


def test_several_channels_are_heard_as_their_mean(saved: Path) -> None:
    stereo = build_encoder(f"hf:{saved / 'wav2vec2'}", waveform(channels=2))
    mono = build_encoder(f"hf:{saved / 'wav2vec2'}", waveform())
    view = torch.randn(2, 2, 4000)
    torch.testing.assert_close(stereo(view), mono(view.mean(1, keepdim=True)))


def test_standardise() -> None:
    expected = torch.tensor([[-1.2247, 0.0, 1.2247], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(standardise(torch.tensor([[1.0, 2, 3], [5, 5, 5]])), expected, atol=1e-4, rtol=0)


def test_what_it_cannot_listen_to_is_refused(saved: Path) -> None:
    heard = f"hf:{saved / 'wav2vec2'}"
    with pytest.raises(InputError, match=r"cannot listen to 20 samples at 16000 Hz: .*[^.]\.$"):
        build_encoder(heard, waveform(10))
    with pytest.raises(InputError, match="needs to know the sampling rate"):
        build_encoder(heard, waveform(rate=None))
    with pytest.raises(InputError, match="samples over time"):
        build_encoder(heard, waveform().with_(shape=(40, 50), axes=("mel", "time")))


def test_a_model_of_something_else_is_refused(tmp_path: Path) -> None:
    transformers.BertModel(transformers.BertConfig(**SMALL, vocab_size=20)).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="is no model of sound"):
        build_encoder(f"hf:{tmp_path}", waveform())
