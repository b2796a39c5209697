from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from hatlit.errors import InputError
from hatlit.zoo.folder import Folder, LocalFolder, open_folder


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return open_folder(tmp_path / "a [1]" if request.param == "local" else f"memory://{uuid.uuid4().hex}")


def test_what_is_written_is_read_and_metered(folder: Folder) -> None:
    assert not folder.exists("b/c.txt")
    folder.write("b/c.txt", b"old")
    folder.write("b/c.txt", b"hello")
    assert folder.exists("b/c.txt")
    assert folder.read("b/c.txt") == b"hello"
    assert folder.read("b/c.txt", 2) == b"he"
    assert folder.bytes_read == 7


def test_a_missing_file_is_one_sentence(folder: Folder) -> None:
    with pytest.raises(InputError, match=r"There is no 'b/c\.txt'"):
        folder.read("b/c.txt")


def test_stamps_follow_the_file_and_ignore_everything_else(folder: Folder) -> None:
    assert folder.stamps("sources", "card.json") == {}
    folder.write("sources/b/card.json", b"1")
    folder.write("sources/a/card.json", b"1")
    folder.write("sources/half/model.safetensors", b"1")
    folder.write("sources/stray.txt", b"1")
    before = folder.stamps("sources", "card.json")
    assert list(before) == ["a", "b"]
    assert folder.stamps("sources", "card.json") == before
    folder.write("sources/a/card.json", b"22")
    after = folder.stamps("sources", "card.json")
    assert after["a"] != before["a"]
    assert after["b"] == before["b"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = open_folder(tmp_path)
    assert isinstance(folder, LocalFolder)
    folder.write("a.txt", b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        folder.write("a.txt", b"new")
    assert folder.read("a.txt") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_an_unknown_protocol_is_one_sentence() -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        open_folder("nosuch://bucket/zoo")


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        open_folder(tmp_path / "file").write("zoo.json", b"")
