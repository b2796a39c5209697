from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from hatlit.config import SourcesConfig
from hatlit.datamodules.base import Domain, build_view
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.types import UNLABELLED
from hatlit.zoo.card import Statistic
from hatlit.zoo.store import Zoo
from hatlit.zoo.train_source import TrainedSource, default_encoders, random_source, shuffled, train_source
from hatlit.zoo.weights import encode_weights

CONFIG = SourcesConfig(max_epochs=8, batch_size=16)
TRAIN, TEST = np.arange(60), np.arange(60, 90)


def make_domain(labels: np.ndarray | None = None) -> Domain:
    """Sines of three frequencies, one a class, around a large offset."""
    rng = np.random.default_rng(0)
    kind = np.arange(90) % 3
    seconds = np.arange(32) / 20
    phase = rng.uniform(0, 2 * np.pi, (90, 3, 1))
    samples = 100 + 5 * np.sin(2 * np.pi * (1 + 2 * kind[:, None, None]) * seconds + phase)
    samples += rng.normal(0, 0.5, samples.shape)
    spec = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(32,), rate=20.0)
    labels = kind if labels is None else labels
    return Domain("user", samples.astype(np.float32), labels, np.arange(90), spec, ("slow", "medium", "fast", "never"))


@pytest.fixture(scope="module")
def trained() -> TrainedSource:
    return train_source(make_domain(), TRAIN, TEST, "cnn_nano", CONFIG, seed=0)


def test_it_learns(trained: TrainedSource) -> None:
    assert trained.accuracy > 0.9
    assert trained.class_names == ("slow", "medium", "fast")
    assert trained.num_samples == 60
    assert trained.training.labels == 60
    assert not trained.model.training
    assert trained.model.input_spec.mean[0] == pytest.approx(100, abs=1)


def test_centroids_are_the_mean_features_of_each_class(trained: TrainedSource) -> None:
    domain = make_domain()
    with torch.no_grad():
        features = trained.model.features(build_view(domain.tensor(TRAIN), domain.recorded, trained.model.input_spec))
    for number, centroid in enumerate(trained.centroids):
        expected = features[domain.labels[TRAIN] == number].mean(0).numpy()
        np.testing.assert_allclose(centroid, expected, rtol=1e-4, atol=1e-5)


def test_a_seed_gives_the_same_bytes_whatever_the_global_state(trained: TrainedSource) -> None:
    torch.manual_seed(123)
    np.random.seed(123)
    again = train_source(make_domain(), TRAIN, TEST, "cnn_nano", CONFIG, seed=0)
    assert encode_weights(again.model) == encode_weights(trained.model)
    assert again.centroids == trained.centroids
    other = train_source(make_domain(), TRAIN, TEST, "cnn_nano", CONFIG, seed=1)
    assert encode_weights(other.model) != encode_weights(trained.model)


def test_the_global_random_state_is_left_alone() -> None:
    torch_state, numpy_state, python_state = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    train_source(make_domain(), TRAIN, TEST, "cnn_nano", SourcesConfig(max_epochs=1), seed=0)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    assert random.getstate() == python_state


def test_it_is_quiet(capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> None:
    train_source(make_domain(), TRAIN, TEST, "cnn_nano", SourcesConfig(max_epochs=1), seed=0)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_only_classes_of_the_training_rows_count() -> None:
    labels = make_domain().labels.copy()
    labels[TRAIN[labels[TRAIN] == 1]] = UNLABELLED
    source = train_source(make_domain(labels), TRAIN, TEST, "cnn_nano", CONFIG, seed=0)
    assert source.class_names == ("slow", "fast")
    assert len(source.centroids) == source.model.head.out_features == 2
    assert source.num_samples == 40
    assert 0.5 < source.accuracy <= 2 / 3


@pytest.mark.parametrize(("rows", "part"), [(TRAIN, "training"), (TEST, "test")])
def test_a_part_without_labels_is_refused(rows: np.ndarray, part: str) -> None:
    labels = make_domain().labels.copy()
    labels[rows] = UNLABELLED
    with pytest.raises(InputError, match=f"no labelled {part} sample"):
        train_source(make_domain(labels), TRAIN, TEST, "cnn_nano", CONFIG, seed=0)


def test_a_trained_source_enters_a_zoo(trained: TrainedSource, zoo: Zoo) -> None:
    statistics: dict[str, Any] = {"moments": Statistic.of(np.zeros(4), np.ones(4))}
    card = zoo.add("user", domain="user", dataset="demo", statistics=statistics, **vars(trained))
    assert card.class_names == trained.class_names
    assert encode_weights(zoo.load("user")) == encode_weights(trained.model)


def test_default_encoders_are_the_tiny_ones_of_every_family_that_suits() -> None:
    spec = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(32,), rate=16.0)
    names = default_encoders(spec)
    assert {"cnn_tiny", "tcn_tiny", "cnn_gru_tiny", "transformer_tiny"} <= set(names)
    assert all(name.endswith("_tiny") for name in names)
    for nothing in ({"modality": "smell"}, {"shape": (4,)}):
        with pytest.raises(InputError, match=r"No encoder is registered for .* \(channels: .*\); bring one"):
            default_encoders(spec.with_(**nothing))


def test_a_control_with_random_weights_says_what_it_is_worth() -> None:
    domain = make_domain()
    first, again, other = (random_source(domain, TRAIN, TEST, "cnn_nano", seed) for seed in (0, 0, 1))
    assert first.training.max_epochs == 0
    assert first.accuracy < 0.9
    weights = [torch.cat([p.flatten() for p in one.model.parameters()]) for one in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_shuffled_labels_are_the_same_labels_elsewhere() -> None:
    domain = make_domain()
    believed = shuffled(domain, seed=0)
    assert np.array_equal(
        np.bincount(believed.labels[believed.labels >= 0]), np.bincount(domain.labels[domain.labels >= 0])
    )
    assert not np.array_equal(believed.labels, domain.labels)
    assert np.array_equal(believed.labels < 0, domain.labels < 0)
    assert np.array_equal(believed.samples, domain.samples)
