"""What lies in the cache, and what may go."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hatlit.config import PruneConfig
from hatlit.errors import InputError
from hatlit.experiments.display import Display, human_bytes
from hatlit.files import cache_folder

#: What each kind is; a folder of the cache that is none of them is counted as other.
KINDS = {
    "zoos": "sources that were trained where no --zoo was given",
    "outputs": "what frozen sources say about training samples",
    "adapted": "sources that were fine-tuned on the labelled few",
    "data": "data sets that were downloaded",
    "other": "not hatlit's own",
}


@dataclass(frozen=True)
class Entry:
    """One thing in the cache, which is there as a whole or not at all.

    Attributes:
        kind: one of ``KINDS``.
        path: its file or folder.
        size: bytes of all its files.
        used: when it was last read or written, in seconds since 1970.
    """

    kind: str
    path: Path
    size: int
    used: float


def entries() -> list[Entry]:
    """Everything in the cache, least recently used first."""
    root = cache_folder()
    found = []
    for top in root.iterdir() if root.is_dir() else ():
        known = top.name in KINDS and top.is_dir()
        for path in top.iterdir() if known else [top]:
            with contextlib.suppress(FileNotFoundError):  # another process has just finished with it
                found.append(_entry(top.name if known else "other", path))
    return sorted(found, key=lambda entry: entry.used)


def list_cache(display: Display) -> None:
    """Shows how much of each kind there is."""
    found = entries()
    display.say(f"{cache_folder()}: {human_bytes(sum(entry.size for entry in found))}")
    rows = []
    for kind, meaning in KINDS.items():
        several = [entry for entry in found if entry.kind == kind]
        if several:
            rows.append(
                {
                    "kind": kind,
                    "what it is": meaning,
                    "entries": str(len(several)),
                    "size": human_bytes(sum(entry.size for entry in several)),
                    "last used": f"{datetime.fromtimestamp(several[-1].used):%Y-%m-%d %H:%M}",
                }
            )
    if rows:
        display.table("cache", rows)


def prune(config: PruneConfig, display: Display) -> None:
    """Removes what the options let go, and says how much that was. What else lies in the folder is left alone.

    Raises:
        InputError: something cannot be removed.
    """
    found = [entry for entry in entries() if entry.kind in config.kinds]
    going = _going(found, config, time.time())
    for entry in going:
        try:
            shutil.rmtree(entry.path) if entry.path.is_dir() else entry.path.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"'{entry.path}' cannot be removed ({error.strerror}).") from error
    freed, all_bytes = (sum(entry.size for entry in several) for several in (going, found))
    display.say(
        f"removed {len(going)} of {len(found)} entries ({', '.join(config.kinds)}): {human_bytes(freed)}; "
        f"{human_bytes(all_bytes - freed)} stay"
    )


def _going(found: Sequence[Entry], config: PruneConfig, now: float) -> list[Entry]:
    """The entries that go, of those found, which come least recently used first."""
    oldest = now - 86_400 * config.older_than if config.older_than is not None else 0.0
    size = sum(entry.size for entry in found)
    going = []
    for entry in found:
        if entry.used < oldest or (config.keep_bytes is not None and size > config.keep_bytes):
            going.append(entry)
            size -= entry.size
    return going


def _entry(kind: str, path: Path) -> Entry:
    """Sums up a file or folder; reading a folder to sum it up is no use of it."""
    files = [path] if path.is_symlink() or not path.is_dir() else [one for one in path.rglob("*") if one.is_file()]
    states = [file.lstat() for file in files or [path]]
    used = max(max(state.st_mtime, state.st_atime) for state in states)
    return Entry(kind, path, sum(state.st_size for state in states if files), used)
