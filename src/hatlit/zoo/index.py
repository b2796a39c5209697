"""All cards of a zoo in one read: derived from the cards, rebuilt whenever it does not agree with them."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from hatlit.errors import InputError
from hatlit.zoo.card import MAX_CARD_BYTES, Card, ZooInfo, is_safe_id, parse_card
from hatlit.zoo.folder import Folder

logger = logging.getLogger(__name__)

_MANIFEST = "index/index.json"
_CARDS = "index/cards.jsonl"
_STATISTICS = "index/statistics.safetensors"


class StatisticArrays(NamedTuple):
    """One statistic of every source.

    Attributes:
        mean: (N, S) float32.
        spread: (N, S) float32.
    """

    mean: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True, eq=False)
class CardIndex:
    """All cards of a zoo.

    Attributes:
        ids: ids of the N sources with a valid card, sorted; row i of every array belongs to ``ids[i]``.
        statistics: by name, for each name in ``zoo.json``.
        faults: by id, one sentence on each source that is left out because its card is of no use.
        stamps: by id, the state of the card's file that the index was made from.
    """

    ids: tuple[str, ...]
    statistics: dict[str, StatisticArrays]
    faults: dict[str, str]
    stamps: dict[str, str]
    _lines: Callable[[], Sequence[bytes]] = field(repr=False)

    @cached_property
    def cards(self) -> tuple[Card, ...]:
        """The cards, in the order of ``ids``; read when first asked for."""
        return tuple(
            parse_card(line, f"The card of '{name}'") for name, line in zip(self.ids, self._lines(), strict=True)
        )


class _Manifest(BaseModel):
    """What the other two files of the index were made from, and their hashes: torn or old ones are recognised."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format_version: Literal[1] = 1
    names: tuple[str, ...]
    stamps: dict[str, str]
    faults: dict[str, str]
    cards_sha256: str
    statistics_sha256: str

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(name for name in self.stamps if name not in self.faults)


def card_path(source_id: str) -> str:
    """Where the card of a source lies, relative to the zoo."""
    return f"sources/{source_id}/card.json"


def read_card(folder: Folder, source_id: str, modality: str) -> Card:
    """Reads the card of one source.

    Raises:
        InputError: there is none, it is not valid, or it belongs to another id or modality.
    """
    name = f"The card of source '{source_id}'"
    card = parse_card(folder.read(card_path(source_id), MAX_CARD_BYTES + 1), name)
    if card.id != source_id:
        raise InputError(f"{name} is that of '{card.id}'.")
    if card.modality != modality:
        raise InputError(f"{name} is of modality '{card.modality}' in a zoo of '{modality}'.")
    return card


def list_cards(folder: Folder) -> dict[str, str]:
    """Lists the sources of a zoo, sorted by id, each with a stamp that changes when its card does."""
    return {name: stamp for name, stamp in folder.stamps("sources", "card.json").items() if is_safe_id(name)}


def load_index(folder: Folder, info: ZooInfo) -> CardIndex:
    """Reads the index of a zoo, or makes it anew where it is missing, broken, or older than a card."""
    stamps = list_cards(folder)
    manifest = _read_manifest(folder)
    if manifest is not None and manifest.stamps == stamps and manifest.names == info.statistics.names:
        statistics = _read_statistics(folder, manifest)
        if statistics is not None:
            return CardIndex(
                manifest.ids, statistics, manifest.faults, stamps, lambda: _stored_lines(folder, info, manifest)
            )
    return _rebuild(folder, info, stamps, manifest)


class _Row(NamedTuple):
    """What the index keeps of one card: all of it as a line, and its statistics as arrays (S,)."""

    line: bytes
    statistics: dict[str, StatisticArrays]


def _rebuild(folder: Folder, info: ZooInfo, stamps: dict[str, str], old: _Manifest | None) -> CardIndex:
    unchanged = _unchanged_rows(folder, info, stamps, old)
    rows: dict[str, _Row] = {}
    faults: dict[str, str] = {}
    for name in stamps:
        try:
            rows[name] = unchanged.get(name) or _row(read_card(folder, name, info.modality), info)
        except InputError as error:
            faults[name] = str(error)
    for statistic in info.statistics.names:
        faults |= _odd_widths(rows, statistic)
        rows = {name: row for name, row in rows.items() if name not in faults}
    for fault in faults.values():
        logger.warning("Left out: %s", fault)
    statistics = {name: _stack([row.statistics[name] for row in rows.values()]) for name in info.statistics.names}
    lines = [row.line for row in rows.values()]
    _write(folder, info, stamps, faults, lines, statistics)
    return CardIndex(tuple(rows), statistics, faults, stamps, lambda: lines)


def _row(card: Card, info: ZooInfo) -> _Row:
    missing = [name for name in info.statistics.names if name not in card.statistics]
    if missing:
        raise InputError(f"The card of source '{card.id}' lacks the statistic '{missing[0]}'.")
    found = {name: card.statistics[name] for name in info.statistics.names}
    arrays = {
        name: StatisticArrays(*(np.array(values, dtype=np.float32) for values in (statistic.mean, statistic.spread)))
        for name, statistic in found.items()
    }
    return _Row(card.model_dump_json().encode(), arrays)


def _odd_widths(rows: dict[str, _Row], name: str) -> dict[str, str]:
    """Returns by id one sentence on each card whose statistic has another width than in most cards."""
    widths = {source_id: len(row.statistics[name].mean) for source_id, row in rows.items()}
    usual = max(Counter(widths.values()).items(), key=lambda item: item[1], default=(0, 0))[0]
    return {
        source_id: f"The card of source '{source_id}' has {width} numbers in the statistic '{name}', others {usual}."
        for source_id, width in widths.items()
        if width != usual
    }


def _stack(arrays: Sequence[StatisticArrays]) -> StatisticArrays:
    if not arrays:
        return StatisticArrays(*(np.empty((0, 0), dtype=np.float32) for _ in StatisticArrays._fields))
    return StatisticArrays(*(np.stack(column) for column in zip(*arrays, strict=True)))


def _write(
    folder: Folder,
    info: ZooInfo,
    stamps: dict[str, str],
    faults: dict[str, str],
    lines: list[bytes],
    statistics: dict[str, StatisticArrays],
) -> None:
    cards_bytes = b"\n".join(lines)
    statistics_bytes = save(
        {f"{kind}/{name}": array for name, pair in statistics.items() for kind, array in pair._asdict().items()}
    )
    manifest = _Manifest(
        names=info.statistics.names,
        stamps=stamps,
        faults=faults,
        cards_sha256=hashlib.sha256(cards_bytes).hexdigest(),
        statistics_sha256=hashlib.sha256(statistics_bytes).hexdigest(),
    )
    try:
        folder.write(_CARDS, cards_bytes)
        folder.write(_STATISTICS, statistics_bytes)
        folder.write(_MANIFEST, manifest.model_dump_json().encode())
    except InputError as error:
        logger.info("The index is not kept: %s", error)  # as in a zoo that may only be read


def _read_manifest(folder: Folder) -> _Manifest | None:
    try:
        return _Manifest.model_validate_json(folder.read(_MANIFEST))
    except (InputError, ValidationError):
        return None


def _read_hashed(folder: Folder, name: str, sha256: str) -> bytes | None:
    try:
        data = folder.read(name)
    except InputError:
        return None
    return data if hashlib.sha256(data).hexdigest() == sha256 else None


def _read_statistics(folder: Folder, manifest: _Manifest) -> dict[str, StatisticArrays] | None:
    data = _read_hashed(folder, _STATISTICS, manifest.statistics_sha256)
    if data is None:
        return None
    try:
        arrays = load(data)
        return {name: StatisticArrays(arrays[f"mean/{name}"], arrays[f"spread/{name}"]) for name in manifest.names}
    except (SafetensorError, KeyError):
        return None


def _read_lines(folder: Folder, manifest: _Manifest) -> list[bytes] | None:
    data = _read_hashed(folder, _CARDS, manifest.cards_sha256)
    lines = data.split(b"\n") if data else []
    return lines if len(lines) == len(manifest.ids) else None


def _stored_lines(folder: Folder, info: ZooInfo, manifest: _Manifest) -> list[bytes]:
    lines = _read_lines(folder, manifest)
    if lines is not None:
        return lines
    return [read_card(folder, name, info.modality).model_dump_json().encode() for name in manifest.ids]


def _unchanged_rows(folder: Folder, info: ZooInfo, stamps: dict[str, str], old: _Manifest | None) -> dict[str, _Row]:
    """Returns the cards that need not be read again, as the old index has them."""
    if old is None or old.names != info.statistics.names:
        return {}
    lines, statistics = _read_lines(folder, old), _read_statistics(folder, old)
    if lines is None or statistics is None:
        return {}
    return {
        source_id: _Row(lines[i], {name: StatisticArrays(*(a[i] for a in pair)) for name, pair in statistics.items()})
        for i, source_id in enumerate(old.ids)
        if stamps.get(source_id) == old.stamps[source_id]
    }
