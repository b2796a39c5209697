"""Local files: where the cache is, and how to write so that no file is ever half there."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from hatlit.errors import InputError, reason_of

if sys.platform != "win32":
    import fcntl

#: No description is larger, and nothing larger is parsed.
MOST_BYTES = 16 * 2**20

#: How the name of a file ends that is not whole yet.
PARTIAL = ".partial"

#: Keeps the command line that a folder was made with.
COMMAND = "command.json"


def cache_folder() -> Path:
    """Where hatlit keeps what it can compute again: ``HATLIT_CACHE``, else the user's cache folder."""
    named = os.environ.get("HATLIT_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(base) / "hatlit"


def save_words(folder: Path, words: Sequence[str], **beside: Any) -> None:
    """Keeps a command line with what it makes, so that ``saved_words`` can go on with it, and what is known beside.

    Raises:
        OSError: the folder cannot be written.
    """
    write_atomically(folder / COMMAND, json.dumps({"words": list(words), **beside}) + "\n")


def saved_words(folder: str) -> list[str]:
    """The command line that a folder was made with, turned to that folder wherever it lies now.

    Raises:
        InputError: none is kept there.
    """
    try:
        words = [str(word) for word in json.loads(read_bounded(Path(folder) / COMMAND))["words"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"There is nothing in '{folder}' to go on with: it has no readable {COMMAND}.") from error
    return [*words, "--out", folder]


def read_bounded(path: Path, limit: int = MOST_BYTES) -> bytes:
    """Reads a small file that somebody else may have written.

    Raises:
        OSError: it is not there, cannot be read, is no regular file, or is larger than ``limit`` bytes.
    """
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe that nobody writes to would make a reader wait forever
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    with path.open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit:,} bytes", str(path))
    return data


def read_yaml(path: str, what: str) -> Any:
    """Reads what a user has written down as YAML or JSON; an empty file holds an empty mapping.

    Args:
        path: of the file.
        what: the file is, for the message, such as "class map".

    Raises:
        InputError: it cannot be read, or is neither.
    """
    try:
        return yaml.safe_load(read_bounded(Path(path))) or {}
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        why = reason_of(error) if isinstance(error, OSError) else "it is neither YAML nor JSON"
        raise InputError(f"The {what} '{path}' cannot be read: {why}.") from error


def as_json(content: object) -> str:
    """Results as JSON that every reader understands.

    Raises:
        ValueError: a number is not finite, for which JSON has no word.
    """
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def file_hash(path: Path) -> str:
    """A hash of what a file holds."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes a file under a temporary name, makes it durable and renames it into place.

    What a writer that was killed has left behind in the same folder is removed.

    Raises:
        OSError: the folder cannot be written or the disk is full; what stood at ``path`` before is untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        _write(path, data)
    except OSError as error:
        error.filename = str(path)  # rather than the temporary name
        raise


def refuse_unwritable(folder: Path) -> None:
    """Refuses a folder that cannot be written, or cannot be made, before anything is computed for it.

    Raises:
        InputError: it is such a one.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if os.access(path, os.F_OK))
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return
    why = os.strerror(errno.EACCES if there.is_dir() else errno.ENOTDIR)
    raise InputError(f"'{folder}' cannot be written ({why}); choose another --out.")


def remove_leftovers(folder: Path) -> None:
    """Removes the beginnings of files whose writers do not live any more, as far as that can be told and done."""
    if sys.platform == "win32":  # where a file has no lock that ends with its holder
        return
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            is_ours = entry.name.startswith(".") and entry.name.endswith(PARTIAL)
            if is_ours and entry.is_file(follow_symlinks=False):
                with suppress(OSError), Path(entry.path).open("rb") as stream:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    Path(entry.path).unlink()


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        with _claimed(temporary) as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            if sys.platform != "win32":  # which does not rename open files
                temporary.replace(path)
        if sys.platform == "win32":
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _claimed(path: Path) -> BinaryIO:
    """Makes a new file, and holds a lock on it that tells others that its writer lives."""
    while True:
        stream = path.open("xb")
        if sys.platform == "win32":
            return stream
        with suppress(OSError):  # a file system without locks has no leftovers removed either
            fcntl.flock(stream, fcntl.LOCK_EX)
        if os.fstat(stream.fileno()).st_nlink:
            return stream
        stream.close()  # before it was locked, somebody has taken it for a leftover
