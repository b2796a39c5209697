"""What turns texts into numbers: hashed n-grams, pieces of words, and the tokenizers of transformers models."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from hatlit.encoders.text import NGRAMS, WORDPIECE
from hatlit.encoders.transformers_text import FAMILY, load_tokenizer
from hatlit.errors import InputError, missing_library

#: Size of a trained vocabulary, more only where the texts have more different characters.
NUM_PIECES = 2000

#: Stands for a word with a character that the vocabulary lacks.
UNKNOWN = "[UNK]"

_WORD = re.compile(rb"[a-z0-9'\x80-\xff]+|[!?]")
_LONGEST_PIECE = 32  # characters
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ divided by the golden ratio, as multiplicative hashing has it


def token_numbers(texts: Sequence[bytes], tokenizer: str, vocabulary: tuple[str, ...], most: int) -> list[np.ndarray]:
    """Turns each text into int64 numbers from 1 on, ``most`` at the most.

    Args:
        texts: UTF-8.
        tokenizer: ``ngrams``, ``wordpiece``, or ``hf:`` and the name of a transformers model.
        vocabulary: the pieces, for ``wordpiece``.
        most: where a text is cut off.

    Raises:
        InputError: nobody knows the tokenizer, or a library that it needs is not installed.
    """
    family, colon, model = tokenizer.partition(":")
    if tokenizer == NGRAMS:
        numbers: Iterator[Any] = map(ngram_numbers, texts)
    elif tokenizer == WORDPIECE:
        numbers = _piece_numbers(texts, vocabulary)
    elif family == FAMILY and colon:
        numbers = _transformer_numbers(texts, model, most)
    else:
        raise InputError(
            f"Unknown tokenizer '{tokenizer}'; known: {NGRAMS}, {WORDPIECE}, {FAMILY}:NAME of a transformers model."
        )
    return [np.asarray(one[:most], dtype=np.int64) for one in numbers]


def words(text: bytes) -> list[bytes]:
    """The words of a text in lower case (the accents of other alphabets as they are), and its ``!`` and ``?``."""
    return _WORD.findall(text.lower())


def ngram_numbers(text: bytes) -> np.ndarray:
    """Hashes each word, and each pair of it and the next word, in turn: (2 * words - 1,) int64 from 1 to 2⁶²."""
    hashes = np.array([zlib.crc32(word) for word in words(text)], dtype=np.uint64)
    both = np.empty(max(0, 2 * len(hashes) - 1), dtype=np.uint64)
    both[::2] = hashes * _MIX
    both[1::2] = (hashes[:-1] * _MIX + hashes[1:] + np.uint64(1)) * _MIX
    return ((both ^ (both >> np.uint64(32))) * _MIX >> np.uint64(2)).astype(np.int64) + 1


def train_pieces(texts: Sequence[bytes], size: int = NUM_PIECES) -> tuple[str, ...]:
    """Learns a vocabulary of pieces of words from texts; the same texts give the same one.

    Byte-pair encoding (Sennrich, Haddow and Birch, arXiv 1508.07909) over lower-case characters, a ``▁`` before each
    word. (The trainer of WordPiece in ``tokenizers`` breaks ties at random.)

    Returns:
        ``UNKNOWN``, then the pieces in the order in which they were learned; nothing where the library ``tokenizers``
        is not installed.
    """
    if find_spec("tokenizers") is None:
        return ()
    from tokenizers import models, trainers

    tokenizer = _tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=size - 1, max_token_length=_LONGEST_PIECE, show_progress=False)
    tokenizer.train_from_iterator(map(_decode, texts), trainer)
    learned = tokenizer.get_vocab()
    return (UNKNOWN, *sorted(learned, key=learned.__getitem__))


def _piece_numbers(texts: Sequence[bytes], vocabulary: tuple[str, ...]) -> Iterator[np.ndarray]:
    """Places in the vocabulary, from 1 on, of the pieces of each text."""
    for found in _cutter(vocabulary).encode_batch([_decode(text) for text in texts]):
        yield np.array(found.ids, dtype=np.int64) + 1


@lru_cache(maxsize=64)
def _cutter(vocabulary: tuple[str, ...]) -> Any:
    """A tokenizer that cuts off the longest piece in the vocabulary, over and over (WordPiece)."""
    if UNKNOWN not in vocabulary:
        raise InputError(f"A vocabulary of pieces needs the entry '{UNKNOWN}', and this view's has none.")
    try:
        from tokenizers import models
    except ImportError as error:
        raise missing_library("tokenizers", "text") from error
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    return _tokenizer(models.WordPiece(numbers, unk_token=UNKNOWN, continuing_subword_prefix=""))


def _tokenizer(model: Any) -> Any:
    from tokenizers import Tokenizer, normalizers, pre_tokenizers

    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Metaspace()])
    return tokenizer


def _transformer_numbers(texts: Sequence[bytes], model: str, most: int) -> Iterator[np.ndarray]:
    """The tokens of a transformers model, each one higher than it counts them, so that 0 is left for padding."""
    if not texts:
        return
    cut = load_tokenizer(model)([_decode(text) for text in texts], truncation=True, max_length=most)
    for numbers in cut["input_ids"]:
        yield np.array(numbers, dtype=np.int64) + 1


def _decode(text: bytes) -> str:
    return text.decode("utf-8", errors="replace")
