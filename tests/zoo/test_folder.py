from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from hatlit.errors import InputError
from hatlit.zoo.folder import Folder, LocalFolder, open_folder
from hatlit.zoo.store import Zoo


@pytest.fixture(params=["local", "memory", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "s3":
        return open_folder(request.getfixturevalue("s3"))
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


def test_names_are_those_of_one_folder(folder: Folder) -> None:
    assert folder.names("index") == []
    for name in ("index/b", "index/a", "other/c"):
        folder.write(name, b"1")
    assert folder.names("index") == ["a", "b"]
    folder.remove("index/a")
    folder.remove("index/a")
    assert folder.names("index") == ["b"]


def test_a_web_server_is_read_and_never_written(tmp_path: Path, serve: Callable[[Path], str]) -> None:
    (tmp_path / "a.txt").write_text("hello " * 50_000)
    folder = open_folder(serve(tmp_path))
    assert folder.exists("a.txt") and not folder.exists("b.txt")
    assert folder.read("a.txt") == b"hello " * 50_000
    assert folder.read("a.txt", 100_000) == (b"hello " * 50_000)[:100_000]
    assert folder.bytes_read == 400_000
    with pytest.raises(InputError, match=r"There is no 'b\.txt'"):
        folder.read("b.txt")
    with pytest.raises(InputError, match="plain web server, which can only be read"):
        folder.write("a.txt", b"new")
    with pytest.raises(InputError, match="does not list its files; run 'hatlit zoo index'"):
        folder.stamps("sources", "card.json")


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    pytest.importorskip("aiohttp")
    nowhere = "http://127.0.0.1:9/zoo"
    folder = open_folder(nowhere)
    for ask in (lambda: folder.exists("zoo.json"), lambda: folder.read("zoo.json"), lambda: Zoo.open(nowhere)):
        with pytest.raises(InputError, match=r"^'http://127\.0\.0\.1:9/zoo' cannot be reached: .*\.$"):
            ask()


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (404, "is not a zoo: it has no zoo.json."),
        (403, "is not a zoo: it has no zoo.json."),
        (500, "cannot be reached: the server answers 500 (Internal Server Error)."),
        (401, "cannot be reached: the server answers 401 (Unauthorized)."),
    ],
)
def test_a_file_that_is_not_there_is_no_server_that_cannot_answer(
    tmp_path: Path, serve: Callable[..., str], status: int, says: str
) -> None:
    address = serve(tmp_path, status)
    with pytest.raises(InputError) as error:
        Zoo.open(address)
    assert str(error.value) == f"'{address}' {says}"


def test_a_lock_that_is_never_given_back_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hatlit.zoo.folder._PATIENCE", 0.05)
    with (
        open_folder(tmp_path).lock(),
        pytest.raises(InputError, match="Another process has been writing"),
        open_folder(tmp_path).lock(),
    ):
        pass
