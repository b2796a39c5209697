"""Texts at rest, as views, and with words missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hatlit.datamodules.base import MODALITIES, build_view
from hatlit.datamodules.text import (
    DROPPED,
    LONGEST,
    augment,
    common_length,
    fit,
    from_offsets,
    pad_texts,
    recorded_form,
    texts_of,
)
from hatlit.datamodules.tokenizers import ngram_numbers
from hatlit.encoders.base import InputSpec
from hatlit.encoders.text import NGRAMS, WORDPIECE
from hatlit.errors import InputError

TEXTS = [b"It broke.", "très bien".encode(), b""]


def samples(length: int = 16) -> torch.Tensor:
    return torch.from_numpy(pad_texts(TEXTS, length)).float()


def tokens(tokenizer: str, length: int, vocabulary: tuple[str, ...] = ()) -> InputSpec:
    return recorded_form(16).with_(axes=("token",), shape=(length,), tokenizer=tokenizer, vocabulary=vocabulary)


def test_padding_and_back() -> None:
    padded = pad_texts(TEXTS, 16)
    assert padded.shape == (3, 1, 16)
    assert padded.dtype == np.uint8
    assert padded[0, 0].tolist() == [*b"It broke.", *[0] * 7]
    assert texts_of(padded) == texts_of(samples()) == TEXTS


@pytest.mark.parametrize(("length", "kept"), [(2, "tr"), (3, "tr"), (4, "trè"), (5, "très")])
def test_texts_are_cut_between_two_characters(length: int, kept: str) -> None:
    assert texts_of(pad_texts(["très bien".encode()], length)) == [kept.encode()]


def test_a_zero_within_a_text_becomes_a_space() -> None:
    assert texts_of(pad_texts([b"a\0b"], 4)) == [b"a b"]


def test_from_offsets_by_hand() -> None:
    data = np.frombuffer(b"".join(TEXTS), dtype=np.uint8)
    ends = np.cumsum([0, *map(len, TEXTS)])
    read = from_offsets(data, ends)
    assert texts_of(read) == TEXTS
    assert read.shape == (3, 1, 16)


def test_lengths_are_bounded_and_round() -> None:
    assert [common_length([b"a" * size]) for size in (0, 1, 16, 17, 2048, 9999)] == [16, 16, 16, 32, LONGEST, LONGEST]
    assert common_length([]) == 16


@pytest.mark.parametrize(
    ("data", "offsets", "says"),
    [
        (np.zeros(4, np.int64), np.array([0, 4]), "uint8"),
        (np.zeros((2, 2), np.uint8), np.array([0, 4]), "uint8"),
        (np.zeros(4, np.uint8), np.array([0.0, 4.0]), "whole numbers"),
        (np.zeros(4, np.uint8), np.array([0]), "whole numbers"),
        (np.zeros(4, np.uint8), np.array([0, 3]), "ascend from 0"),
        (np.zeros(4, np.uint8), np.array([1, 4]), "ascend from 0"),
        (np.zeros(4, np.uint8), np.array([0, 3, 2, 4]), "ascend from 0"),
    ],
)
def test_refuses_offsets_that_part_nothing(data: np.ndarray, offsets: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        from_offsets(data, offsets)


def test_view_of_bytes_is_cropped_and_padded_behind() -> None:
    for length in (4, 16, 20):
        seen = build_view(samples(), recorded_form(16), recorded_form(length))
        assert seen.dtype == torch.int64
        assert seen.shape == (3, 1, length)
        assert bytes(seen[0, 0].tolist()) == b"It broke."[:length].ljust(length, b"\0")


def test_view_of_ngrams() -> None:
    seen = build_view(samples(), recorded_form(16), tokens(NGRAMS, 5))
    assert seen.dtype == torch.int64
    assert seen[0, 0].tolist() == [*ngram_numbers(b"it broke"), 0, 0]
    assert not seen[2].any()


def test_view_of_pieces_with_the_vocabulary_of_a_domain() -> None:
    spec = fit(pad_texts([b"it broke", b"it works", b"broke it"] * 9, 16), recorded_form(16))
    assert spec == recorded_form(16).with_(vocabulary=spec.vocabulary)
    seen = build_view(samples(), recorded_form(16), tokens(WORDPIECE, 6, spec.vocabulary))
    assert [spec.vocabulary[number - 1] for number in seen[0, 0, :2]] == ["▁it", "▁broke"]
    assert not seen[2].any()


def test_view_refuses_what_is_no_text() -> None:
    with pytest.raises(InputError, match="one channel"):
        build_view(torch.zeros(1, 2, 16), recorded_form(16).with_(channels=("a", "b")), recorded_form(16))
    with pytest.raises(InputError, match="over byte"):
        build_view(samples(), recorded_form(16), recorded_form(16).with_(axes=("time",)))
    with pytest.raises(InputError, match="over byte"):
        build_view(samples(), tokens(NGRAMS, 16), recorded_form(16))
    with pytest.raises(InputError, match="Unknown tokenizer"):
        build_view(samples(), recorded_form(16), tokens("", 5))


def test_dropped_tokens_become_padding_and_padding_stays() -> None:
    views = torch.arange(1, 101).repeat(200, 1, 1)
    views[..., 60:] = 0
    changed = augment(views, tokens(NGRAMS, 100), torch.Generator().manual_seed(0))
    assert torch.equal(changed[changed > 0], views[changed > 0])
    assert (changed[..., :60] == 0).float().mean().item() == pytest.approx(DROPPED, abs=0.01)
    assert not changed[..., 60:].any()
    assert not torch.equal(changed[0], changed[1])


def test_of_bytes_whole_words_become_spaces() -> None:
    text = b"one three, seven eleven thirteen"
    views = torch.from_numpy(pad_texts([text] * 400, 40)).long()
    changed = augment(views, recorded_form(40), torch.Generator().manual_seed(0))
    words = text.split()
    found = [row.tobytes() for row in changed[:, 0].numpy().astype(np.uint8)]
    assert all(len(row.rstrip(b"\0")) == len(text) for row in found)
    assert all(set(row.rstrip(b"\0").split()) <= set(words) for row in found)
    missing = sum(len(words) - len(row.rstrip(b"\0").split()) for row in found) / (len(words) * len(found))
    assert missing == pytest.approx(DROPPED, abs=0.02)


@pytest.mark.parametrize("axis", ["byte", "token"])
def test_augment_obeys_its_generator_alone(axis: str) -> None:
    views = torch.from_numpy(pad_texts([b"some words of a text to be changed"] * 20, 40)).long()
    kept = views.clone()
    spec = recorded_form(40).with_(axes=(axis,), tokenizer=NGRAMS if axis == "token" else "")
    first, second, third = (augment(views, spec, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert torch.equal(views, kept)
    assert first.dtype == torch.int64


def test_bytes_are_the_only_way_that_texts_are_laid_out() -> None:
    assert MODALITIES.get("text").layouts == (("byte",),)
