"""Tokenizers: what they make of a text, by hand, and that they are the same everywhere."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from hatlit.datamodules import tokenizers
from hatlit.datamodules.tokenizers import UNKNOWN, ngram_numbers, token_numbers, train_pieces, words
from hatlit.errors import InputError

TEXTS = [b"The parcel never came, again!", b"the parcel came late", "Größe paßt, très bien".encode(), b""]


def test_words_by_hand() -> None:
    assert words(b"Don't WAIT: 2 days!?") == [b"don't", b"wait", b"2", b"days", b"!", b"?"]
    assert words("Größe, 5 €".encode()) == ["größe".encode(), b"5", "€".encode()]
    assert words(b" .,; ") == []


def test_ngrams_are_words_and_pairs_in_turn() -> None:
    numbers = ngram_numbers(b"not a good film")
    assert len(numbers) == 7
    assert numbers.min() > 0
    assert numbers[[0, 2, 4, 6]].tolist() == [ngram_numbers(word)[0] for word in (b"not", b"a", b"good", b"film")]
    assert numbers[5] == ngram_numbers(b"very GOOD film")[3]  # the pair of good and film
    assert len(set(numbers.tolist())) == 7
    assert numbers[1] != ngram_numbers(b"a not")[1]
    assert ngram_numbers(b"").shape == (0,)


def test_ngram_numbers_are_the_same_on_every_machine() -> None:
    assert ngram_numbers(b"good film").tolist() == [2455693828462819602, 76286642640261076, 3659015898381802285]


def test_ngram_numbers_fill_every_table_evenly() -> None:
    numbers = ngram_numbers(" ".join(f"word{number}" for number in range(5000)).encode())
    for step in (1, 2048, 2048**2, 2048**3):
        counts = np.bincount(numbers // step % 2048, minlength=2048)
        assert counts.max() < 25  # Poisson of mean 4.9


def test_pieces_put_together_give_the_text_again() -> None:
    vocabulary = train_pieces(TEXTS * 20, size=60)
    assert vocabulary[0] == UNKNOWN
    (numbers,) = token_numbers([b"The late parcel"], "wordpiece", vocabulary, 100)
    assert "".join(vocabulary[number - 1] for number in numbers) == "▁the▁late▁parcel"
    assert "▁parcel" in vocabulary, "a frequent word is one piece"


def test_training_is_the_same_every_time() -> None:
    rng = np.random.default_rng(0)
    syllables = ["ba", "ko", "li", "mu", "ne", "so"]
    texts = [" ".join("".join(rng.choice(syllables, 3)) for _ in range(8)).encode() for _ in range(100)]
    first = train_pieces(texts, size=120)
    assert all(train_pieces(texts, size=120) == first for _ in range(5))
    assert train_pieces(texts[::-1], size=120) == first
    assert len(first) == len(set(first)) == 120


def test_vocabularies_obey_the_limits_of_a_card() -> None:
    vocabulary = train_pieces([b"a" * 500 + b" " + b"ab" * 300] * 50)
    assert max(map(len, vocabulary)) <= 256


def test_a_word_with_an_unseen_character_is_unknown() -> None:
    vocabulary = train_pieces(TEXTS * 20, size=60)
    (numbers,) = token_numbers(["the ж parcel".encode()], "wordpiece", vocabulary, 100)
    assert [vocabulary[number - 1] for number in numbers].count(UNKNOWN) == 1


@pytest.mark.parametrize("tokenizer", ["ngrams", "wordpiece"])
def test_no_text_makes_no_tokens_and_long_ones_are_cut(tokenizer: str) -> None:
    vocabulary = train_pieces(TEXTS * 20, size=60)
    assert token_numbers([], tokenizer, vocabulary, 5) == []
    numbers = token_numbers(TEXTS, tokenizer, vocabulary, 5)
    assert [len(one) for one in numbers] == [5, 5, 5, 0]
    assert all(one.dtype == np.int64 for one in numbers)
    broken = token_numbers([b"caf\xe9 \xff\xfe"], tokenizer, vocabulary, 5)
    assert (broken[0] > 0).all(), "bytes that are no UTF-8 do no harm"


def test_refuses_what_nobody_knows() -> None:
    with pytest.raises(InputError, match="Unknown tokenizer 'sentences'; known: ngrams, wordpiece, hf:NAME"):
        token_numbers([b"a"], "sentences", (), 5)
    with pytest.raises(InputError, match="needs the entry"):
        token_numbers([b"a"], "wordpiece", ("a", "b"), 5)


def test_without_the_library_there_is_no_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = train_pieces(TEXTS, size=43)
    monkeypatch.setattr(tokenizers, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert train_pieces(TEXTS) == ()
    assert len(token_numbers(TEXTS, "ngrams", (), 5)) == len(TEXTS)
    with pytest.raises(InputError, match=r"hatlit\[text\]"):
        token_numbers(TEXTS, "wordpiece", (*vocabulary, "one no test before has cut with"), 5)
