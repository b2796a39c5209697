"""The fleet of shops: what it looks like, that it is reproducible, and a real transfer problem."""

from __future__ import annotations

import numpy as np
import pytest

from hatlit.config import LabelsConfig
from hatlit.datamodules.base import DATASETS, Domain, DomainSet
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.synthetic.text import INTENTS, LENGTH, MESSAGES, WRITERS, build_fleet
from hatlit.datamodules.text import texts_of
from hatlit.datamodules.tokenizers import ngram_numbers
from hatlit.errors import InputError

BINS = 4096


@pytest.fixture(scope="module")
def demo() -> DomainSet:
    return DATASETS.get("demo", "text")(None, "text")


def features(domain: Domain, rows: np.ndarray) -> np.ndarray:
    """Which n-grams each message has, (rows, BINS)."""
    found = np.zeros((len(rows), BINS))
    for row, text in zip(found, texts_of(domain.samples[rows]), strict=True):
        row[ngram_numbers(text) % BINS] = 1.0
    return found


def naive_bayes(source: Domain, target: Domain) -> float:
    """Accuracy on the target's test rows of a naive Bayes classifier fitted on the source's training rows."""
    train, test = split_domain(source, LabelsConfig(), 0).train, split_domain(target, LabelsConfig(), 0).test
    known, labels = features(source, train), source.labels[train]
    counts = np.stack([known[labels == number].sum(0) for number in range(len(INTENTS))]) + 0.1
    score = features(target, test) @ np.log(counts / counts.sum(0)).T
    return float((score.argmax(1) == target.labels[test]).mean())


def test_what_the_fleet_looks_like(demo: DomainSet) -> None:
    assert demo.is_demo
    assert demo.names == [f"demo-{number:02d}" for number in range(1, 13)]
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


def test_same_seed_same_fleet() -> None:
    few, more = build_fleet(2, seed=3), build_fleet(4, seed=3)
    assert [domain.fingerprint for domain in few] == [domain.fingerprint for domain in more[:2]]
    assert few[0].fingerprint != build_fleet(1, seed=4)[0].fingerprint


def test_a_real_transfer_problem(demo: DomainSet) -> None:
    accuracy = np.array([[naive_bayes(source, target) for target in demo.domains] for source in demo.domains])
    own = np.eye(len(accuracy), dtype=bool)
    others = np.ma.masked_array(accuracy, own)
    assert accuracy[own].mean() > 0.85
    assert others.mean() < 0.65
    assert others.max(0).mean() - others.mean() > 0.1, "it must matter whom one learns from"


def test_reads_no_files(tmp_path) -> None:
    with pytest.raises(InputError, match=r"--data\.name"):
        DATASETS.get("demo", "text")(tmp_path, "text")
