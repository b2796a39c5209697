"""Files below one URL: read with a limit and a meter, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from hatlit.errors import InputError


class Folder:
    """A folder on any file system that fsspec knows.

    Args:
        url: as the user gave it.
        file_system: where it lies.
        root: the folder's path on that file system.

    Attributes:
        url: as the user gave it.
        bytes_read: what was read from the file system so far.
    """

    def __init__(self, url: str, file_system: AbstractFileSystem, root: str) -> None:
        self.url = url
        self.bytes_read = 0
        self._file_system = file_system
        self._root = root.rstrip("/")

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name, given relative to the folder."""
        return bool(self._file_system.isfile(self._path(name)))

    def read(self, name: str, limit: int = -1) -> bytes:
        """Returns the first ``limit`` bytes of a file, or all of them.

        Raises:
            InputError: there is no such file, or it cannot be read.
        """
        try:
            with self._file_system.open(self._path(name), "rb") as file:
                data = file.read(limit)
        except FileNotFoundError as error:
            raise InputError(f"There is no '{name}' in '{self.url}'.") from error
        except OSError as error:
            raise InputError(f"'{name}' in '{self.url}' cannot be read: {_reason(error)}.") from error
        self.bytes_read += len(data)
        return data

    def write(self, name: str, data: bytes) -> None:
        """Writes a file; whoever reads it meanwhile sees the old one or the new one, never a part.

        Raises:
            InputError: it cannot be written.
        """
        path = self._path(name)
        parent, _, base = path.rpartition("/")
        # The suffix keeps writers apart, and keeps what a killed one leaves behind from being taken for the file.
        temporary = f"{parent}/.{base}.{uuid.uuid4().hex}.tmp"
        try:
            self._file_system.makedirs(parent, exist_ok=True)
            self._replace(temporary, path, data)
        except OSError as error:
            raise InputError(f"'{name}' in '{self.url}' cannot be written: {_reason(error)}.") from error

    def stamps(self, folder: str, file: str) -> dict[str, str]:
        """Lists the subfolders of ``folder`` that hold a ``file``, with stamps that change when the file does."""
        parent = self._path(folder)
        self._file_system.invalidate_cache(parent)
        found = self._file_system.find(parent, maxdepth=2, detail=True)
        stamps = {}
        for path, info in sorted(found.items()):
            holder, _, base = path.rpartition("/")
            if base == file:
                facts = sorted((key, str(value)) for key, value in info.items() if key != "name")
                stamps[holder.rpartition("/")[2]] = _short_hash(facts)
        return stamps

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _replace(self, temporary: str, path: str, data: bytes) -> None:
        self._file_system.pipe_file(temporary, data)
        self._file_system.mv(temporary, path)


class LocalFolder(Folder):
    """A folder on this machine: what it has written survives a power cut, and 100,000 files are listed in a second."""

    def stamps(self, folder: str, file: str) -> dict[str, str]:
        """Lists as ``Folder.stamps`` does, with one look at each subfolder."""
        try:
            names = sorted(os.listdir(self._path(folder)))  # noqa: PTH208 - no Path for each of 100,000 entries
        except FileNotFoundError:
            return {}
        stamps = {}
        for name in names:
            try:
                facts = os.stat(f"{self._path(folder)}/{name}/{file}")  # noqa: PTH116 - the same
            except (FileNotFoundError, NotADirectoryError):
                continue
            stamps[name] = _short_hash((facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino))
        return stamps

    def _replace(self, temporary: str, path: str, data: bytes) -> None:
        try:
            with Path(temporary).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_folder(Path(path).parent)


def open_folder(url: str | Path) -> Folder:
    """Returns the folder at a path or at any URL that fsspec knows; it need not exist yet.

    Raises:
        InputError: there is no file system for such a URL.
    """
    try:
        file_system, root = url_to_fs(os.fspath(url))
    except (ValueError, ImportError, OSError) as error:
        raise InputError(f"'{url}' cannot be opened: {_reason(error)}.") from error
    kind = LocalFolder if isinstance(file_system, LocalFileSystem) else Folder
    return kind(str(url), file_system, root)


def _sync_folder(path: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _short_hash(facts: Any) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0].rstrip(".")
