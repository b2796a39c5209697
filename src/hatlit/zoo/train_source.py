"""Trains one source: a classifier of one existing domain, with what its card needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hatlit.config import SourcesConfig
from hatlit.datamodules.base import Domain, build_view
from hatlit.datamodules.split import fit_view
from hatlit.encoders.base import ENCODERS, Classifier, InputSpec, build_classifier, suits
from hatlit.errors import InputError
from hatlit.types import UNLABELLED
from hatlit.zoo.card import Centroids, Training, to_floats
from hatlit.zoo.noise import noisy


@dataclass(frozen=True)
class TrainedSource:
    """A source before it enters a zoo; the fields are those that ``Zoo.add`` takes.

    Attributes:
        model: in eval mode, on the CPU.
        encoder: name of the encoder in the registry.
        class_names: the classes that the training rows show, in the order of the head's outputs.
        centroids: per class the mean feature vector (feature_dim,) of its training rows.
        accuracy: share of the test rows that are classified correctly; those of classes it never saw count as wrong.
            None where there are no test rows.
        num_samples: labelled training rows.
        training: how it was trained.
        noise: how noisy the centroids are, and the statistics shall be.
    """

    model: Classifier
    encoder: str
    class_names: tuple[str, ...]
    centroids: Centroids
    accuracy: float | None
    num_samples: int
    training: Training
    noise: float = 0.0


def default_encoders(recorded: InputSpec) -> list[str]:
    """Names the architectures that the domains of a zoo get in turn: the ``_tiny`` size of each family that suits them.

    Where no such size suits them, it is every encoder that does.

    Raises:
        InputError: no encoder does.
    """
    names = ENCODERS.names(recorded.modality)
    tiny = [name for name in names if name.endswith("_tiny")]
    for some in (tiny, names):
        suitable = [name for name in some if suits(name, recorded)]
        if suitable:
            return suitable
    raise InputError(
        f"No encoder is registered for {recorded.modality} samples over {' x '.join(recorded.axes)} "
        f"(channels: {', '.join(recorded.channels)}); bring one with --plugin."
    )


def train_source(
    domain: Domain, train_rows: np.ndarray, test_rows: np.ndarray, encoder_name: str, config: SourcesConfig, seed: int
) -> TrainedSource:
    """Trains a classifier on some rows of a domain.

    The same arguments give the same weights, and the global random state is left as it was.

    Args:
        domain: whose data it is.
        train_rows: (N,) rows to learn from; those without a class only count for the normalisation.
        test_rows: (M,) rows that measure the accuracy; those without a class do not count.
        encoder_name: name in the registry of encoders.
        config: how long and how fast to learn.
        seed: of initial weights, batch order and dropout.

    Raises:
        InputError: no training row or no test row has a class, or the encoder is unknown.
    """
    from hatlit.zoo.fit import fit, reproducible  # loads Lightning, which reading a zoo does not need

    spec = fit_view(domain, train_rows)
    numbers, train_rows, test_rows = _known_classes(domain, train_rows, test_rows)
    train_label = torch.from_numpy(np.searchsorted(numbers, domain.labels[train_rows]))
    with reproducible(seed):
        model = build_classifier(encoder_name, spec, len(numbers))
        train_view = build_view(domain.tensor(train_rows), domain.recorded, model.input_spec)
        fit(model, train_view, train_label, config, seed)
    class_names = tuple(domain.class_names[number] for number in numbers)
    training = Training(max_epochs=config.max_epochs, seed=seed, labels=len(train_rows))
    return examine(model, encoder_name, class_names, domain, train_rows, test_rows, training, config.card_noise)


def random_source(
    domain: Domain, train_rows: np.ndarray, test_rows: np.ndarray, encoder_name: str, seed: int
) -> TrainedSource:
    """A source that never learned anything, with an honest card: a control that nobody should choose.

    Takes and raises what ``train_source`` does.
    """
    from hatlit.zoo.fit import reproducible  # loads Lightning, which reading a zoo does not need

    spec = fit_view(domain, train_rows)
    numbers, train_rows, test_rows = _known_classes(domain, train_rows, test_rows)
    with reproducible(seed):
        model = build_classifier(encoder_name, spec, len(numbers))
    class_names = tuple(domain.class_names[number] for number in numbers)
    training = Training(max_epochs=0, seed=seed, labels=len(train_rows))
    return examine(model, encoder_name, class_names, domain, train_rows, test_rows, training)


def shuffled(domain: Domain, seed: int) -> Domain:
    """The same samples with labels dealt at random: what a control source believes."""
    labels = domain.labels.copy()
    known = np.flatnonzero(labels != UNLABELLED)
    labels[known] = np.random.default_rng(seed).permutation(labels[known])
    return replace(domain, labels=labels)


def examine(
    model: Classifier,
    encoder_name: str,
    class_names: Sequence[str],
    domain: Domain,
    train_rows: np.ndarray,
    test_rows: np.ndarray,
    training: Training,
    noise: float = 0.0,
) -> TrainedSource:
    """Finds out what the card of a trained model says: centroids of what it learned from, accuracy on what it did not.

    Args:
        model: trained; put in eval mode.
        encoder_name: its architecture in the registry.
        class_names: names of its head's outputs, in order.
        domain: whose data it was trained on.
        train_rows: (N,) labelled rows that it learned from; a student may have had none.
        test_rows: (M,) rows with a class that it did not learn from; may be none.
        training: how it was trained.
        noise: standard deviation of the noise on the centroids, in units of each feature's over the training rows.

    Raises:
        InputError: the head does not have one output a class name, or the model cannot see the domain's samples.
    """
    if model.head.out_features != len(class_names):
        raise InputError(f"The model's head has {model.head.out_features} outputs for {len(class_names)} class names.")
    model.eval()
    return TrainedSource(
        model=model,
        encoder=encoder_name,
        class_names=tuple(class_names),
        centroids=tuple(_centroids(model, class_names, domain, train_rows, noise)),
        accuracy=_accuracy(model, class_names, domain, test_rows) if len(test_rows) else None,
        num_samples=len(train_rows),
        training=training,
        noise=noise,
    )


def _centroids(
    model: Classifier, class_names: Sequence[str], domain: Domain, rows: np.ndarray, noise: float
) -> list[tuple[float, ...] | None]:
    """The mean feature of each class, None for one that no row has."""
    if not len(rows):
        return [None] * len(class_names)
    names = np.array(domain.class_names)[domain.labels[rows]]
    features, _ = _outputs(model, build_view(domain.tensor(rows), domain.recorded, model.input_spec))
    spread = features.double().std(0, correction=0).numpy()
    centroids: list[tuple[float, ...] | None] = []
    for name in class_names:
        own = features[torch.from_numpy(names == name)]
        exact = own.mean(0).numpy()
        centroids.append(to_floats(noisy(exact, spread, noise, domain, f"centroid of {name}")) if len(own) else None)
    return centroids


def _accuracy(model: Classifier, class_names: Sequence[str], domain: Domain, rows: np.ndarray) -> float:
    _, logits = _outputs(model, build_view(domain.tensor(rows), domain.recorded, model.input_spec))
    predicted = np.array(class_names)[logits.argmax(1).numpy()]
    return float(np.mean(predicted == np.array(domain.class_names)[domain.labels[rows]]))


def _outputs(model: Classifier, view: Tensor) -> tuple[Tensor, Tensor]:
    """Returns features (N, feature_dim) and logits (N, num_classes) of views (N, channels, *shape)."""
    with torch.no_grad():
        features, logits = zip(*(model.both(part) for part in view.split(model.input_spec.rows_a_pass)), strict=True)
    return torch.cat(features), torch.cat(logits)


def _known_classes(
    domain: Domain, train_rows: np.ndarray, test_rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the class numbers that training rows show, ascending, and the rows of either kind that have a class."""
    train_rows, test_rows = (rows[domain.labels[rows] != UNLABELLED] for rows in (train_rows, test_rows))
    for rows, part in ((train_rows, "training"), (test_rows, "test")):
        if not len(rows):
            raise InputError(f"Domain '{domain.name}' has no labelled {part} sample, so it cannot become a source.")
    return np.unique(domain.labels[train_rows]), train_rows, test_rows
