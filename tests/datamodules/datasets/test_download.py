from __future__ import annotations

import hashlib
import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hatlit.datamodules.base import DATASETS
from hatlit.datamodules.datasets import download
from hatlit.datamodules.datasets.download import DOWNLOADS, Archive, Download, DownloadError, Remote, fetch, fetch_parts
from hatlit.errors import InputError

CONTENT = bytes(range(256)) * 4000  # 1 MB


@dataclass
class Server:
    """A web server for one test.

    Attributes:
        address: where it listens.
        files: what it offers, by path.
        ranges: whether it can send a part of a file.
        cuts: after how many bytes it hangs up on each of the coming requests.
        moved: paths that it sends on to another address.
        asked: path and Range header of every request so far.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def remote(self, **changed: Any) -> Remote:
        """Offers a file and returns its description."""
        self.files["/file.bin"] = CONTENT
        own = Remote(f"{self.address}/file.bin", "data/file.bin", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
        return replace(own, **changed)


def answer(server: Server, request: BaseHTTPRequestHandler) -> None:
    asked = request.headers["Range"]
    server.asked.append((request.path, asked))
    if request.path in server.moved:
        request.send_response(302)
        request.send_header("Location", server.moved[request.path])
        request.end_headers()
        return
    content = server.files.get(request.path)
    if content is None:
        request.send_error(404)
        return
    start = int(re.findall(r"\d+", asked)[0]) if asked and server.ranges else 0
    if start >= len(content):
        request.send_error(416)
        return
    request.send_response(206 if start else 200)
    request.send_header("Content-Length", str(len(content) - start))
    request.end_headers()
    request.wfile.write(content[start:][: server.cuts.pop(0) if server.cuts else None])
    request.close_connection = True


class Quiet(ThreadingHTTPServer):
    """A server that does not print into other tests that a client has gone."""

    def handle_error(self, *arguments: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(server, self)

        def log_message(self, *arguments: Any) -> None:
            pass

    listening = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.address = f"http://127.0.0.1:{listening.server_address[1]}"
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Returns a function that declares parts for the data set spar, for one test."""

    def give(*parts: Any) -> None:
        own = Download("https://example.org/spar", parts)
        monkeypatch.setattr(DOWNLOADS, "get", lambda name: own)

    return give


def ignore(done: int, total: int) -> None:
    pass


def test_fetches_a_file_and_says_how_far_it_is(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fetch_parts((server.remote(),), tmp_path, lambda done, total: seen.append((done, total)))
    assert (tmp_path / "data" / "file.bin").read_bytes() == CONTENT
    assert seen == sorted(seen)
    assert seen[0][0] < seen[-1][0] == len(CONTENT)
    assert {total for _, total in seen} == {len(CONTENT)}
    assert not list(tmp_path.rglob("*.partial"))


def test_what_is_there_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    first, second = server.remote(), server.remote(path="other.bin")
    fetch_parts((first,), tmp_path, ignore)
    fetch_parts((first, second), tmp_path, ignore)
    fetch_parts((first, second), tmp_path, ignore)
    assert len(server.asked) == 2


def test_continues_a_transfer_that_broke_off(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file.bin.partial").write_bytes(CONTENT[:700_000])
    fetch_parts((server.remote(),), tmp_path, ignore)
    assert server.asked == [("/file.bin", "bytes=700000-")]
    assert (tmp_path / "data" / "file.bin").read_bytes() == CONTENT


def test_begins_anew_where_the_server_cannot_continue(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file.bin.partial").write_bytes(b"something else")
    fetch_parts((server.remote(),), tmp_path, ignore)
    assert (tmp_path / "data" / "file.bin").read_bytes() == CONTENT


def test_begins_anew_where_more_is_there_than_was_published(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file.bin.partial").write_bytes(CONTENT + b"more")
    fetch_parts((server.remote(),), tmp_path, ignore)
    assert (tmp_path / "data" / "file.bin").read_bytes() == CONTENT


def test_reconnects_when_the_connection_breaks(server: Server, tmp_path: Path) -> None:
    server.cuts = [300_000, 0, 300_000]
    fetch_parts((server.remote(),), tmp_path, ignore)
    assert [asked for _, asked in server.asked] == [None, "bytes=300000-", "bytes=300000-", "bytes=600000-"]
    assert (tmp_path / "data" / "file.bin").read_bytes() == CONTENT


def test_keeps_what_came_when_it_gives_up(server: Server, tmp_path: Path) -> None:
    remote = server.remote()
    server.cuts = [1000] * download.ATTEMPTS
    with pytest.raises(DownloadError, match="keeps breaking off"):
        fetch_parts((remote,), tmp_path, ignore)
    assert (tmp_path / "data" / "file.bin.partial").stat().st_size == 1000 * download.ATTEMPTS
    assert not (tmp_path / "data" / "file.bin").exists()
    fetch_parts((remote,), tmp_path, ignore)
    assert (tmp_path / "data" / "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("changed", [{"sha256": "0" * 64}, {"size": len(CONTENT) + 1}])
def test_deletes_what_is_not_what_was_published(server: Server, tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(DownloadError, match="not what was published"):
        fetch_parts((server.remote(**changed),), tmp_path, ignore)
    assert not list((tmp_path / "data").iterdir())


def test_stops_a_server_that_sends_more_than_was_published(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="sends more"):
        fetch_parts((server.remote(size=1000),), tmp_path, ignore)
    assert not (tmp_path / "data" / "file.bin").exists()


def test_another_file_in_its_place_is_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file.bin").write_bytes(b"mine")
    with pytest.raises(DownloadError, match="move it away"):
        fetch_parts((server.remote(),), tmp_path, ignore)
    assert (tmp_path / "data" / "file.bin").read_bytes() == b"mine"
    assert not server.asked


def test_two_at_once_fetch_once(server: Server, tmp_path: Path) -> None:
    remote = server.remote()
    threads = [threading.Thread(target=fetch_parts, args=((remote,), tmp_path, ignore)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 1
    assert (tmp_path / "data" / "file.bin").read_bytes() == CONTENT


FILES = {
    "top-1/words/one/a.txt": b"first\nline\n",
    "top-1/words/two/b.txt": b"second\n",
    "top-1/words/two/note.md": b"unwanted",
    "top-1/readme.txt": b"unwanted",
    "top-1/words/../c.txt": b"unwanted",
    "/top-1/words/d.txt": b"unwanted",
}


def tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("top-1/words/one/link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return stream.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("top-1/words/", "")
        for name, content in reversed(files.items()):
            archive.writestr(name, content)
    return stream.getvalue()


def archive(server: Server, content: bytes, **changed: Any) -> Archive:
    """Offers an archive and describes it by the files in ``FILES`` that are wanted."""
    server.files["/words"] = content
    names = "one/a.txt", "two/b.txt"
    lines = [f"{name}\0{hashlib.sha256(FILES[f'top-1/words/{name}']).hexdigest()}\n" for name in names]
    own = Archive(
        url=f"{server.address}/words",
        path="published/words",
        inside="[^/]+/words/",
        members=r".*\.txt",
        count=2,
        sha256=hashlib.sha256("".join(lines).encode()).hexdigest(),
        size=10_000,
    )
    return replace(own, **changed)


@pytest.mark.parametrize("pack", [tar, zipped])
def test_takes_the_wanted_files_out_of_an_archive(
    server: Server, tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    part = archive(server, pack(FILES))
    fetch_parts((part,), tmp_path / "in", ignore)
    there = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
    assert there - {"in/.download.lock"} == {"in/published/words/one/a.txt", "in/published/words/two/b.txt"}
    assert part.matches(tmp_path / "in" / "published" / "words")


def test_a_file_less_or_more_or_changed_is_noticed(server: Server, tmp_path: Path) -> None:
    name = "top-1/words/two/b.txt"
    less = {key: content for key, content in FILES.items() if key != name}
    for wrong in (less, FILES | {name: b"sekond\n"}, FILES | {"top-1/words/e.txt": b""}):
        with pytest.raises(DownloadError, match="not what was published"):
            fetch_parts((archive(server, tar(wrong)),), tmp_path, ignore)
        assert not list((tmp_path / "published").iterdir())


def test_only_known_files_are_hashed_but_all_are_counted(server: Server, tmp_path: Path) -> None:
    more = FILES | {"top-1/words/e.txt": b"unknown"}
    fetch_parts((archive(server, tar(more), count=3, known="(?:one|two)/.*"),), tmp_path, ignore)
    assert (tmp_path / "published" / "words" / "e.txt").read_bytes() == b"unknown"


def test_line_ends_of_a_text_may_differ(server: Server, tmp_path: Path) -> None:
    windows = tar({name: content.replace(b"\n", b"\r\n") for name, content in FILES.items()})
    with pytest.raises(DownloadError, match="not what was published"):
        fetch_parts((archive(server, windows),), tmp_path, ignore)
    fetch_parts((archive(server, windows, text=True),), tmp_path, ignore)


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize("damage", ["cut", "flipped", "other"])
def test_a_damaged_archive_is_deleted(
    server: Server, tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes], damage: str
) -> None:
    whole = pack(FILES)
    half = len(whole) // 2
    content = {"cut": whole[:half], "flipped": whole[:40] + bytes(40) + whole[80:], "other": b"<html>"}[damage]
    with pytest.raises(DownloadError, match="not what was published"):
        fetch_parts((archive(server, content),), tmp_path, ignore)
    assert not list((tmp_path / "published").iterdir())


def test_what_an_archive_unpacks_to_is_bounded(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "UNPACKED", 1000)
    bomb = tar(FILES | {"top-1/words/e.txt": bytes(10**6)})
    with pytest.raises(DownloadError, match="not what was published"):
        fetch_parts((archive(server, bomb),), tmp_path, ignore)


def test_fetch_returns_the_folder_to_read_from(
    server: Server, tmp_path: Path, declare: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(server.remote())
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
    assert fetch("spar", "imu", None, ignore) == tmp_path / "cache" / "data" / "spar"
    assert fetch("spar", "imu", tmp_path / "own", ignore) == tmp_path / "own"
    for folder in (tmp_path / "cache" / "data" / "spar", tmp_path / "own"):
        assert (folder / "data" / "file.bin").read_bytes() == CONTENT


AFTERWARDS = r"; get it from https://example\.org/spar and name its folder with --data\.root\.$"


def test_says_what_the_server_answered(server: Server, tmp_path: Path, declare: Callable[..., None]) -> None:
    declare(server.remote(url=f"{server.address}/absent"))
    with pytest.raises(InputError, match=r"'spar' cannot be downloaded: 127\.0\.0\.1:\d+ answered 404 .*" + AFTERWARDS):
        fetch("spar", "imu", tmp_path, ignore)


def test_says_that_there_is_no_connection(tmp_path: Path, declare: Callable[..., None]) -> None:
    with serving() as gone:
        remote = gone.remote()
    declare(remote)
    with pytest.raises(InputError, match=r"cannot be reached .*refused.*" + AFTERWARDS):
        fetch("spar", "imu", tmp_path, ignore)


def test_a_server_that_says_nothing_is_given_up(
    tmp_path: Path, declare: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
    release = threading.Event()
    with serving() as slow:
        slow.remote()

        class Waiting(dict[str, bytes]):
            def get(self, *arguments: Any) -> None:
                release.wait(5)

        declare(slow.remote())
        slow.files = Waiting()
        with pytest.raises(InputError, match=r"cannot be reached .*timed out"):
            fetch("spar", "imu", tmp_path, ignore)
        release.set()


def test_does_not_leave_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(io.BytesIO):
        url = "http://example.org/file.bin"

    monkeypatch.setattr("urllib.request.urlopen", lambda *arguments, **named: Elsewhere())
    with pytest.raises(DownloadError, match=r"example\.org leads to an address that is not https"):
        fetch_parts((Remote("https://example.org/file.bin", "file.bin", "0" * 64, 1),), tmp_path, ignore)


def test_follows_a_server_that_sends_it_on(server: Server, tmp_path: Path) -> None:
    server.moved["/moved"] = "/file.bin"
    fetch_parts((server.remote(url=f"{server.address}/moved"),), tmp_path, ignore)
    assert (tmp_path / "data" / "file.bin").read_bytes() == CONTENT


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_says_that_the_disk_is_full(server: Server, tmp_path: Path, declare: Callable[..., None]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file.bin.partial").symlink_to("/dev/full")
    declare(server.remote())
    with pytest.raises(InputError, match="No space left on device"):
        fetch("spar", "imu", tmp_path, ignore)


def test_says_that_the_folder_is_none(server: Server, tmp_path: Path, declare: Callable[..., None]) -> None:
    (tmp_path / "file").write_text("mine")
    declare(server.remote())
    with pytest.raises(InputError, match="cannot be downloaded"):
        fetch("spar", "imu", tmp_path / "file" / "below", ignore)


def test_refuses_what_has_no_address(tmp_path: Path, declare: Callable[..., None]) -> None:
    with pytest.raises(InputError, match="did you mean spar"):
        fetch("spor", "imu", tmp_path, ignore)
    with pytest.raises(InputError, match=r"'demo' cannot be downloaded: .* leave out --data\.download"):
        fetch("demo", "imu", tmp_path, ignore)
    declare()
    with pytest.raises(InputError, match="no address is known at which it lasts" + AFTERWARDS):
        fetch("spar", "imu", tmp_path, ignore)


def declared() -> list[Any]:
    return [pytest.param(part, id=f"{entry.name}-{part.path}") for entry in DOWNLOADS for part in entry.value.parts]


@pytest.mark.parametrize("part", declared())
def test_declared_parts_are_bound_to_https_a_place_and_a_hash(part: Remote | Archive) -> None:
    assert part.url.startswith("https://")
    assert not Path(part.path).is_absolute()
    assert ".." not in Path(part.path).parts
    assert re.fullmatch("[0-9a-f]{64}", part.sha256)
    assert part.size > 0
    if isinstance(part, Archive):
        re.compile(f"{part.inside}(?P<wanted>{part.members})|{part.known}")


@pytest.mark.parametrize("name", DOWNLOADS.names())
def test_declared_sets_say_where_they_come_from(name: str) -> None:
    readers = [entry.value for entry in DATASETS if entry.name == name]
    assert readers
    for reader in readers:
        for line in ("Licence:", "Citation:", "Source: https://"):
            assert f"\n    {line}" in (reader.__doc__ or "")


#: Where the files that a declaration describes lie among the real data.
REAL = {
    "spar": "imu/spar-seglearn",
    "hmp": "imu/hmp-adl",
    "uwb": "radar/uwb-clusterfl",
    "mtranssee": "radar/mtranssee",
    "fsdd": "audio/fsdd",
    "mdsd": "text/mdsd",
    "utd_mhad": "multimodal",
    "digits5": "image/digits5",
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", DOWNLOADS.names())
def test_declared_hashes_are_those_of_the_real_files(name: str, real_data_root: Path) -> None:
    folder = real_data_root / "raw" / REAL[name]
    for part in DOWNLOADS.get(name).parts:
        if isinstance(part, Archive):
            assert part.digest(folder / part.path) == part.sha256
        elif isinstance(part, Remote) and (folder / part.path).exists() and part.path != "semeion.data":
            assert part.matches(folder / part.path)


@pytest.mark.real_data
def test_semeion_differs_from_the_real_copy_by_a_blank_at_the_end_of_each_line(real_data_root: Path) -> None:
    copy = (real_data_root / "raw" / "image" / "digits5" / "semeion.data").read_bytes().replace(b"\r\n", b" \r\n")
    published = next(part for part in DOWNLOADS.get("digits5").parts if part.path == "semeion.data")
    assert isinstance(published, Remote)
    assert (len(copy), hashlib.sha256(copy).hexdigest()) == (published.size, published.sha256)
