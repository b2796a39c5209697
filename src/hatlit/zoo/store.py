"""The zoo: a folder of sources on any file system that fsspec knows.

zoo.json                                what all sources have in common
sources/<id>/model.safetensors          weights of a source
sources/<id>/card.json                  what it says about itself; written last, when all else is there
index/                                  all cards at a glance, made anew at will
pairs.json                              how well sources did on domains that were targets, where that was measured
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hatlit.encoders.base import Classifier
from hatlit.errors import InputError, unknown_name
from hatlit.zoo.card import (
    MAX_CARD_BYTES,
    Card,
    Centroids,
    Provenance,
    Statistic,
    Training,
    ZooInfo,
    check_id,
    invalid,
    is_safe_id,
    parse_info,
)
from hatlit.zoo.folder import Folder, open_folder
from hatlit.zoo.index import CardIndex, card_path, enter, load_index, read_card, rebuild
from hatlit.zoo.pairs import Pair, add_pairs, read_pairs
from hatlit.zoo.table import Table
from hatlit.zoo.weights import check_size, decode_weights, encode_weights

_INFO = "zoo.json"


#: Says, from a source's id and its class names, what its classes are called here.
Rename = Callable[[str, tuple[str, ...]], tuple[str, ...]]


class Zoo:
    """Trained sources at rest. Open one with ``Zoo.open`` or make one with ``Zoo.create``.

    Any number of processes may add sources to a zoo at the same time.

    Attributes:
        info: what all sources have in common.

    Example:
        >>> zoo = Zoo.open("zoo", modality="imu")
        >>> models = [zoo.load(card.id) for card in zoo.cards() if (card.accuracy or 0) > 0.8]
    """

    def __init__(self, folder: Folder, info: ZooInfo, rename: Rename | None = None) -> None:
        self.info = info
        self._folder = folder
        self._rename = rename
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
    def open(cls, url: str | Path, modality: str | None = None, rename: Rename | None = None) -> Zoo:
        """Opens a zoo.

        Args:
            url: a path, or any URL that fsspec knows.
            modality: what the samples must be, if that matters.
            rename: gives the classes on the cards other names; those in the files stay.

        Raises:
            InputError: there is no zoo, or one of another modality.
        """
        folder = open_folder(url)
        if not folder.exists(_INFO):
            raise InputError(f"'{url}' is not a zoo: it has no {_INFO}.")
        info = parse_info(folder.read(_INFO, MAX_CARD_BYTES + 1), f"The {_INFO} of '{url}'")
        if modality not in (None, info.modality):
            raise InputError(f"The zoo '{url}' has sources of modality '{info.modality}', not '{modality}'.")
        return cls(folder, info, rename)

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
        """A hash of which sources with which weights there are, and of its pairs; it changes when any of them does."""
        table = self.index().table
        known_by = [f"{source} {sha256}" for source, sha256 in zip(table.ids, table.sha256, strict=True)]
        known_by += [" ".join(self.class_names(table, row)) for row in range(len(table)) if self._rename]
        known_by += [pair.model_dump_json() for pair in self.pairs()]
        return hashlib.sha256("\n".join(known_by).encode()).hexdigest()

    def ids(self) -> list[str]:
        """Ids of all sources, sorted, those with a broken card included."""
        index = self.index()
        return sorted({*index.ids, *index.faults})

    def has(self, source_id: str) -> bool:
        """Whether there is a source of that id."""
        return is_safe_id(source_id) and self._folder.exists(card_path(source_id))

    def index(self) -> CardIndex:
        """Returns all cards as columns and their statistics as arrays, up to date; broken cards are left out.

        Raises:
            InputError: there is no index, and the sources cannot be listed to make one.
        """
        self._index = load_index(self._folder, self.info, self._index)
        return self._index

    def rebuild_index(self) -> CardIndex:
        """Makes the index anew from all cards, and returns it.

        Raises:
            InputError: the zoo may only be read.
        """
        rebuild(self._folder, self.info)
        return self.index()

    def cards(self) -> list[Card]:
        """Reads and returns all valid cards, sorted by id.

        Raises:
            InputError: one has become invalid since the index was made.
        """
        return [self.card(source_id) for source_id in self.index().ids]

    def card(self, source_id: str) -> Card:
        """Returns the card of one source.

        Raises:
            InputError: there is no such source, or its card is not valid.
        """
        if not self.has(check_id(source_id)):
            raise unknown_name("source", source_id, self.ids())
        return self._renamed(read_card(self._folder, source_id, self.info.modality)[0])

    def candidate(self, index: CardIndex, row: int) -> Card:
        """Returns the card of a source that was found in the index.

        Raises:
            InputError: there is none, it is not valid, or it is not the one that the index was made from.
        """
        table = index.table
        card, data = read_card(self._folder, table.ids[row], self.info.modality)
        if hashlib.sha256(data).hexdigest() != table.card_sha256[row]:
            raise InputError(
                f"The card of source '{card.id}' is not the one in the index; run 'hatlit zoo index {self.url}'."
            )
        return self._renamed(card)

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
        noise: float = 0.0,
        provenance: Provenance | None = None,
    ) -> Card:
        """Adds a source, and does nothing if the very same one is there.

        Args:
            source_id: its name in the zoo.
            model: the weights.
            domain, dataset, encoder, class_names, statistics, centroids, accuracy, num_samples, training, noise,
                provenance: see ``Card``.

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
                noise=noise,
                provenance=provenance,
                hatlit_version=version("hatlit"),
            )
        except ValidationError as error:
            raise invalid(error, f"The card of new source '{source_id}'") from error
        return self._put(card, weights)

    def copy(self, other: Zoo, source_id: str, **changes: Any) -> Card:
        """Copies a source from another zoo, and does nothing if the very same one is there.

        Args:
            other: where it lies.
            source_id: its name there.
            changes: fields of its card that become others, such as ``id``, ``statistics`` or ``provenance``.

        Raises:
            InputError: there is no such source, it is broken, its new id is taken, or it has no place in this zoo.
        """
        card = other.card(source_id)
        check_size(card)
        weights = other._folder.read(_weights_path(source_id), card.size_bytes + 1)
        return self._put(card.model_copy(update=changes), weights)

    def class_names(self, table: Table, row: int) -> tuple[str, ...]:
        """What the classes of a source in a table are called here.

        Raises:
            InputError: they cannot be renamed as they should.
        """
        names = table.kinds[table.kind[row]].class_names
        return self._rename(table.ids[row], names) if self._rename else names

    def pairs(self) -> tuple[Pair, ...]:
        """Reads how well sources did on the domains of others when those were targets, sorted by ids.

        Raises:
            InputError: what is there is not valid.
        """
        return read_pairs(self._folder)

    def add_pairs(self, pairs: Iterable[Pair]) -> None:
        """Adds such measurements; what is measured again counts as it was measured last.

        Raises:
            InputError: what is there is not valid, or nothing can be written.
        """
        with self._folder.lock():
            add_pairs(self._folder, pairs)

    def load(self, source_id: str, card: Card | None = None) -> Classifier:
        """Returns the model of a source, in eval mode, on the CPU.

        Args:
            source_id: which source.
            card: its card, if that was read before.

        Raises:
            InputError: there is no such source, its card is not valid, or its weights do not match the card.
        """
        card = card or self.card(source_id)
        check_size(card)
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

    def _renamed(self, card: Card) -> Card:
        if self._rename is None:
            return card
        return card.model_copy(update={"class_names": self._rename(card.id, card.class_names)})

    def _put(self, card: Card, weights: bytes) -> Card:
        self._check_fits(card)
        if self._has_same(card):
            if card.id not in self.index().rows:  # its writer was killed before it could say so
                with self._folder.lock():
                    enter(self._folder, self.info, card, _encode(card))
            return card
        decode_weights(weights, card)  # nothing enters the zoo that could not be loaded from it
        with self._folder.lock():
            if not self._has_same(card):  # somebody else may have been faster
                self._folder.write(_weights_path(card.id), weights)
                self._folder.write(card_path(card.id), _encode(card))
                enter(self._folder, self.info, card, _encode(card))
        return card

    def _has_same(self, card: Card) -> bool:
        """Whether the very same source is there.

        Raises:
            InputError: another one has its id.
        """
        if not self.has(card.id):
            return False
        if self.card(card.id) != card:
            raise InputError(f"The zoo '{self.url}' has another source '{card.id}' already; choose another id.")
        return True

    def _check_fits(self, card: Card) -> None:
        if card.modality != self.info.modality:
            raise InputError(f"A source of modality '{card.modality}' has no place in a zoo of '{self.info.modality}'.")
        missing = [name for name in self.info.statistics.names if name not in card.statistics]
        if missing:
            raise InputError(f"Source '{card.id}' lacks the statistic '{missing[0]}', which every card of the zoo has.")


def _weights_path(source_id: str) -> str:
    return f"sources/{source_id}/model.safetensors"


def _encode(card: Card) -> bytes:
    return card.model_dump_json().encode()
