"""Files below one URL: read with a limit and a meter, written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from filelock import FileLock, Timeout
from fsspec import AbstractFileSystem
from fsspec.core import split_protocol, url_to_fs
from fsspec.implementations.local import LocalFileSystem

from hatlit.errors import InputError, reason_of
from hatlit.files import write_atomically

#: What brings the file systems that fsspec has no library of its own for.
_EXTRAS = {"http": "http", "https": "http", "s3": "s3"}

#: What a web server answers where there is no such file; 403 is how object stores say it to those who may not list.
_NOT_THERE = (403, 404, 410)

#: Seconds that a writer waits for the others; each holds the lock for a moment.
_PATIENCE = 120.0


class Stamp(NamedTuple):
    """The state of a file, as far as a listing tells; it changes when the file does.

    Attributes:
        size: bytes.
        time: of the last change in nanoseconds, 0 on a file system whose listing is not asked for it.
    """

    size: int
    time: int


class Folder:
    """A folder on any file system that fsspec knows.

    Args:
        url: as the user gave it.
        file_system: where it lies.
        root: the folder's path on that file system.

    Attributes:
        url: as the user gave it.
        bytes_read: what was read from the file system so far.
        lists_fast: whether a listing of every source is cheap enough to be made whenever the zoo is read.
        lists: whether what is in the folder can be listed at all.
    """

    lists_fast = False
    lists = True

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
        parts: list[bytes] = []
        length = 0
        try:
            with self._open(self._path(name)) as file:
                # A stream gives what has arrived, which may be less than what was asked for.
                while length != limit and (part := file.read(limit - length if limit >= 0 else -1)):
                    parts.append(part)
                    length += len(part)
        except FileNotFoundError as error:
            raise InputError(f"There is no '{name}' in '{self.url}'.") from error
        except OSError as error:
            raise InputError(f"'{name}' in '{self.url}' cannot be read: {reason_of(error)}.") from error
        finally:
            self.bytes_read += length
        return b"".join(parts)  # no copy of a single one

    def write(self, name: str, data: bytes) -> None:
        """Writes a file; whoever reads it meanwhile sees the old one or the new one, never a part.

        Raises:
            InputError: it cannot be written.
        """
        path = self._path(name)
        try:
            self._replace(path, data)
        except OSError as error:
            raise InputError(f"'{name}' in '{self.url}' cannot be written: {reason_of(error)}.") from error

    def remove(self, name: str) -> None:
        """Removes a file; one that is not there, or that must not be removed, is left alone."""
        with suppress(OSError):
            self._file_system.rm_file(self._path(name))

    def names(self, folder: str) -> list[str]:
        """Lists the files in ``folder``, sorted; none where there is no such folder."""
        parent = self._path(folder)
        self._file_system.invalidate_cache(parent)
        try:
            return sorted(path.rpartition("/")[2] for path in self._file_system.ls(parent, detail=False))
        except FileNotFoundError:
            return []

    def stamp(self, name: str, data: bytes) -> Stamp:
        """Returns the stamp of a file that was just written, as ``stamps`` will find it."""
        return Stamp(len(data), 0)

    def stamps(self, folder: str, file: str) -> dict[str, Stamp]:
        """Lists the subfolders of ``folder`` that hold a ``file``, sorted, with the stamp of that file.

        Raises:
            InputError: the files of the folder cannot be listed.
        """
        parent = self._path(folder)
        self._file_system.invalidate_cache(parent)
        found = self._file_system.find(parent, maxdepth=2, detail=True)
        paths = ((path.rpartition("/"), info) for path, info in sorted(found.items()))
        return {holder.rpartition("/")[2]: Stamp(info["size"], 0) for (holder, _, base), info in paths if base == file}

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other writers out, where the file system can; object stores cannot."""
        yield

    def _open(self, path: str) -> BinaryIO:
        # Without a cache nothing is read ahead, so what is metered is what was read.
        return self._file_system.open(path, "rb", cache_type="none")

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _replace(self, path: str, data: bytes) -> None:
        parent, _, base = path.rpartition("/")
        # The suffix keeps writers apart, and keeps what a killed one leaves behind from being taken for the file.
        temporary = f"{parent}/.{base}.{uuid.uuid4().hex}.tmp"
        self._file_system.makedirs(parent, exist_ok=True)
        self._file_system.pipe_file(temporary, data)
        self._file_system.mv(temporary, path)


class LocalFolder(Folder):
    """A folder on this machine: what it has written survives a power cut, and 100,000 files are listed in a second."""

    lists_fast = True

    def write(self, name: str, data: bytes) -> None:
        """Writes as ``Folder.write`` does.

        Raises:
            InputError: it cannot be written, or a link leads out of the folder.
        """
        try:
            self._inside(self._path(name))
        except OSError as error:
            raise InputError(f"'{name}' in '{self.url}' cannot be written: {reason_of(error)}.") from error
        super().write(name, data)

    def remove(self, name: str) -> None:
        """Removes as ``Folder.remove`` does."""
        with suppress(OSError):
            self._inside(self._path(name.rpartition("/")[0]))  # a link itself may go, whatever it leads to
            super().remove(name)

    def names(self, folder: str) -> list[str]:
        """Lists as ``Folder.names`` does.

        Raises:
            InputError: it cannot be listed.
        """
        try:
            return sorted(os.listdir(self._path(folder)))  # noqa: PTH208 - no Path for each of many entries
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"'{folder}' in '{self.url}' cannot be listed: {reason_of(error)}.") from error

    def stamp(self, name: str, data: bytes) -> Stamp:
        """Looks at the file."""
        facts = Path(self._path(name)).stat()
        return Stamp(facts.st_size, facts.st_mtime_ns)

    def stamps(self, folder: str, file: str) -> dict[str, Stamp]:
        """Lists as ``Folder.stamps`` does, with one look at each subfolder."""
        stamps, parent = {}, self._path(folder)
        for name in self.names(folder):
            try:
                facts = os.stat(f"{parent}/{name}/{file}")  # noqa: PTH116 - no Path for each of many
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:  # as with a link to itself: who reads the file is told
                stamps[name] = Stamp(0, 0)
                continue
            stamps[name] = Stamp(facts.st_size, facts.st_mtime_ns)
        return stamps

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other writers on this file system out; a process that dies lets go.

        Raises:
            InputError: the folder cannot be written, or somebody else has held it for two minutes.
        """
        lock = FileLock(self._path(".lock"), timeout=_PATIENCE)
        try:
            lock.acquire()
        except Timeout as error:
            told = f"Another process has been writing to '{self.url}' for {_PATIENCE:.0f} s; try again."
            raise InputError(told) from error
        except OSError as error:
            raise InputError(f"'{self.url}' cannot be written: {reason_of(error)}.") from error
        try:
            yield
        finally:
            lock.release()

    def _open(self, path: str) -> BinaryIO:
        # Without waiting, as a pipe that nobody writes to would make a reader wait forever.
        handle = os.open(self._inside(path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        file = os.fdopen(handle, "rb") if stat.S_ISREG(os.fstat(handle).st_mode) else None
        if file is None:
            os.close(handle)
            raise OSError(errno.EINVAL, "it is no regular file")
        return file

    def _inside(self, path: str) -> str:
        """Follows the links of a path; they may not lead out of the folder, which others may have filled."""
        real, root = os.path.realpath(path), os.path.realpath(self._root)
        if os.path.commonpath([real, root]) != root:
            raise OSError(errno.EPERM, "it is a link that leads out of the folder")
        return real

    def _replace(self, path: str, data: bytes) -> None:
        write_atomically(Path(path), data)
        _sync_folder(Path(path).parent)


class WebFolder(Folder):
    """A folder that a plain web server shows: its files can be read by name, and nothing else."""

    lists = False

    def exists(self, name: str) -> bool:
        """Asks for the head of the file alone.

        Raises:
            InputError: the server cannot be reached, or cannot answer.
        """
        try:
            self._file_system.info(self._path(name))
        except FileNotFoundError as error:
            self._refuse_out_of_reach(error)
            return False
        return True

    def read(self, name: str, limit: int = -1) -> bytes:
        """Reads as ``Folder.read`` does.

        Raises:
            InputError: there is no such file, it cannot be read, or the server cannot be reached.
        """
        try:
            return super().read(name, limit)
        except InputError:
            raise
        except Exception as error:  # the library that asks the server has errors of its own
            raise InputError(f"'{name}' in '{self.url}' cannot be read: {reason_of(error)}.") from error

    def write(self, name: str, data: bytes) -> None:
        """Refuses.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"'{self.url}' is on a plain web server, which can only be read; "
            "change the folder that the server shows, where it lies."
        )

    def stamps(self, folder: str, file: str) -> dict[str, Stamp]:
        """Refuses.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"'{self.url}' has no sound index, and a plain web server does not list its files; "
            "run 'hatlit zoo index' on the folder that the server shows."
        )

    def _open(self, path: str) -> BinaryIO:
        try:
            return self._file_system.open(path, "rb", block_size=0)  # a stream: a server may not know of ranges
        except FileNotFoundError as error:
            self._refuse_out_of_reach(error)
            raise

    def _refuse_out_of_reach(self, error: FileNotFoundError) -> None:
        """Tells apart what fsspec does not: it says of a server that is not there that the file is not."""
        cause = error.__cause__
        status = getattr(cause, "status", None)
        if cause is None or status in _NOT_THERE:
            return
        why = f"the server answers {status} ({getattr(cause, 'message', '')})" if status else reason_of(cause)
        raise InputError(f"'{self.url}' cannot be reached: {why}.") from error


def open_folder(url: str | Path) -> Folder:
    """Returns the folder at a path or at any URL that fsspec knows; it need not exist yet.

    Raises:
        InputError: there is no file system for such a URL.
    """
    try:
        # What a listing said a moment ago may be wrong: others write too.
        file_system, root = url_to_fs(os.fspath(url), use_listings_cache=False)
    except (ValueError, ImportError, OSError) as error:
        extra = _EXTRAS.get(split_protocol(os.fspath(url))[0] or "")
        hint = f"; pip install 'hatlit[{extra}]' brings what it needs" if extra else ""
        raise InputError(f"'{url}' cannot be opened: {reason_of(error)}{hint}.") from error
    kind = _kind_of(file_system)
    return kind(str(url), file_system, root)


def _kind_of(file_system: AbstractFileSystem) -> type[Folder]:
    if isinstance(file_system, LocalFileSystem):
        return LocalFolder
    return WebFolder if "http" in file_system.protocol else Folder


def _sync_folder(path: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
