"""Fetching published data sets: continued where a transfer broke off, checked, and never half there.

A reader says beside itself where its files are published::

    DOWNLOADS.add("mine", Download(page="https://example.org", parts=(Remote(url, path, sha256, size),)))
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import re
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

from filelock import FileLock

from hatlit.datamodules.base import DATASETS
from hatlit.errors import InputError
from hatlit.files import cache_folder
from hatlit.registry import Registry

TIMEOUT = 10.0  # seconds without an answer, or without more of it
ATTEMPTS = 5  # connections that may break off
UNPACKED = 2**32  # bytes that the wanted files of an archive may have together

#: Told how many bytes have come and how many there are, which is at first a bound.
Progress = Callable[[int, int], None]

_CHUNK = 2**18  # bytes


class DownloadError(Exception):
    """Why a data set cannot be fetched, as half a sentence."""


class Part(Protocol):
    """A piece of a data set that has one address.

    Attributes:
        url: the address; what lies there never changes.
        path: the file or folder that it becomes, below the root of the published layout.
        size: bytes to transfer, at most.
    """

    @property
    def url(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def size(self) -> int: ...

    def matches(self, place: Path) -> bool:
        """Whether what lies at a place is what was published."""
        ...

    def install(self, received: Path, place: Path) -> bool:
        """Puts what came at its place, whole or not at all; False where it is not what was published."""
        ...


@dataclass(frozen=True)
class Remote:
    """A published file: a ``Part``.

    Attributes:
        url: its address.
        path: where it lies below the root of the published layout.
        sha256: of its bytes.
        size: bytes.
    """

    url: str
    path: str
    sha256: str
    size: int

    def matches(self, place: Path) -> bool:
        """Whether a file is the published one."""
        return place.is_file() and place.stat().st_size == self.size and _sha256(place) == self.sha256

    def install(self, received: Path, place: Path) -> bool:
        """Renames the file that came, if it is the published one."""
        if not self.matches(received):
            return False
        received.replace(place)
        return True


@dataclass(frozen=True)
class Archive:
    """A published .zip or .tar.gz of which some files are wanted: a ``Part``.

    What is checked are those files, for hosts pack the same files anew, and other bytes come out.

    Attributes:
        url: its address.
        path: the folder that the wanted files become, below the root of the published layout.
        inside: pattern of the folder that holds them in the archive, with its slash.
        members: pattern of the wanted files below that folder.
        count: how many they are.
        sha256: what ``digest`` makes of those that ``known`` matches.
        size: bytes of the archive, at most.
        known: pattern of the files whose content is checked; by default all. The address vouches for the others.
        text: whether line ends are left aside in the check, because copies of a text differ in them.
    """

    url: str
    path: str
    inside: str
    members: str
    count: int
    sha256: str
    size: int
    known: str = ".*"
    text: bool = False

    def matches(self, place: Path) -> bool:
        """Whether a folder holds as many wanted files as were published, with the published content."""
        return len(self._wanted(place)) == self.count and self.digest(place) == self.sha256

    def digest(self, place: Path) -> str:
        """A hash of the names and contents of the known files in a folder; the order of the files does not count."""
        digest = hashlib.sha256()
        for name, file in self._wanted(place).items():
            if re.fullmatch(self.known, name):
                digest.update(f"{name}\0{_sha256(file, self.text)}\n".encode())
        return digest.hexdigest()

    def install(self, received: Path, place: Path) -> bool:
        """Unpacks the wanted files beside their place and renames the folder, if they are the published ones."""
        folder = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
        folder.chmod(0o755)
        try:
            if not self._unpack(received, folder) or not self.matches(folder):
                return False
            folder.replace(place)
            received.unlink()
            return True
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _wanted(self, place: Path) -> dict[str, Path]:
        files = {file.relative_to(place).as_posix(): file for file in sorted(place.rglob("*")) if file.is_file()}
        return {name: file for name, file in files.items() if re.fullmatch(self.members, name)}

    def _unpack(self, received: Path, folder: Path) -> bool:
        """Writes the wanted files of an archive into a folder; False where the archive is damaged."""
        left = UNPACKED
        try:
            for name, file in _files_of(received):
                match = re.fullmatch(f"{self.inside}(?P<wanted>{self.members})", name)
                if match is None or ".." in Path(match["wanted"]).parts:
                    continue
                content = file.read(left + 1)
                left -= len(content)
                if left < 0:
                    return False
                target = folder / match["wanted"]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError):
            return False
        return True


@dataclass(frozen=True)
class Download:
    """Where a data set is published.

    Attributes:
        page: what people read about it, and where they get it by hand.
        parts: its pieces; none where no address of it lasts.
    """

    page: str
    parts: tuple[Part, ...] = ()


#: Filled by the readers, each under the name of its data set.
DOWNLOADS: Registry[Download] = Registry("download", home="hatlit.datamodules.datasets")


def fetch(name: str, modality: str, root: Path | None, progress: Progress) -> Path:
    """Fetches a data set, unless it is there already, and returns the folder to read it from.

    Args:
        name: of the data set in the registry.
        modality: what the user wants to work on.
        root: the folder that it goes into, by default one of its own in the cache.
        progress: told what has come so far.

    Raises:
        InputError: there is no such data set, it has no lasting address, the network or the disk failed, or something
            else came than was published. What has come of a broken transfer is kept, and continued the next time.
    """
    DATASETS.get(name, modality)
    if name not in DOWNLOADS.names():
        raise InputError(f"The data set '{name}' cannot be downloaded: it has no address; leave out --data.download.")
    download = DOWNLOADS.get(name)
    folder = root or cache_folder() / "data" / name
    try:
        if not download.parts:
            raise DownloadError("no address is known at which it lasts")
        fetch_parts(download.parts, folder, progress)
    except (DownloadError, OSError) as error:
        raise InputError(
            f"The data set '{name}' cannot be downloaded: {error}; "
            f"get it from {download.page} and name its folder with --data.root."
        ) from error
    return folder


def fetch_parts(parts: tuple[Part, ...], folder: Path, progress: Progress) -> None:
    """Fetches those parts that are not in a folder yet. Processes that want the same wait for one another.

    Raises:
        DownloadError: the network failed, something else came than was published, or lies in the folder.
        OSError: the folder cannot be written, or the disk is full.
    """
    for part in parts:
        if (folder / part.path).exists() and not part.matches(folder / part.path):
            raise DownloadError(f"'{folder / part.path}' is not what was published (move it away to fetch it anew)")
    missing = [part for part in parts if not (folder / part.path).exists()]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".download.lock"):
        sizes = [part.size for part in missing]
        for number, part in enumerate(missing):
            if not (folder / part.path).exists():
                _fetch(part, folder / part.path, _report(progress, sizes, number))


def _report(progress: Progress, sizes: list[int], number: int) -> Progress:
    """Makes what is told of one part into what is told of all; the size of a part is known when it begins to come."""

    def tell(done: int, size: int) -> None:
        sizes[number] = size
        progress(sum(sizes[:number]) + done, sum(sizes))

    return tell


def _fetch(part: Part, place: Path, report: Progress) -> None:
    received = place.with_name(f"{place.name}.partial")
    received.parent.mkdir(parents=True, exist_ok=True)
    if not any(_continue(part, received, report) for _ in range(ATTEMPTS)):
        raise DownloadError(f"the connection to {_host(part.url)} keeps breaking off (the same command continues)")
    if not part.install(received, place):
        received.unlink()
        raise DownloadError(f"what came from {_host(part.url)} is not what was published, and was deleted")


def _continue(part: Part, received: Path, report: Progress) -> bool:
    """Appends to a file what is still missing of it; False where the connection breaks off."""
    done = received.stat().st_size if received.exists() else 0
    if done == part.size:
        return True
    with _ask(part.url, done) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            done = 0
        size = done + response.length if response.length else part.size
        with received.open("ab" if done else "wb") as file:
            while True:
                # Only what goes wrong with the connection is caught: a full disk is no reason to try again.
                try:
                    chunk = response.read(_CHUNK)
                except (OSError, http.client.HTTPException):
                    return False
                if not chunk:
                    report(done, size if response.length else done)
                    return not response.length
                done += len(chunk)
                if done > part.size:
                    raise DownloadError(f"{_host(part.url)} sends more than was published")
                file.write(chunk)
                report(done, size)


def _ask(url: str, start: int) -> http.client.HTTPResponse:
    """Asks for a file from some byte on; a server that cannot do so sends it from the beginning."""
    headers = {"User-Agent": "hatlit", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if start and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _ask(url, 0)
        raise DownloadError(f"{_host(url)} answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{_host(url)} cannot be reached ({getattr(error, 'reason', error)})") from error
    if urlsplit(url).scheme != urlsplit(response.url).scheme:
        response.close()
        raise DownloadError(f"{_host(url)} leads to an address that is not {urlsplit(url).scheme}")
    return response


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _sha256(file: Path, text: bool = False) -> str:
    if text:
        return hashlib.sha256(file.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _files_of(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Goes through the files in an archive: their names, and their contents to read before the next is asked for."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                if not entry.is_dir():
                    with opened.open(entry) as file:
                        yield entry.filename, file
        return
    with tarfile.open(archive, "r:gz") as opened_tar:
        for member in opened_tar:
            file_of_tar = opened_tar.extractfile(member) if member.isfile() else None
            if file_of_tar is not None:
                yield member.name, file_of_tar
