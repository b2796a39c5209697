"""A file is there whole or not at all."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hatlit.errors import InputError
from hatlit.files import (
    as_json,
    cache_folder,
    read_yaml,
    refuse_unwritable,
    save_words,
    saved_words,
    write_atomically,
)


def listing(folder):
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize(("content", "expected"), [("größe\n", "größe\n".encode()), (b"\x00\xff", b"\x00\xff")])
def test_what_is_written_is_there(tmp_path, content, expected):
    path = tmp_path / "new" / "folders" / "file"
    write_atomically(path, content)
    assert path.read_bytes() == expected
    assert listing(path.parent) == ["file"]


def test_what_was_there_is_replaced(tmp_path):
    path = tmp_path / "file"
    path.write_text("a long old text")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert listing(tmp_path) == ["file"]


def test_a_folder_that_can_be_made_is_not_refused_and_not_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, tmp_path / "new" / "runs", Path("runs"), Path()):
        refuse_unwritable(folder)
    assert listing(tmp_path) == []


@pytest.mark.parametrize("name", ["people.npz", "people.npz/runs/hat"])
def test_a_file_is_refused_as_a_folder(tmp_path, name):
    (tmp_path / "people.npz").write_text("")
    with pytest.raises(InputError) as error:
        refuse_unwritable(tmp_path / name)
    assert str(error.value) == f"'{tmp_path / name}' cannot be written (Not a directory); choose another --out."


@pytest.mark.parametrize("name", ["", "new"])
def test_a_folder_that_nobody_may_write_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).exists() and not mode & os.W_OK)
    with pytest.raises(InputError, match=r"cannot be written \(Permission denied\); choose another --out\.$"):
        refuse_unwritable(tmp_path / name)


def test_others_may_read_it(tmp_path):
    write_atomically(tmp_path / "file", "text")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert listing(tmp_path) == ["file"]


def test_an_interruption_before_the_renaming_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(path, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", "new")
    assert listing(tmp_path) == []


def test_the_content_is_durable_before_it_gets_its_name(tmp_path, monkeypatch):
    path = tmp_path / "file"
    synced = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append((os.fstat(descriptor).st_size, path.exists())))
    write_atomically(path, "four")
    assert synced == [(4, False)]


def test_the_error_of_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError) as caught:
        write_atomically(tmp_path / "file", "new")
    assert caught.value.filename == str(tmp_path / "file")


@pytest.mark.skipif(sys.platform == "win32", reason="has no locks that end with their holder")
def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path):
    """A writer of its own process, that waits half way through; then it is killed."""
    waiting = "import os, sys, time; os.fsync = lambda handle: (print(flush=True), time.sleep(600))"
    writing = "import pathlib, hatlit.files; hatlit.files.write_atomically(pathlib.Path(sys.argv[1]), '')"
    words = [sys.executable, "-c", f"{waiting}; {writing}", str(tmp_path / "a")]
    writer = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    (begun,) = listing(tmp_path)
    write_atomically(tmp_path / "b", "")
    assert sorted(listing(tmp_path)) == [begun, "b"]
    writer.kill()
    writer.wait()
    os.mkfifo(tmp_path / ".pipe.partial")  # nobody writes to it, and who opens it would wait forever
    write_atomically(tmp_path / "a", "whole")
    assert sorted(listing(tmp_path)) == [".pipe.partial", "a", "b"]


def test_a_file_that_is_taken_for_a_leftover_before_it_is_locked_is_begun_again(tmp_path, monkeypatch):
    locks = []

    def lock(stream, how):
        if not locks:
            Path(stream.name).unlink()  # another process, between the opening and the locking
        locks.append(how)

    monkeypatch.setattr("hatlit.files.fcntl.flock", lock)
    write_atomically(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"
    assert len(locks) == 2
    assert listing(tmp_path) == ["file"]


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        write_atomically(tmp_path / "file" / "inside", "text")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HATLIT_CACHE": "/named", "XDG_CACHE_HOME": "/xdg"}, "/named"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/hatlit"),
        ({"HATLIT_CACHE": "", "XDG_CACHE_HOME": ""}, "/home/somebody/.cache/hatlit"),
        ({}, "/home/somebody/.cache/hatlit"),
    ],
)
def test_where_the_cache_is(monkeypatch, variables, expected):
    monkeypatch.setenv("HOME", "/home/somebody")
    for name in ("HATLIT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_a_command_line_is_kept_and_turned_to_where_it_lies_now(tmp_path):
    save_words(tmp_path, ["--methods", "hat", "--out", "elsewhere"])
    assert saved_words(str(tmp_path)) == ["--methods", "hat", "--out", "elsewhere", "--out", str(tmp_path)]


@pytest.mark.parametrize("content", [None, "", "[]", '{"words": 3}', "\x00"])
def test_without_a_command_line_there_is_nothing_to_go_on_with(tmp_path, content):
    if content is not None:
        (tmp_path / "command.json").write_text(content)
    with pytest.raises(InputError, match=r"nothing in .* to go on with"):
        saved_words(str(tmp_path))


@pytest.mark.parametrize(("text", "content"), [("a: {b: 1}", {"a": {"b": 1}}), ('{"a": [1]}', {"a": [1]}), ("", {})])
def test_what_a_user_wrote_down_is_yaml_or_json(tmp_path, text, content):
    (tmp_path / "file").write_text(text)
    assert read_yaml(str(tmp_path / "file"), "map") == content


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xff", b"[" * 2000, b"a: !!python/name:os.system"])
def test_what_is_neither_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match=r"^The map '.*' cannot be read: it is neither YAML nor JSON"):
        read_yaml(str(tmp_path / "file"), "map")
    with pytest.raises(InputError, match=r"^The map '.*' cannot be read: No such file or directory"):
        read_yaml(str(tmp_path / "none"), "map")


def test_results_are_json_that_every_reader_understands():
    assert as_json({"a": [0.5, None]}) == '{\n  "a": [\n    0.5,\n    null\n  ]\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_json({"a": float("nan")})
