from __future__ import annotations

import multiprocessing
import os
import uuid
from pathlib import Path
from typing import Any

import pytest
import torch

from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.zoo.card import Provenance, StatisticsSpec, ZooInfo
from hatlit.zoo.folder import Folder, LocalFolder
from hatlit.zoo.store import Zoo


@pytest.mark.parametrize("where", ["local", "memory", "s3"])
def test_a_source_comes_back_as_it_was(
    where: str, request: pytest.FixtureRequest, tmp_path: Path, info: ZooInfo, make_source: Any, view: torch.Tensor
) -> None:
    url = {"local": str(tmp_path / "zoo"), "memory": f"memory://{uuid.uuid4().hex}/zoo"}.get(where)
    url = url or request.getfixturevalue("s3")
    source = make_source()
    card = Zoo.create(url, info).add("user-1", **source)

    zoo = Zoo.open(url, "imu")
    assert zoo.info == info
    assert zoo.ids() == ["user-1"]
    assert zoo.has("user-1") and not zoo.has("user-2")
    assert zoo.card("user-1") == card
    assert zoo.cards() == [card]
    assert card.num_parameters == sum(p.numel() for p in source["model"].parameters())
    loaded = zoo.load("user-1")
    assert not loaded.training
    assert torch.equal(loaded(view), source["model"].eval()(view))
    assert list(zoo.verify()) == [("user-1", None)]


def test_creating_twice(tmp_path: Path, info: ZooInfo, zoo: Zoo) -> None:
    assert Zoo.create(tmp_path / "zoo", info).info == info
    spec = InputSpec(modality="audio", channels=("left",), shape=(16,))
    other = ZooInfo(modality="audio", statistics=StatisticsSpec(names=("moments",), view=spec, seed=0))
    with pytest.raises(InputError, match="another zoo"):
        Zoo.create(tmp_path / "zoo", other)


def test_opening_what_is_not_the_wanted_zoo(tmp_path: Path, zoo: Zoo) -> None:
    with pytest.raises(InputError, match="is not a zoo"):
        Zoo.open(tmp_path)
    with pytest.raises(InputError, match="modality 'imu', not 'audio'"):
        Zoo.open(zoo.url, "audio")
    (tmp_path / "zoo.json").write_text('{"format_version": 9}')
    with pytest.raises(InputError, match="'format_version'"):
        Zoo.open(tmp_path)


def test_an_unknown_id_names_the_nearest(zoo: Zoo, make_source: Any) -> None:
    zoo.add("user-1", **make_source())
    with pytest.raises(InputError, match="did you mean user-1"):
        zoo.load("user-7")


@pytest.mark.parametrize("source_id", ["../other", "/etc", "a/../../b", "..", ""])
def test_no_id_leads_out_of_the_zoo(source_id: str, tmp_path: Path, zoo: Zoo, make_source: Any) -> None:
    assert not zoo.has(source_id)
    for read in (zoo.card, zoo.load):
        with pytest.raises(InputError, match="cannot name a source"):
            read(source_id)
    with pytest.raises(InputError, match="cannot name a source"):
        zoo.add(source_id, **make_source())
    assert [path.name for path in tmp_path.rglob("*")] == ["zoo", "zoo.json"]


def test_a_card_in_another_folder_is_refused(tmp_path: Path, zoo: Zoo, make_source: Any) -> None:
    zoo.add("a", **make_source())
    (tmp_path / "zoo/sources/a").rename(tmp_path / "zoo/sources/b")
    with pytest.raises(InputError, match="card of source 'b' is that of 'a'"):
        zoo.card("b")


def test_a_copy_is_the_same_source_but_for_what_is_changed(zoo: Zoo, make_source: Any, tmp_path: Path) -> None:
    card = zoo.add("a", **make_source())
    other = Zoo.create(tmp_path / "other", zoo.info)
    assert other.copy(zoo, "a") == card
    assert other.copy(zoo, "a") == card, "the very same one is there"
    changed = other.copy(zoo, "a", id="b", provenance=Provenance(round=3, parents=("a",)))
    assert changed == card.model_copy(update={"id": "b", "provenance": changed.provenance})
    assert other.card("b").round == 3
    assert all(fault is None for _, fault in other.verify())
    with pytest.raises(InputError, match="another source 'b' already"):
        other.copy(zoo, "a", id="b")


def test_what_is_broken_is_not_copied(zoo: Zoo, make_source: Any, tmp_path: Path) -> None:
    zoo.add("a", **make_source())
    (tmp_path / "zoo/sources/a/model.safetensors").write_bytes(b"broken")
    other = Zoo.create(tmp_path / "other", zoo.info)
    with pytest.raises(InputError):
        other.copy(zoo, "a")
    assert other.ids() == []


def test_the_same_source_twice(zoo: Zoo, make_source: Any) -> None:
    card = zoo.add("a", **make_source())
    assert zoo.add("a", **make_source()) == card
    with pytest.raises(InputError, match="another source 'a' already"):
        zoo.add("a", **make_source(1))
    with pytest.raises(InputError, match="another source 'a' already"):
        zoo.add("a", **make_source() | {"domain": "bathroom"})
    assert zoo.cards() == [card]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"statistics": {}}, "lacks the statistic 'moments'"),
        ({"accuracy": float("nan")}, "'accuracy'"),
        ({"class_names": ("sit", "walk", "run")}, "3 class_names"),
        ({"encoder": "cnn_tiny"}, "cnn_tiny"),
        ({"encoder": "unheard_of"}, "Unknown imu encoder"),
    ],
)
def test_nothing_enters_that_could_not_be_used(changes: dict[str, Any], told: str, zoo: Zoo, make_source: Any) -> None:
    with pytest.raises(InputError, match=told):
        zoo.add("a", **make_source() | changes)
    assert zoo.ids() == []


def test_diverged_weights_do_not_enter(zoo: Zoo, make_source: Any) -> None:
    source = make_source()
    torch.nn.init.constant_(source["model"].head.weight, float("nan"))
    with pytest.raises(InputError, match="not finite"):
        zoo.add("a", **source)
    assert zoo.ids() == []


def test_another_modality_does_not_enter(tmp_path: Path, make_source: Any) -> None:
    spec = InputSpec(modality="audio", channels=("left",), shape=(16,))
    info = ZooInfo(modality="audio", statistics=StatisticsSpec(names=("moments",), view=spec, seed=0))
    with pytest.raises(InputError, match="no place in a zoo of 'audio'"):
        Zoo.create(tmp_path, info).add("a", **make_source())


def test_verify_finds_every_fault(tmp_path: Path, zoo: Zoo, make_source: Any) -> None:
    for number, name in enumerate(("bad-card", "bad-weights", "good", "no-weights")):
        zoo.add(name, **make_source(number))
    sources = tmp_path / "zoo/sources"
    (sources / "bad-card/card.json").write_text("{}")
    weights = sources / "bad-weights/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"1234")
    (sources / "no-weights/model.safetensors").unlink()
    faults = dict(zoo.verify())
    assert faults["good"] is None
    assert "is not valid" in (faults["bad-card"] or "")
    assert "do not match its card" in (faults["bad-weights"] or "")
    assert "There is no" in (faults["no-weights"] or "")


def test_reading_is_metered(zoo: Zoo, make_source: Any) -> None:
    card = zoo.add("a", **make_source())
    fresh = Zoo.open(zoo.url)
    before = fresh.bytes_read
    assert before > 0
    fresh.load("a")
    assert fresh.bytes_read == before + card.size_bytes + len(card.model_dump_json())


def test_no_source_without_its_card(zoo: Zoo, make_source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Folder.write

    def interrupted(folder: Folder, name: str, data: bytes) -> None:
        if name.endswith("card.json"):
            raise KeyboardInterrupt
        write(folder, name, data)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Folder, "write", interrupted)
        zoo.add("a", **make_source())
    assert zoo.ids() == [] and not zoo.has("a") and zoo.cards() == []
    zoo.add("a", **make_source())
    assert list(zoo.verify()) == [("a", None)]


def _add(url: str, source_id: str, source: dict[str, Any], die_at_card: bool = False) -> None:
    if die_at_card:
        replace = LocalFolder._replace

        def killed(folder: LocalFolder, path: str, data: bytes) -> None:
            if path.endswith("card.json"):
                Path(path).with_name(".card.json.0123.partial").write_bytes(data[: len(data) // 2])
                os._exit(9)
            replace(folder, path, data)

        LocalFolder._replace = killed  # type: ignore[method-assign]
    Zoo.open(url).add(source_id, **source)


def test_a_process_killed_while_writing_the_card_leaves_no_source(zoo: Zoo, make_source: Any) -> None:
    process = multiprocessing.get_context("fork").Process(target=_add, args=(zoo.url, "a", make_source(), True))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert zoo.ids() == [] and zoo.cards() == []
    zoo.add("a", **make_source())
    assert list(zoo.verify()) == [("a", None)]
    assert not list(Path(zoo.url).rglob("*.partial")), "what it left goes with the next writing"


def test_two_processes_add_at_the_same_time(zoo: Zoo, make_source: Any) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_add, args=(zoo.url, f"s{n}", make_source(n))) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert [card.id for card in zoo.cards()] == ["s0", "s1", "s2", "s3"]
    assert all(fault is None for _, fault in zoo.verify())


def test_two_processes_that_want_one_id_do_not_mix(zoo: Zoo, make_source: Any) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_add, args=(zoo.url, "same", make_source(n))) for n in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(process.exitcode == 0 for process in processes) == [False, True]
    assert list(zoo.verify()) == [("same", None)]


def test_a_zoo_on_a_web_server(tmp_path: Path, zoo: Zoo, make_source: Any, serve: Any, view: torch.Tensor) -> None:
    card = zoo.add("a", **make_source())
    there = Zoo.open(f"{serve(tmp_path)}/zoo", "imu")
    assert there.ids() == ["a"] and there.cards() == [card]
    assert torch.equal(there.load("a")(view), zoo.load("a")(view))
    with pytest.raises(InputError, match="can only be read"):
        there.add("b", **make_source(1))
    zoo.add("b", **make_source(1))
    assert there.ids() == ["a", "b"]
    assert [fault for _, fault in there.verify()] == [None, None]


def test_a_source_whose_writer_died_before_it_was_entered(info: ZooInfo, make_source: Any) -> None:
    zoo = Zoo.create(f"memory://{uuid.uuid4().hex}/zoo", info)
    zoo.add("a", **make_source())
    zoo.add("b", **make_source(1))
    for name in zoo._folder.names("index")[-3:]:
        zoo._folder.remove(f"index/{name}")
    zoo.add("b", **make_source(1))
    assert zoo.ids() == ["a", "b"]


def test_a_candidate_is_the_card_that_was_indexed(info: ZooInfo, make_source: Any) -> None:
    zoo = Zoo.create(f"memory://{uuid.uuid4().hex}/zoo", info)
    card = zoo.add("a", **make_source())
    index = zoo.index()
    assert zoo.candidate(index, 0) == card
    zoo._folder.write("sources/a/card.json", card.model_copy(update={"accuracy": 1.0}).model_dump_json().encode())
    with pytest.raises(InputError, match="not the one in the index; run 'hatlit zoo index"):
        zoo.candidate(index, 0)
    zoo.rebuild_index()
    assert zoo.candidate(zoo.index(), 0).accuracy == 1.0


def test_classes_can_go_by_other_names_here(zoo, make_source, tmp_path):
    zoo.add("a", **make_source())
    renamed = Zoo.open(tmp_path / "zoo", rename=lambda source, names: tuple(f"{source}-{name}" for name in names))
    assert renamed.card("a").class_names == ("a-sit", "a-walk")
    index = renamed.index()
    assert renamed.class_names(index.table, 0) == renamed.candidate(index, 0).class_names == ("a-sit", "a-walk")
    assert renamed.fingerprint != zoo.fingerprint and zoo.card("a").class_names == ("sit", "walk")
    renamed.load("a")
