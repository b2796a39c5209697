from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hatlit.zoo import index as index_module
from hatlit.zoo.card import Card, Statistic
from hatlit.zoo.folder import Folder
from hatlit.zoo.index import CardIndex
from hatlit.zoo.store import Zoo


@pytest.fixture
def filled(zoo: Zoo, make_source: Any) -> Zoo:
    for number in range(3):
        zoo.add(f"s{number}", **make_source(number))
    zoo.index()
    return Zoo.open(zoo.url)


def segments(zoo: Zoo) -> list[Path]:
    """The segments of the index, oldest first."""
    return sorted((Path(zoo.url) / "index").glob("*-*.json"))


def read_ids(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the cards that the index reads one by one when it is asked for."""
    read = index_module.read_card
    seen = []

    def counted(folder: Folder, source_id: str, modality: str) -> tuple[Card, bytes]:
        seen.append(source_id)
        return read(folder, source_id, modality)

    with monkeypatch.context() as patch:
        patch.setattr(index_module, "read_card", counted)
        index = zoo.index()
    assert agrees(index, zoo)
    return seen


def agrees(index: CardIndex, zoo: Zoo) -> bool:
    cards = [zoo.card(source_id) for source_id in index.ids]
    mean, spread = index.statistics("moments")
    assert mean.dtype == spread.dtype == np.float32
    np.testing.assert_array_equal(mean, np.array([c.statistics["moments"].mean for c in cards], dtype=np.float32))
    np.testing.assert_array_equal(spread, np.array([c.statistics["moments"].spread for c in cards], dtype=np.float32))
    table = index.table
    assert table.domains == tuple(card.domain for card in cards)
    assert table.size_bytes == tuple(card.size_bytes for card in cards)
    assert table.sha256 == tuple(card.sha256 for card in cards)
    assert [table.kinds[kind].class_names for kind in table.kind] == [card.class_names for card in cards]
    return [zoo.candidate(index, row) for row in range(len(table))] == cards


def test_the_index_says_what_the_cards_say(filled: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    assert filled.index().ids == ("s0", "s1", "s2")
    assert read_ids(Zoo.open(filled.url), monkeypatch) == []


def test_an_empty_zoo_has_an_empty_index(zoo: Zoo) -> None:
    for again in (zoo, Zoo.open(zoo.url)):
        index = again.index()
        assert index.ids == () and again.cards() == []
        assert index.statistics("moments").mean.shape == (0, 0)


def test_only_what_changed_is_read_again(filled: Zoo, make_source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.add("s3", **make_source(3))
    assert read_ids(filled, monkeypatch) == []
    folder = Path(filled.url) / "sources"
    shutil.copytree(folder / "s3", folder / "s4")
    card = folder / "s4/card.json"
    card.write_text(card.read_text().replace('"s3"', '"s4"'))
    assert read_ids(filled, monkeypatch) == ["s4"]
    assert read_ids(filled, monkeypatch) == []
    assert filled.index().ids == ("s0", "s1", "s2", "s3", "s4")


def test_an_edited_card_counts_at_once(filled: Zoo) -> None:
    assert filled.cards()[1].accuracy == 0.75
    file = Path(filled.url) / "sources/s1/card.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"accuracy": 0.25}))
    assert [card.accuracy for card in filled.cards()] == [0.75, 0.25, 0.75]


def test_a_removed_source_is_gone_at_once(filled: Zoo) -> None:
    (Path(filled.url) / "sources/s1/card.json").unlink()
    assert filled.index().ids == ("s0", "s2")
    assert agrees(filled.index(), filled)


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "flipped", "noise"])
def test_a_broken_index_is_made_anew(suffix: str, damage: str, filled: Zoo) -> None:
    file = segments(filled)[1].with_suffix(suffix)
    data = file.read_bytes()
    if damage == "absent":
        file.unlink()
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        file.write_bytes({"empty": b"", "cut": data[:middle], "flipped": flipped, "noise": b"\x80\x02}."}[damage])
    assert agrees(filled.index(), filled)
    again = Zoo.open(filled.url)
    assert agrees(again.index(), again)
    assert len(segments(again)) == 3, "what is broken is replaced"


def test_a_zoo_that_cannot_be_written_is_still_indexed(
    zoo: Zoo, make_source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo.add("a", **make_source())
    for file in (Path(zoo.url) / "index").iterdir():
        file.unlink()

    def read_only(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("hatlit.zoo.folder.LocalFolder._replace", read_only)
    assert agrees(zoo.index(), zoo)
    assert segments(zoo) == []


def test_broken_cards_are_left_out_and_named(filled: Zoo, make_source: Any, caplog: pytest.LogCaptureFixture) -> None:
    (Path(filled.url) / "sources/s0/card.json").write_text("{}")
    wide = Statistic.of(np.zeros(9), np.zeros(9))
    filled.add("wide", **make_source(4) | {"statistics": {"moments": wide}})
    for zoo in (filled, Zoo.open(filled.url)):
        index = zoo.index()
        assert index.ids == ("s1", "s2")
        assert set(index.faults) == {"s0", "wide"}
        assert "9 numbers in the statistic 'moments', others 4" in index.faults["wide"]
        assert agrees(index, zoo)
    assert "Left out: The card of source 's0' is not valid" in caplog.text
    assert dict(filled.verify())["wide"] == index.faults["wide"]


def test_stray_folders_are_no_sources(filled: Zoo) -> None:
    for name in (".hidden", "a b", "half"):
        (Path(filled.url) / "sources" / name).mkdir()
    for name in (".hidden", "a b"):
        (Path(filled.url) / "sources" / name / "card.json").write_text("{}")
    assert filled.ids() == ["s0", "s1", "s2"]
