"""What was measured between sources and the domains of others: the experience of a zoo, kept beside its cards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hatlit.zoo.card import Count, Id, Strict, parse
from hatlit.zoo.folder import Folder

#: Where the pairs of a zoo lie.
FILE = "pairs.json"

#: No file of pairs is larger, and nothing larger is parsed: about half a million pairs.
MOST_BYTES = 64 * 2**20


class Pair(Strict):
    """How well one source did on the domain of another, when that domain was a target.

    Attributes:
        source: id of the source that was asked.
        target: id under which the target's student joined; its card carries the statistics of the target.
        accuracy: share of the target's labelled few that the source classified correctly.
        labels: how many those were.
    """

    source: Id
    target: Id
    accuracy: float = Field(ge=0, le=1)
    labels: Annotated[Count, Field(ge=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Pair:
        if self.source == self.target:
            raise ValueError("source and target are the same")
        return self


class _Pairs(Strict):
    format_version: Literal[1] = 1
    pairs: tuple[Pair, ...] = Field(fail_fast=True)


def read_pairs(folder: Folder) -> tuple[Pair, ...]:
    """Reads what was measured; nothing where nobody wrote it down.

    Raises:
        InputError: what is there is not valid.
    """
    if not folder.exists(FILE):
        return ()
    return parse(_Pairs, folder.read(FILE, MOST_BYTES + 1), f"The {FILE} of '{folder.url}'", MOST_BYTES).pairs


def add_pairs(folder: Folder, pairs: Iterable[Pair]) -> None:
    """Adds pairs to those that are there; what is measured again counts as it was measured last.

    The caller holds the folder's lock.

    Raises:
        InputError: what is there is not valid, or nothing can be written.
    """
    before = read_pairs(folder)
    known = {(pair.source, pair.target): pair for pair in (*before, *pairs)}
    after = tuple(known[key] for key in sorted(known))
    if after != before:
        folder.write(FILE, _Pairs(pairs=after).model_dump_json().encode())
