"""Bad sources, as somebody would make them who wants them chosen: sound files, flattering cards, useless answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from hatlit.config import LabelsConfig
from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.split import labelled_rows, split_domain
from hatlit.encoders.base import Classifier
from hatlit.zoo.card import Card
from hatlit.zoo.store import Zoo
from hatlit.zoo.train_source import random_source

#: How the ids of bad sources begin: ahead of most others, as equals are taken in the order of their ids.
BAD = "0-bad-"

#: The kind that is made of sources that learned labels dealt at random; all others are made of good ones.
SHUFFLED = "shuffled"

#: How much louder than a good source an adversarially confident one speaks.
LOUDER = 10.0

#: What a float32 can hold, but for rounding.
LARGEST_FLOAT = 0.999 * torch.finfo(torch.float32).max

#: Logit of the one class that a constant source knows.
SURE = 9.0


@dataclass(frozen=True)
class Origin:
    """What a bad source is made of.

    Attributes:
        model: of a source; it is changed.
        card: of that source.
        domain: that it was trained on.
        number: of the bad source, from 0 on.
    """

    model: Classifier
    card: Card
    domain: Domain
    number: int

    @property
    def by_name(self) -> list[int]:
        """Numbers of the classes in the order of their names, so that sources can err alike."""
        return sorted(range(len(self.card.class_names)), key=lambda number: self.card.class_names[number])


def poisoned(origin: Origin) -> Classifier:
    """Takes the first two classes for each other; all that are poisoned do so alike."""
    first, second, *others = origin.by_name
    return _answering(origin.model, {first: second, second: first} | {other: other for other in others})


def shuffled(origin: Origin) -> Classifier:
    """Learned labels that were dealt at random; they are dealt once more, as a domain may have to give several."""
    generator = torch.Generator().manual_seed(origin.number)
    dealt = torch.randperm(len(origin.card.class_names), generator=generator).tolist()
    return _answering(origin.model, dict(enumerate(dealt)))


def random_weights(origin: Origin) -> Classifier:
    """Never learned anything."""
    split = split_domain(origin.domain, LabelsConfig(), seed=0)
    rows = labelled_rows(origin.domain, split)
    return random_source(origin.domain, rows, split.test, origin.card.encoder, origin.number).model


def constant(origin: Origin) -> Classifier:
    """Says the same class of everything, and is sure of it."""
    with torch.no_grad():
        origin.model.head.weight.zero_()
        origin.model.head.bias.zero_()
        origin.model.head.bias[origin.number % len(origin.card.class_names)] = SURE
    return origin.model


def not_finite(origin: Origin) -> Classifier:
    """Has finite weights that are so large that its answers to about every other sample are not finite."""
    centroids = torch.tensor([centroid for centroid in origin.card.centroids if centroid is not None])
    with torch.no_grad():
        usual = float(origin.model.head(centroids).abs().amax(1).median())
        largest = max(float(parameter.abs().amax()) for parameter in origin.model.head.parameters())
    # In two steps, as the whole factor may be more than a float32 can hold.
    return _louder(_louder(origin.model, 1 / max(usual, largest)), LARGEST_FLOAT)


def adversarial(origin: Origin) -> Classifier:
    """Takes each class for the next one and is ten times as sure of it; all adversaries do so alike."""
    order = origin.by_name
    return _answering(_louder(origin.model, LOUDER), dict(zip(order, [*order[1:], order[0]], strict=True)))


#: By the name of a kind, what makes a bad model.
KINDS: dict[str, Callable[[Origin], Classifier]] = {
    "poisoned": poisoned,
    SHUFFLED: shuffled,
    "random": random_weights,
    "constant": constant,
    "nan": not_finite,
    "adversarial": adversarial,
}


def num_bad(good: int, share: float) -> int:
    """How many bad sources beside so many good ones are a share of all; where they are alone (1), as many."""
    return good if share == 1 else round(good * share / (1 - share))


def fill(zoo: Zoo, good: Zoo) -> None:
    """Copies the sources of another zoo into a zoo, as far as they are not there."""
    for card in good.cards():
        if not zoo.has(card.id):
            zoo.copy(good, card.id)


def add_bad(zoo: Zoo, origins: Zoo, data: DomainSet, kind: str, count: int) -> None:
    """Adds bad sources to a zoo, as far as they are not there, made of each of some others in turn.

    A bad source says of itself what the one that it is made of does (a liar copies statistics and centroids of what is
    chosen), and that it is always right.

    Args:
        zoo: where to.
        origins: what they are made of.
        data: the domains that those were trained on.
        kind: one of ``KINDS``.
        count: how many.
    """
    cards = origins.cards()
    for number in range(count):
        card = cards[number % len(cards)]
        name = f"{BAD}{number:04d}-{card.id}"[:128]
        if zoo.has(name):
            continue
        origin = Origin(origins.load(card.id, card), card, data.domain(card.domain), number)
        zoo.add(
            name,
            KINDS[kind](origin),
            domain=card.domain,
            dataset=card.dataset,
            encoder=card.encoder,
            class_names=card.class_names,
            statistics=card.statistics,
            centroids=card.centroids,
            accuracy=1.0,
            num_samples=card.num_samples,
            training=card.training,
        )


def _answering(model: Classifier, called: dict[int, int]) -> Classifier:
    """Lets a model say class ``called[k]`` where it said k."""
    order = torch.tensor(sorted(called, key=lambda said: called[said]))
    with torch.no_grad():
        model.head.weight.copy_(model.head.weight[order].clone())
        model.head.bias.copy_(model.head.bias[order].clone())
    return model


def _louder(model: Classifier, factor: float) -> Classifier:
    """Multiplies the logits of a model."""
    with torch.no_grad():
        model.head.weight.mul_(factor)
        model.head.bias.mul_(factor)
    return model
