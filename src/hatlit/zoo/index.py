"""All cards of a zoo at a glance: derived from the cards, and made anew wherever it does not agree with them.

Where the files of a zoo are listed in no time, on this machine, the index is compared with them whenever it is asked
for, so that what was copied, edited or removed by hand counts at once. Elsewhere it is taken at its word, and a card
that it does not speak of is not there; ``rebuild`` reads all of them again.
"""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from hatlit.errors import InputError
from hatlit.zoo.card import MAX_CARD_BYTES, Card, ZooInfo, is_safe_id, parse_card
from hatlit.zoo.folder import Folder, Stamp
from hatlit.zoo.segments import (
    LARGEST,
    GoneError,
    append,
    latest,
    list_segments,
    publish,
    read_arrays,
    read_table,
    remove,
    write,
)
from hatlit.zoo.table import Arrays, Fault, StatisticArrays, Table, gather, gather_arrays, table_of

logger = logging.getLogger(__name__)

#: A table, and what reads its statistics when they are asked for.
Part = tuple[Table, Callable[[], Arrays]]


@dataclass(frozen=True, eq=False)
class CardIndex:
    """All cards of a zoo.

    Attributes:
        table: the N sources with a valid card, sorted by id.
        faults: by id, one sentence on each source that is left out because its card is of no use.
        made_of: what it was made from; an index that would be made from the same is the same.
    """

    table: Table
    faults: dict[str, str]
    made_of: tuple[object, ...]
    _read: Callable[[str, Sequence[int]], StatisticArrays] = field(repr=False)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the sources; row i of every column and array belongs to ``ids[i]``."""
        return self.table.ids

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each id."""
        return {source: row for row, source in enumerate(self.ids)}

    def statistics(self, name: str, rows: Sequence[int] | None = None) -> StatisticArrays:
        """Reads one statistic of some rows, or of all; nothing of it is kept, as it may be large.

        Args:
            name: one of the names in ``zoo.json``.
            rows: numbers of rows, which the arrays will have in that order.

        Raises:
            InputError: it cannot be read.
        """
        return self._read(name, range(len(self.table)) if rows is None else rows)


def card_path(source_id: str) -> str:
    """Where the card of a source lies, relative to the zoo."""
    return f"sources/{source_id}/card.json"


def read_card(folder: Folder, source_id: str, modality: str) -> tuple[Card, bytes]:
    """Reads the card of one source, as it is and as bytes.

    Raises:
        InputError: there is none, it is not valid, or it belongs to another id or modality.
    """
    name = f"The card of source '{source_id}'"
    data = folder.read(card_path(source_id), MAX_CARD_BYTES + 1)
    card = parse_card(data, name)
    if card.id != source_id:
        raise InputError(f"{name} is that of '{card.id}'.")
    if card.modality != modality:
        raise InputError(f"{name} is of modality '{card.modality}' in a zoo of '{modality}'.")
    return card, data


def list_cards(folder: Folder) -> dict[str, Stamp]:
    """Lists the sources of a zoo, sorted by id, each with a stamp that changes when its card does.

    Raises:
        InputError: they cannot be listed.
    """
    return {name: stamp for name, stamp in folder.stamps("sources", "card.json").items() if is_safe_id(name)}


def enter(folder: Folder, info: ZooInfo, card: Card, data: bytes) -> None:
    """Enters a card that was just written, as ``data``; the caller holds the folder's lock.

    Raises:
        InputError: nothing can be written.
    """
    stamp = folder.stamp(card_path(card.id), data)
    append(folder, *table_of(card, data, stamp, info.statistics.names))


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keeps the garbage collector off, which would look again and again through as many tuples as there are cards."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_undisturbed()
def load_index(folder: Folder, info: ZooInfo, known: CardIndex | None = None, distrust: bool = False) -> CardIndex:
    """Reads the index of a zoo, and brings it up to date.

    Args:
        folder: of the zoo.
        info: of the zoo.
        known: the index as it was before, which is returned if nothing has changed.
        distrust: whether the statistics are looked at, too, so that cards whose statistics are damaged are read again.

    Raises:
        InputError: there is no sound index, and the cards cannot be listed.
    """
    segments = list_segments(folder)
    stamps = list_cards(folder) if folder.lists_fast else None
    made_of = (segments, stamps)
    if known is not None and known.made_of == made_of:
        return known
    parts, damaged = _read_parts(folder, info, segments, distrust)
    if stamps is None and (damaged or not segments):
        stamps = list_cards(folder)
    if stamps is not None:
        missing = dict(stamps)
        for table, _ in parts:
            known_here = [*zip(table.ids, table.stamps, strict=True), *((one.id, one.stamp) for one in table.faults)]
            for source, stamp in known_here:
                if missing.get(source) == stamp:
                    del missing[source]
        found = list(_batches(_read_cards(folder, info, missing)))
        if found or damaged:
            _keep(folder, found, damaged)
        parts += [(table, partial(_as_it_is, arrays)) for table, arrays in found]
    return _combine(folder, info, parts, stamps, made_of)


def rebuild(folder: Folder, info: ZooInfo) -> None:
    """Makes the index anew from all cards.

    Raises:
        InputError: the cards cannot be listed, or nothing can be written.
    """
    before = list_segments(folder)
    for part in _batches(_read_cards(folder, info, list_cards(folder))):
        write(folder, *part)  # and do not merge, or what is old would survive in what is new
    with folder.lock():
        for segment in before:
            remove(folder, segment)
        publish(folder)


def _read_parts(
    folder: Folder, info: ZooInfo, segments: tuple[str, ...], distrust: bool
) -> tuple[list[Part], list[str]]:
    """Reads the columns of all segments; returns them and the names of segments that are damaged."""
    while True:
        parts: list[Part] = []
        damaged = []
        for segment in segments:
            try:
                table = read_table(folder, segment, info.statistics.names)
                if distrust:
                    read_arrays(folder, segment, table)
            except GoneError:
                damaged.append(segment)
            else:
                parts.append((table, partial(read_arrays, folder, segment, table)))
        now = list_segments(folder) if damaged else segments
        if set(damaged) <= set(now):
            return parts, damaged
        segments = now  # some were merged while they were read


def _read_cards(folder: Folder, info: ZooInfo, stamps: Mapping[str, Stamp]) -> Iterator[tuple[Table, Arrays]]:
    """Reads cards one by one, each into a table of its own; one of no use into a table of its fault."""
    names = info.statistics.names
    for source, stamp in stamps.items():
        try:
            card, data = read_card(folder, source, info.modality)
            missing = [name for name in names if name not in card.statistics]
            if missing:
                raise InputError(f"The card of source '{source}' lacks the statistic '{missing[0]}'.")
        except InputError as error:
            logger.warning("Left out: %s", error)
            fault = Fault(id=source, stamp=stamp, why=str(error))
            nothing = {name: StatisticArrays(*(np.empty((0, 0), dtype=np.float32) for _ in range(2))) for name in names}
            yield Table(widths=dict.fromkeys(names, 0), faults=(fault,)), nothing
        else:
            yield table_of(card, data, stamp, names)


def _batches(singles: Iterable[tuple[Table, Arrays]]) -> Iterator[tuple[Table, Arrays]]:
    """Puts tables of the same widths together, as many as the largest segment holds."""
    open_: dict[tuple[int, ...], list[tuple[Table, Arrays]]] = {}
    for table, arrays in singles:
        batch = open_.setdefault(tuple(table.widths.values()), [])
        batch.append((table, arrays))
        if len(batch) == LARGEST:
            yield _together(batch)
            batch.clear()
    yield from (_together(batch) for batch in open_.values() if batch)


def _together(batch: list[tuple[Table, Arrays]]) -> tuple[Table, Arrays]:
    tables = [table for table, _ in batch]
    rows = latest(tables)
    faults = [fault for table in tables for fault in table.faults]
    return gather(tables, rows, faults), gather_arrays(
        [partial(_as_it_is, one) for _, one in batch], rows, tables[0].widths
    )


def _keep(folder: Folder, found: Iterable[tuple[Table, Arrays]], damaged: Iterable[str]) -> None:
    """Puts what was read anew into the zoo, in the place of what is damaged, where that is allowed."""
    try:
        with folder.lock():
            for part in found:
                append(folder, *part)
            for segment in damaged:
                remove(folder, segment)
    except InputError as error:
        logger.info("The index is not kept: %s", error)  # as in a zoo that may only be read


def _combine(
    folder: Folder, info: ZooInfo, parts: list[Part], stamps: Mapping[str, Stamp] | None, made_of: tuple[object, ...]
) -> CardIndex:
    """Puts all parts together; where ``stamps`` are known, without what is not so any more."""
    tables = [table for table, _ in parts]
    rows = latest(tables, stamps)
    faults = {
        fault.id: fault.why
        for table in tables
        for fault in table.faults
        if stamps is None or stamps.get(fault.id) == fault.stamp
    }
    widths = {name: _usual_width(tables, rows, name) for name in info.statistics.names}
    for name, usual in widths.items():
        odd = {number: table.widths[name] for number, table in enumerate(tables) if table.widths[name] != usual}
        faults |= {
            tables[number].ids[row]: f"The card of source '{tables[number].ids[row]}' has {odd[number]} numbers in the "
            f"statistic '{name}', others {usual}."
            for number, row in rows
            if number in odd
        }
        rows = [place for place in rows if place[0] not in odd]
    table = gather(tables, rows) if tables else Table(widths=widths)

    def read(name: str, wanted: Sequence[int]) -> StatisticArrays:
        try:
            return gather_arrays([ask for _, ask in parts], [rows[row] for row in wanted], {name: widths[name]})[name]
        except GoneError:  # merged since, or damaged
            now = load_index(folder, info, distrust=True)
            return now.statistics(name, _find(now, [table.ids[row] for row in wanted]))

    return CardIndex(table, faults, made_of, read)


def _usual_width(tables: list[Table], rows: list[tuple[int, int]], name: str) -> int:
    cards = Counter(number for number, _ in rows)
    widths: Counter[int] = Counter()
    for number, count in cards.items():
        widths[tables[number].widths[name]] += count
    return max(widths.items(), key=lambda item: item[1], default=(0, 0))[0]


def _find(index: CardIndex, ids: Iterable[str]) -> list[int]:
    try:
        return [index.rows[source] for source in ids]
    except KeyError as error:
        raise InputError(f"Source {error} was removed from the zoo while it was read; try again.") from error


def _as_it_is(arrays: Arrays) -> Arrays:
    return arrays
