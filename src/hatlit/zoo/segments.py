"""The index as it lies in a zoo: segments, each written once under a name of its own and never changed.

index/<time>-<cards>-<widths>-<hash>-<hash>.json          columns of some cards
index/<time>-<cards>-<widths>-<hash>-<hash>.safetensors   their statistics
index/segments.json                                       names of the segments, for who cannot list them

A new card is a new segment. As soon as there are sixteen small ones of a size they become a larger one, until it has
4,096 cards: a card is written at most four times, and no merge is larger than two such segments. No two writers ever
write the same file, so none can lose what another wrote; a card that is in two segments counts once. Half a segment is
none: the name holds the hashes of both files, and the columns come last.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate

from hatlit.errors import InputError
from hatlit.zoo.folder import Folder, Stamp
from hatlit.zoo.table import Arrays, Table, encode_arrays, gather, gather_arrays, parse_arrays, parse_table

#: Segments of one size that become one of the next.
MERGE = 16

#: Cards of a segment that is merged no further.
LARGEST = MERGE**3

#: No file of a segment is larger, and nothing larger is read.
_MOST_BYTES = {"json": 2**25, "safetensors": 2**28}

_FOLDER = "index"
_LIST = f"{_FOLDER}/segments.json"
_NAME = re.compile(r"[0-9]{20}-([0-9]{1,9})-([0-9a-f]{8})-([0-9a-f]{32})-([0-9a-f]{32})")


class GoneError(Exception):
    """A segment is not there any more, because it was merged, or is not what it was."""


def list_segments(folder: Folder) -> tuple[str, ...]:
    """Names of the segments, oldest first."""
    if folder.lists:
        found = [name.removesuffix(".json") for name in folder.names(_FOLDER) if name.endswith(".json")]
    else:
        found = _listed(folder)
    return tuple(name for name in found if _NAME.fullmatch(name))


def read_table(folder: Folder, segment: str, names: tuple[str, ...]) -> Table:
    """Reads the columns of a segment.

    Raises:
        GoneError: it is not there, damaged, or carries other statistics than ``names``.
    """
    table = parse_table(_read(folder, f"{segment}.json", segment.split("-")[3]), names)
    if table is None:
        raise GoneError(segment)
    return table


def read_arrays(folder: Folder, segment: str, table: Table) -> Arrays:
    """Reads the statistics of a segment.

    Raises:
        GoneError: they are not there or damaged.
    """
    arrays = parse_arrays(_read(folder, f"{segment}.safetensors", segment.split("-")[4]), table)
    if arrays is None:
        raise GoneError(segment)
    return arrays


def append(folder: Folder, table: Table, arrays: Arrays) -> None:
    """Writes a segment and merges small ones; the caller holds the folder's lock.

    Raises:
        InputError: nothing can be written.
    """
    write(folder, table, arrays)
    _merge(folder, tuple(table.widths))
    publish(folder)


def publish(folder: Folder) -> None:
    """Writes the names of the segments, for who cannot list them."""
    folder.write(_LIST, json.dumps(list_segments(folder)).encode())


def remove(folder: Folder, segment: str) -> None:
    """Removes a segment, the columns first."""
    for suffix in ("json", "safetensors"):
        folder.remove(f"{_FOLDER}/{segment}.{suffix}")


def latest(tables: Sequence[Table], stamps: Mapping[str, Stamp] | None = None) -> list[tuple[int, int]]:
    """Finds the row of each card in tables, the last where it has several; in the order of the ids.

    Args:
        tables: oldest first.
        stamps: of the cards as they are now; a row of another state of a card does not count.

    Returns:
        Rows, each as the number of its table and its own.
    """
    rows = {
        source: (number, row)
        for number, table in enumerate(tables)
        for row, (source, stamp) in enumerate(zip(table.ids, table.stamps, strict=True))
        if stamps is None or stamps.get(source) == stamp
    }
    return [rows[source] for source in sorted(rows)]


def write(folder: Folder, table: Table, arrays: Arrays) -> None:
    """Writes a segment, the columns last.

    Raises:
        InputError: nothing can be written.
    """
    columns, statistics = table.model_dump_json().encode(), encode_arrays(arrays)
    widths = zlib.crc32(json.dumps(table.widths, sort_keys=True).encode())
    cards = len(table) + len(table.faults)
    name = f"{time.time_ns():020d}-{cards}-{widths:08x}-{_digest(columns)}-{_digest(statistics)}"
    folder.write(f"{_FOLDER}/{name}.safetensors", statistics)
    folder.write(f"{_FOLDER}/{name}.json", columns)


def _merge(folder: Folder, names: tuple[str, ...]) -> None:
    limit = MERGE
    while limit <= LARGEST:
        groups: dict[str, list[str]] = {}
        for segment in list_segments(folder):
            widths = segment.split("-")[2]
            if limit // MERGE <= max(1, _cards(segment)) < limit:
                groups.setdefault(widths, []).append(segment)
        for group in groups.values():
            if len(group) >= MERGE:
                before = accumulate(map(_cards, group), initial=0)
                chosen = [segment for segment, cards in zip(group, before, strict=False) if cards < LARGEST]
                _merge_group(folder, chosen, names)
        limit *= MERGE


def _cards(segment: str) -> int:
    return int(segment.split("-")[1])


def _merge_group(folder: Folder, group: list[str], names: tuple[str, ...]) -> None:
    try:
        tables = [read_table(folder, segment, names) for segment in group]
        rows = latest(tables)
        several = [partial(read_arrays, folder, *pair) for pair in zip(group, tables, strict=True)]
        arrays = gather_arrays(several, rows, tables[0].widths)
    except GoneError:  # another writer was faster, or a reader will find out what is damaged
        return
    faults = {fault.id: fault for table in tables for fault in table.faults}
    write(folder, gather(tables, rows, faults.values()), arrays)
    for segment in group:
        remove(folder, segment)


def _listed(folder: Folder) -> list[str]:
    try:
        found = json.loads(folder.read(_LIST, _MOST_BYTES["json"]))
    except (InputError, ValueError, RecursionError):
        return []
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _read(folder: Folder, file: str, digest: str) -> bytes:
    try:
        data = folder.read(f"{_FOLDER}/{file}", _MOST_BYTES[file.rpartition(".")[2]])
    except InputError as error:
        raise GoneError(file) from error
    if _digest(data) != digest:
        raise GoneError(file)
    return data


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
