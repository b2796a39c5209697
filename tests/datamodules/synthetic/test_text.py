"""The fleet of shops: what it looks like, that it is reproducible, and a real transfer problem."""

from __future__ import annotations

import numpy as np

from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.synthetic.text import INTENTS, LENGTH, MESSAGES, WRITERS
from hatlit.datamodules.text import texts_of
from hatlit.datamodules.tokenizers import ngram_numbers

BINS = 4096


def features(domain: Domain, rows: np.ndarray) -> np.ndarray:
    """Which n-grams each message has, (rows, BINS)."""
    found = np.zeros((len(rows), BINS))
    for row, text in zip(found, texts_of(domain.samples[rows]), strict=True):
        row[ngram_numbers(text) % BINS] = 1.0
    return found


def test_what_the_fleet_looks_like(demo: DomainSet) -> None:
    assert demo.class_names == INTENTS
    for domain in demo.domains:
        assert domain.samples.shape == (WRITERS * MESSAGES, 1, LENGTH)
        assert domain.samples.dtype == np.uint8
        assert np.bincount(domain.labels).tolist() == [30] * 6
        assert np.bincount(domain.groups).tolist() == [MESSAGES] * WRITERS


def test_messages_are_short_and_whole(demo: DomainSet) -> None:
    texts = [text for domain in demo.domains for text in texts_of(domain.samples)]
    assert all(text.isascii() for text in texts)
    assert max(map(len, texts)) < LENGTH, "none is cut off"
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) >= 2
    assert max(lengths) < 35
    assert 8 < np.mean(lengths) < 20


def test_writers_have_habits(demo: DomainSet) -> None:
    shouts = np.array([text.isupper() for text in texts_of(demo.domains[0].samples)]).reshape(WRITERS, MESSAGES)
    assert (shouts.all(1) | ~shouts.any(1)).all()
    assert 0 < shouts[:, 0].sum() < WRITERS / 2


def naive_bayes(known: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The likeliest class if n-grams were independent of each other."""
    counts = np.stack([known[labels == number].sum(0) for number in range(len(INTENTS))]) + 0.1
    return (seen @ np.log(counts / counts.sum(0)).T).argmax(1)


def test_a_real_transfer_problem(demo: DomainSet, transfer) -> None:
    accuracy = transfer(demo.domains, features, naive_bayes)
    others = np.ma.masked_array(accuracy, np.eye(len(accuracy), dtype=bool))
    assert accuracy.diagonal().mean() > 0.85
    assert others.mean() < 0.65
    assert others.max(0).mean() - others.mean() > 0.1, "it must matter whom one learns from"
