"""Some cards of a zoo as columns and arrays: what the index is made of, and how it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.numpy import load, save

from hatlit.encoders.base import InputSpec
from hatlit.zoo.card import Card, Count, Id, Name, Names, Strict
from hatlit.zoo.folder import Stamp

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class StatisticArrays(NamedTuple):
    """One statistic of N sources.

    Attributes:
        mean: (N, S) float32.
        spread: (N, S) float32.
    """

    mean: np.ndarray
    spread: np.ndarray


#: The statistics of N sources, by name.
Arrays = dict[str, StatisticArrays]


class Kind(Strict):
    """What decides whether a source can serve a target at all; many sources share one.

    Attributes:
        class_names: see ``Card``.
        input_spec: see ``Card``, without the numbers that normalise.
    """

    class_names: Names
    input_spec: InputSpec


class Fault(Strict):
    """A card that is of no use.

    Attributes:
        id: the source.
        stamp: of the card.
        why: one sentence.
    """

    id: Id
    stamp: Stamp
    why: str


class Table(Strict):
    """N cards as columns, without their long lists of numbers; see ``Card`` for what a column holds.

    Attributes:
        widths: how long each statistic is.
        kinds: what the sources are, each once; ``kind`` are numbers in this list.
        card_sha256: hashes of the cards.
        stamps: of the cards.
        faults: cards that are of no use, and therefore in no column.
    """

    format_version: Literal[2] = 2
    widths: dict[Name, Annotated[int, Field(ge=0, le=65536)]]
    kinds: tuple[Kind, ...] = ()
    ids: tuple[Id, ...] = ()
    domains: tuple[Name, ...] = ()
    datasets: tuple[Name, ...] = ()
    encoders: tuple[Name, ...] = ()
    kind: tuple[Count, ...] = ()
    accuracies: tuple[Annotated[float, Field(ge=0, le=1)] | None, ...] = ()
    num_samples: tuple[Count, ...] = ()
    rounds: tuple[Count, ...] = ()
    size_bytes: tuple[Count, ...] = ()
    sha256: tuple[Digest, ...] = ()
    card_sha256: tuple[Digest, ...] = ()
    stamps: tuple[Stamp, ...] = ()
    faults: tuple[Fault, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Table:
        if {len(getattr(self, column)) for column in COLUMNS} != {len(self.ids)}:
            raise ValueError("columns must be equally long")
        if self.kind and max(self.kind) >= len(self.kinds):
            raise ValueError("kind must be a number in kinds")
        return self

    def __len__(self) -> int:
        return len(self.ids)


COLUMNS = (
    *("ids", "domains", "datasets", "encoders", "kind", "accuracies", "num_samples", "rounds", "size_bytes"),
    *("sha256", "card_sha256", "stamps"),
)


def table_of(card: Card, data: bytes, stamp: Stamp, names: Sequence[str]) -> tuple[Table, Arrays]:
    """Returns the table of a single card, given also as the bytes that it was read from, and its statistics."""
    arrays = {
        name: StatisticArrays(
            *(np.array([values], dtype=np.float32) for values in (statistic.mean, statistic.spread)),
        )
        for name, statistic in ((name, card.statistics[name]) for name in names)
    }
    spec = card.input_spec.model_copy(update={"mean": (), "std": ()})
    table = Table(
        widths={name: pair.mean.shape[1] for name, pair in arrays.items()},
        kinds=(Kind(class_names=card.class_names, input_spec=spec),),
        ids=(card.id,),
        domains=(card.domain,),
        datasets=(card.dataset,),
        encoders=(card.encoder,),
        kind=(0,),
        accuracies=(card.accuracy,),
        num_samples=(card.num_samples,),
        rounds=(card.round,),
        size_bytes=(card.size_bytes,),
        sha256=(card.sha256,),
        card_sha256=(hashlib.sha256(data).hexdigest(),),
        stamps=(stamp,),
    )
    return table, arrays


def gather(tables: Sequence[Table], rows: Sequence[tuple[int, int]], faults: Iterable[Fault] = ()) -> Table:
    """Returns the table of some rows of several tables, each row given as the number of its table and its own.

    The widths are those of the first table.
    """
    kinds: dict[Kind, int] = {}
    renumbered = [[kinds.setdefault(kind, len(kinds)) for kind in table.kinds] for table in tables]
    columns: dict[str, Any] = {
        name: tuple([several[table][row] for table, row in rows])
        for name in COLUMNS
        for several in ([getattr(table, name) for table in tables],)
    }
    columns["kind"] = tuple([renumbered[table][tables[table].kind[row]] for table, row in rows])
    # All of it was checked when the tables were read.
    return Table.model_construct(widths=tables[0].widths, kinds=tuple(kinds), faults=tuple(faults), **columns)


def gather_arrays(
    several: Sequence[Callable[[], Arrays]], rows: Sequence[tuple[int, int]], widths: dict[str, int]
) -> Arrays:
    """Returns the statistics of the same rows, asking only for those that are needed, and for one at a time."""
    places = np.array(rows, dtype=np.int64).reshape(-1, 2)
    gathered = {
        name: StatisticArrays(*(np.empty((len(rows), width), dtype=np.float32) for _ in StatisticArrays._fields))
        for name, width in widths.items()
    }
    for number in np.unique(places[:, 0]).tolist():
        arrays, wanted = several[number](), np.flatnonzero(places[:, 0] == number)
        to, of = _as_slice(wanted), _as_slice(places[wanted, 1])
        for name, pair in gathered.items():
            for into, out_of in zip(pair, arrays[name], strict=True):
                into[to] = out_of[of]
    return gathered


def _as_slice(numbers: np.ndarray) -> slice | np.ndarray:
    """Numbers (N,) that follow one another as a slice, by which rows are copied once and not twice."""
    start, stop = int(numbers[0]), int(numbers[-1]) + 1
    return slice(start, stop) if np.array_equal(numbers, np.arange(start, stop)) else numbers


def parse_table(data: bytes, names: Sequence[str]) -> Table | None:
    """Parses a table; None where the bytes are none, or one with other statistics."""
    try:
        table = Table.model_validate_json(data)
    except ValidationError:
        return None
    return table if sorted(table.widths) == sorted(names) else None


def encode_arrays(arrays: Arrays) -> bytes:
    """Returns statistics as a safetensors file."""
    return save({f"{part}/{name}": array for name, pair in arrays.items() for part, array in pair._asdict().items()})


def parse_arrays(data: bytes, table: Table) -> Arrays | None:
    """Parses the statistics that belong to a table; None where the bytes are something else."""
    try:
        found = load(data)
        arrays = {name: StatisticArrays(found[f"mean/{name}"], found[f"spread/{name}"]) for name in table.widths}
    except (SafetensorError, KeyError, ValueError):  # no such file, no such tensor or type, no such shape
        return None
    sound = all(
        array.dtype == np.float32 and array.shape == (len(table), table.widths[name])
        for name, pair in arrays.items()
        for array in pair
    )
    return arrays if sound else None
