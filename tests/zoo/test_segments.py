"""The index grows by one card at a time: what that costs, and what several writers and readers make of it."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hatlit.zoo.card import Card, Statistic, ZooInfo
from hatlit.zoo.folder import Folder, open_folder
from hatlit.zoo.index import CardIndex, card_path, enter, load_index, rebuild
from hatlit.zoo.segments import LARGEST, MERGE, append, list_segments, publish
from hatlit.zoo.store import Zoo
from hatlit.zoo.table import table_of


@pytest.fixture
def card(zoo: Zoo, make_source: Any, tmp_path: Path) -> Card:
    return Zoo.create(tmp_path / "model", zoo.info).add("model", **make_source())


@pytest.fixture
def memory() -> Folder:
    return open_folder(f"memory://{uuid.uuid4().hex}/zoo")


def numbered(card: Card, number: int) -> Card:
    """A card whose statistics tell which one it is."""
    statistic = Statistic.of(np.full(4, number), np.full(4, number + 0.5))
    return card.model_copy(update={"id": f"s{number:05d}", "statistics": {"moments": statistic}})


def put(folder: Folder, info: ZooInfo, card: Card) -> None:
    """Adds a card as ``Zoo.add`` does, without weights."""
    data = card.model_dump_json().encode()
    with folder.lock():
        folder.write(card_path(card.id), data)
        enter(folder, info, card, data)


def check(index: CardIndex) -> None:
    """Every row says what its card says."""
    numbers = np.array([int(source[1:]) for source in index.ids], dtype=np.float32)
    mean, spread = index.statistics("moments")
    np.testing.assert_array_equal(mean, np.tile(numbers[:, None], 4) if len(numbers) else mean)
    np.testing.assert_array_equal(spread, mean + 0.5)
    assert list(index.ids) == sorted(set(index.ids))


class Counted(Folder):
    """Counts what is written and read."""

    written = files = 0

    def write(self, name: str, data: bytes) -> None:
        self.written, self.files = self.written + len(data), self.files + 1
        super().write(name, data)


def test_an_add_costs_the_same_however_many_there_are(memory: Folder, zoo: Zoo, card: Card) -> None:
    memory.__class__ = Counted
    costs = []
    for number in range(2 * MERGE**2 + 3):
        before = memory.written + memory.bytes_read, memory.files
        one = numbered(card, number)
        append(memory, *table_of(one, b"", memory.stamp("", b""), zoo.info.statistics.names))
        costs.append((memory.written + memory.bytes_read - before[0], memory.files - before[1]))
    assert len(list_segments(memory)) <= 3 * MERGE
    costs_ = np.array(costs)
    first, second = costs_[: MERGE**2], costs_[MERGE**2 : 2 * MERGE**2]
    assert second[:, 1].sum() == first[:, 1].sum(), "as many files in the second half as in the first"
    assert second[:, 0].sum() < 1.25 * first[:, 0].sum(), "and as many bytes"
    assert costs_[:, 1].max() <= 2 + 2 * 2 + 1
    check(load_index(memory, zoo.info))


def test_the_largest_segments_are_left_alone() -> None:
    assert LARGEST == MERGE**3, "so a card is written at most four times, and what an add writes is bounded"


def test_what_two_mergers_wrote_counts_once(memory: Folder, zoo: Zoo, card: Card) -> None:
    for number in range(MERGE - 1):
        put(memory, zoo.info, numbered(card, number))
    small = {
        name: memory.read(f"index/{name}") for name in memory.names("index") if name.removesuffix(".json") != "segments"
    }
    put(memory, zoo.info, numbered(card, MERGE - 1))
    assert len(list_segments(memory)) == 1
    for name, data in small.items():
        memory.write(f"index/{name}", data)
    index = load_index(memory, zoo.info)
    assert len(index.ids) == MERGE
    check(index)


def test_a_reader_whose_segments_were_merged_reads_on(memory: Folder, zoo: Zoo, card: Card) -> None:
    for number in range(MERGE - 1):
        put(memory, zoo.info, numbered(card, number))
    index = load_index(memory, zoo.info)
    put(memory, zoo.info, numbered(card, MERGE - 1))
    assert len(list_segments(memory)) == 1
    check(index)
    assert len(index.ids) == MERGE - 1


def test_elsewhere_the_index_is_taken_at_its_word(memory: Folder, zoo: Zoo, card: Card) -> None:
    for number in range(MERGE - 1):
        put(memory, zoo.info, numbered(card, number))
    changed = numbered(card, 1).model_copy(update={"accuracy": 0.1})
    memory.write(card_path(changed.id), changed.model_dump_json().encode())
    before = memory.bytes_read
    index = load_index(memory, zoo.info)
    assert set(index.table.accuracies) == {0.75}
    columns = sum(len(memory.read(f"index/{segment}.json")) for segment in list_segments(memory))
    assert memory.bytes_read - before == 2 * columns, "no card is read, and no statistic"
    memory.remove(card_path("s00002"))
    rebuild(memory, zoo.info)
    index = load_index(memory, zoo.info)
    assert "s00002" not in index.ids and len(index.ids) == MERGE - 2
    assert index.table.accuracies[1] == 0.1
    assert len(list_segments(memory)) == 1
    check(index)


def test_a_damaged_segment_elsewhere_is_read_anew(memory: Folder, zoo: Zoo, card: Card) -> None:
    for number in range(3):
        put(memory, zoo.info, numbered(card, number))
    segment = list_segments(memory)[1]
    memory.write(f"index/{segment}.json", b"{}")
    index = load_index(memory, zoo.info)
    assert len(index.ids) == 3
    check(index)
    assert segment not in list_segments(memory)


def test_a_list_of_segments_that_lies_is_no_way_out(memory: Folder) -> None:
    memory.write("index/segments.json", b'["../../secret", 7]')
    memory.lists = False
    assert list_segments(memory) == ()
    memory.write("index/segments.json", b"{")
    assert list_segments(memory) == ()
    memory.lists = True
    publish(memory)


def add_many(url: str, info: ZooInfo, card: Card, numbers: range) -> None:
    folder = open_folder(url)
    for number in numbers:
        put(folder, info, numbered(card, number))


def test_writers_lose_nothing_and_readers_never_see_half(zoo: Zoo, card: Card) -> None:
    context = multiprocessing.get_context("fork")
    parts = [range(start, start + 20) for start in (0, 100, 200)]
    writers = [context.Process(target=add_many, args=(zoo.url, zoo.info, card, part)) for part in parts]
    for writer in writers:
        writer.start()
    seen = 0
    while any(writer.is_alive() for writer in writers):
        index = Zoo.open(zoo.url).index()
        check(index)
        assert len(index.ids) >= seen, "what was there once stays there"
        assert not index.faults
        seen = len(index.ids)
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    index = Zoo.open(zoo.url).index()
    assert [int(source[1:]) for source in index.ids] == [number for part in parts for number in part]
    check(index)
    assert len(list_segments(open_folder(zoo.url))) < 2 * MERGE


def test_killed_writers_leave_nothing_half_written(zoo: Zoo, card: Card) -> None:
    context = multiprocessing.get_context("fork")
    random.seed(0)
    for attempt in range(4):
        numbers = range(100 * attempt, 100 * attempt + 99)
        writer = context.Process(target=add_many, args=(zoo.url, zoo.info, card, numbers))
        writer.start()
        time.sleep(random.uniform(0.05, 0.2))
        assert writer.pid
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        there = {path.parent.name for path in Path(zoo.url).glob("sources/*/card.json")}
        index = Zoo.open(zoo.url).index()
        assert set(index.ids) == there
        assert not index.faults
        check(index)
