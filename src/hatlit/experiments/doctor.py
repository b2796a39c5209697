"""What ``hatlit doctor`` does: says what is installed, what computes, what the cache holds, and what is missing."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from packaging.requirements import Requirement

from hatlit.config import DoctorConfig
from hatlit.errors import InputError
from hatlit.experiments.cache import KINDS, entries
from hatlit.experiments.display import Display, counted, human_bytes
from hatlit.files import as_json, cache_folder, write_atomically

#: Extras for people who work on hatlit, and the one that stands for all others.
NOT_SHOWN = ("all", "bench", "docs", "dev")

#: What a distribution is imported as, where that is not its own name.
MODULES = {"pillow": "PIL", "pyyaml": "yaml"}


@dataclass(frozen=True)
class Library:
    """One library that hatlit needs, or can use.

    Attributes:
        name: of the distribution.
        extra: of hatlit that brings it; empty where hatlit always does.
        wanted: versions that will do.
        version: that is installed; None where none is.
        fault: why it is of no use; empty where it is sound.
    """

    name: str
    extra: str
    wanted: str
    version: str | None
    fault: str


def doctor(config: DoctorConfig, display: Display) -> dict[str, Any]:
    """Shows the state of the installation, and writes it to a file where the options say so.

    Raises:
        InputError: the file cannot be written.
    """
    found = examine()
    display.say(f"hatlit {found['hatlit']}, Python {found['python']}, {found['platform']}")
    display.table("libraries", [_library_row(one) for one in found["libraries"]])
    display.table("devices", [{"device": one["name"], "what it is": one["about"]} for one in found["devices"]])
    cache = found["cache"]
    kinds = ", ".join(f"{kind} {human_bytes(size)}" for kind, size in cache["bytes"].items()) or "empty"
    display.say(f"cache: {cache['folder']} ({kinds}{'' if cache['writable'] else '; it cannot be written'})")
    for remedy in found["remedies"]:
        display.say(remedy)
    if not found["remedies"]:
        display.say("nothing is missing")
    if config.json:
        try:
            write_atomically(Path(config.json), as_json(found))
        except OSError as error:
            raise InputError(f"'{config.json}' cannot be written ({error.strerror}); choose another --json.") from error
    return found


def examine() -> dict[str, Any]:
    """The state of the installation, as plain values."""
    libraries = list(_libraries())
    return {
        "hatlit": importlib.metadata.version("hatlit"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": [asdict(library) for library in libraries],
        "devices": list(_devices()),
        "cache": _cache(),
        "remedies": _remedies(libraries),
    }


def _libraries() -> Iterator[Library]:
    """What the installed hatlit says that it needs, each with and without its extras."""
    for text in importlib.metadata.requires("hatlit") or []:
        requirement = Requirement(text)
        extra = re.search(r"extra == ['\"](.+?)['\"]", str(requirement.marker or ""))
        name = extra[1] if extra else ""
        if name not in NOT_SHOWN:
            yield _examined(requirement, name)


def _examined(requirement: Requirement, extra: str) -> Library:
    name, wanted = requirement.name, str(requirement.specifier)
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Library(name, extra, wanted, None, "not installed")
    return Library(name, extra, wanted, version, _fault(requirement, version))


def _fault(requirement: Requirement, version: str) -> str:
    if not requirement.specifier.contains(version, prereleases=True):
        return f"hatlit wants {requirement.specifier}"
    try:
        importlib.import_module(MODULES.get(requirement.name, requirement.name.replace("-", "_")))
    except Exception as error:  # a library built for another torch fails in ways of its own
        why = str(error).strip().splitlines()
        return f"cannot be imported: {why[0] if why else type(error).__name__}"
    return ""


def _remedies(libraries: list[Library]) -> list[str]:
    """What to do, a sentence an extra."""
    sick: dict[str, list[str]] = {}
    for one in libraries:
        if one.fault:
            sick.setdefault(one.extra, []).append(f"{one.name} ({one.fault})")
    return [
        f"{'extra ' + extra if extra else 'hatlit itself'} lacks {', '.join(names)}: "
        f"pip install '{f'hatlit[{extra}]' if extra else 'hatlit'}' brings what is missing"
        for extra, names in sick.items()
    ]


def _devices() -> Iterator[dict[str, str]]:
    cores, threads = counted(os.cpu_count() or 1, "core"), counted(torch.get_num_threads(), "thread")
    yield {"name": "cpu", "about": f"{cores}, {threads} in use"}
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        yield {"name": f"cuda:{number}", "about": f"{about.name}, {human_bytes(about.total_memory)}"}
    if torch.backends.mps.is_available():
        yield {"name": "mps", "about": "Apple GPU"}


def _cache() -> dict[str, Any]:
    found, folder = entries(), cache_folder()
    sizes = {kind: sum(entry.size for entry in found if entry.kind == kind) for kind in KINDS}
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    return {
        "folder": str(folder),
        "writable": os.access(there, os.W_OK),
        "bytes": {kind: size for kind, size in sizes.items() if size},
    }


def _library_row(library: dict[str, Any]) -> dict[str, str]:
    return {
        "library": library["name"],
        "extra": library["extra"] or "-",
        "wanted": library["wanted"] or "any",
        "installed": library["version"] or "-",
        "state": library["fault"] or "sound",
    }
