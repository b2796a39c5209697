"""The zoo: a folder of sources on any file system that fsspec knows.

zoo.json                                what all sources have in common
sources/<id>/model.safetensors          weights of a source
sources/<id>/card.json                  what it says about itself; written last, when all else is there
index/                                  all cards in one read, rebuilt at will
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

from hatlit.encoders.base import Classifier
from hatlit.errors import InputError, unknown_name
from hatlit.zoo.card import (
    MAX_CARD_BYTES,
    Card,
    Centroids,
    Statistic,
    Training,
    ZooInfo,
    check_id,
    invalid,
    is_safe_id,
    parse_info,
)
from hatlit.zoo.folder import Folder, open_folder
from hatlit.zoo.index import CardIndex, card_path, list_cards, load_index, read_card
from hatlit.zoo.weights import decode_weights, encode_weights

_INFO = "zoo.json"


class Zoo:
    """Trained sources at rest. Open one with ``Zoo.open`` or make one with ``Zoo.create``.

    Any number of processes may add sources to a zoo at the same time.

    Attributes:
        info: what all sources have in common.

    Example:
        >>> zoo = Zoo.open("zoo", modality="imu")
        >>> models = [zoo.load(card.id) for card in zoo.cards() if (card.accuracy or 0) > 0.8]
    """

    def __init__(self, folder: Folder, info: ZooInfo) -> None:
        self.info = info
        self._folder = folder
        self._index: CardIndex | None = None

    @classmethod
    def create(cls, url: str | Path, info: ZooInfo) -> Zoo:
        """Makes an empty zoo, or opens the one that is there if it has the same ``info``.

        Raises:
            InputError: another zoo is there, or nothing can be written there.
        """
        folder = open_folder(url)
        if not folder.exists(_INFO):
            folder.write(_INFO, info.model_dump_json(indent=2).encode())
            return cls(folder, info)
        zoo = cls.open(url)
        if zoo.info != info:
            raise InputError(f"There is another zoo in '{url}' already: its modality or statistics differ.")
        return zoo

    @classmethod
    def open(cls, url: str | Path, modality: str | None = None) -> Zoo:
        """Opens a zoo.

        Args:
            url: a path, or any URL that fsspec knows.
            modality: what the samples must be, if that matters.

        Raises:
            InputError: there is no zoo, or one of another modality.
        """
        folder = open_folder(url)
        if not folder.exists(_INFO):
            raise InputError(f"'{url}' is not a zoo: it has no {_INFO}.")
        info = parse_info(folder.read(_INFO, MAX_CARD_BYTES + 1), f"The {_INFO} of '{url}'")
        if modality not in (None, info.modality):
            raise InputError(f"The zoo '{url}' has sources of modality '{info.modality}', not '{modality}'.")
        return cls(folder, info)

    @staticmethod
    def is_at(url: str | Path) -> bool:
        """Whether there is a zoo at a path or URL."""
        return open_folder(url).exists(_INFO)

    @property
    def url(self) -> str:
        """Where the zoo lies, as the user gave it."""
        return self._folder.url

    @property
    def bytes_read(self) -> int:
        """How many bytes were read from the file system through this object."""
        return self._folder.bytes_read

    @property
    def fingerprint(self) -> str:
        """A hash of which sources with which weights there are; it changes when any of them does."""
        known_by = "\n".join(f"{card.id} {card.sha256}" for card in self.cards())
        return hashlib.sha256(known_by.encode()).hexdigest()

    def ids(self) -> list[str]:
        """Ids of all sources, sorted, those with a broken card included."""
        return list(list_cards(self._folder))

    def has(self, source_id: str) -> bool:
        """Whether there is a source of that id."""
        return is_safe_id(source_id) and self._folder.exists(card_path(source_id))

    def index(self) -> CardIndex:
        """Returns all cards and their statistics as arrays, up to date; broken cards are left out."""
        if self._index is None or self._index.stamps != list_cards(self._folder):
            self._index = load_index(self._folder, self.info)
        return self._index

    def cards(self) -> list[Card]:
        """Returns all valid cards, sorted by id."""
        return list(self.index().cards)

    def card(self, source_id: str) -> Card:
        """Returns the card of one source.

        Raises:
            InputError: there is no such source, or its card is not valid.
        """
        if not self.has(check_id(source_id)):
            raise unknown_name("source", source_id, self.ids())
        return read_card(self._folder, source_id, self.info.modality)

    def add(
        self,
        source_id: str,
        model: Classifier,
        *,
        domain: str,
        dataset: str,
        encoder: str,
        class_names: tuple[str, ...],
        statistics: Mapping[str, Statistic],
        centroids: Centroids,
        accuracy: float | None,
        num_samples: int,
        training: Training,
    ) -> Card:
        """Adds a source, and does nothing if the very same one is there.

        Args:
            source_id: its name in the zoo.
            model: the weights.
            domain, dataset, encoder, class_names, statistics, centroids, accuracy, num_samples, training: see ``Card``.

        Returns:
            The card; what the model itself tells (view, sizes, hash) is filled in.

        Raises:
            InputError: the id is taken by a different source, something in the card is not valid, the zoo wants other
                statistics or another modality, the weights are not finite, or ``encoder`` does not build this model.
        """
        weights = encode_weights(model)
        try:
            card = Card(
                id=source_id,
                domain=domain,
                dataset=dataset,
                modality=model.input_spec.modality,
                encoder=encoder,
                input_spec=model.input_spec,
                feature_dim=model.feature_dim,
                class_names=class_names,
                statistics=dict(statistics),
                centroids=centroids,
                accuracy=accuracy,
                num_samples=num_samples,
                num_parameters=sum(parameter.numel() for parameter in model.parameters()),
                size_bytes=len(weights),
                sha256=hashlib.sha256(weights).hexdigest(),
                training=training,
                hatlit_version=version("hatlit"),
            )
        except ValidationError as error:
            raise invalid(error, f"The card of new source '{source_id}'") from error
        self._check_fits(card)
        if self.has(source_id):
            if self.card(source_id) != card:
                raise InputError(f"The zoo '{self.url}' has another source '{source_id}' already; choose another id.")
            return card
        decode_weights(weights, card)  # nothing enters the zoo that could not be loaded from it
        self._folder.write(_weights_path(source_id), weights)
        self._folder.write(card_path(source_id), card.model_dump_json().encode())
        return card

    def load(self, source_id: str) -> Classifier:
        """Returns the model of a source, in eval mode, on the CPU.

        Raises:
            InputError: there is no such source, its card is not valid, or its weights do not match the card.
        """
        card = self.card(source_id)
        return decode_weights(self._folder.read(_weights_path(source_id), card.size_bytes + 1), card)

    def verify(self) -> Iterator[tuple[str, str | None]]:
        """Loads every source in turn and yields its id with one sentence on its fault, or None where it has none."""
        left_out = self.index().faults
        for source_id in self.ids():
            try:
                self.load(source_id)
            except InputError as error:
                yield source_id, str(error)
            else:
                yield source_id, left_out.get(source_id)

    def _check_fits(self, card: Card) -> None:
        if card.modality != self.info.modality:
            raise InputError(f"A source of modality '{card.modality}' has no place in a zoo of '{self.info.modality}'.")
        missing = [name for name in self.info.statistics.names if name not in card.statistics]
        if missing:
            raise InputError(f"Source '{card.id}' lacks the statistic '{missing[0]}', which every card of the zoo has.")


def _weights_path(source_id: str) -> str:
    return f"sources/{source_id}/model.safetensors"
