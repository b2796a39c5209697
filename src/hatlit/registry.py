"""Names for the things that plug in: encoders, data sets, methods, similarities, statistics, losses.

A registry finds what is built in by importing the modules of its home package the first time somebody asks, and what is
not by reading the entry-point group of the same name. A name belongs to one modality, or to all of them.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Generic, TypeVar

from hatlit.errors import InputError, unknown_name

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One registered thing.

    Attributes:
        name: what the user types.
        modality: the modality it serves, or None where it serves every one.
        value: the object itself.
    """

    name: str
    modality: str | None
    value: T

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (self.value.__doc__ or "").strip().split("\n")[0]


class Registry(Generic[T]):
    """A table of named objects of one kind, mostly functions and classes.

    Args:
        kind: what the entries are, in the singular, as error messages say it ("encoder").
        home: the package or module whose import registers what is built in.
        group: the entry-point group from which other packages' entries are read; an entry point names a module (or
            anything in it), whose import registers.
    """

    def __init__(self, kind: str, home: str, group: str | None = None) -> None:
        self.kind = kind
        self._home = home
        self._group = group
        self._entries: dict[tuple[str | None, str], Entry[T]] = {}
        self._state = "unread"

    def register(self, name: str | None = None, modality: str | None = None) -> Callable[[T], T]:
        """Returns a decorator that enters a function or class under its own name, or the one given.

        Raises:
            InputError: another object already has that name in that modality.
        """

        def enter(value: T) -> T:
            self.add(name or _snake_case(getattr(value, "__name__", str(value))), value, modality)
            return value

        return enter

    def add(self, name: str, value: T, modality: str | None = None) -> None:
        """Enters one object under a name; see ``register``."""
        if _plugin is not None and not self._is_built_in(value):
            self._discover()  # what is built in comes first, so that a clash is the plugin's to mend
        taken = self._entries.get((modality, name))
        if taken is not None and taken.value is not value:
            where = f" of modality '{modality}'" if modality else ""
            raise InputError(
                f"The {self.kind} name '{name}'{where} is already taken by {_origin(taken.value)}; "
                f"give the one in {_origin(value)} another name."
            )
        self._entries[modality, name] = Entry(name, modality, value)

    def get(self, name: str, modality: str | None = None, also: Iterable[str] = ()) -> T:
        """Looks a name up.

        Args:
            name: as the user gave it.
            modality: that it has to serve, if any.
            also: what the user could have given besides the names that are registered.

        Raises:
            InputError: nobody registered it; the message names the nearest, and says so where another modality has it.
        """
        self._discover()
        for key in ((modality, name), (None, name)):
            if key in self._entries:
                return self._entries[key].value
        elsewhere = sorted(
            {entry.modality for entry in self._entries.values() if entry.name == name and entry.modality}
        )
        hint = f"('{name}' belongs to modality {', '.join(elsewhere)}.)" if elsewhere else ""
        kind = f"{modality} {self.kind}" if modality and self._modal() else self.kind
        raise unknown_name(kind, name, [*self.names(modality), *also], hint)

    def names(self, modality: str | None = None) -> list[str]:
        """Names in order of registration: all of them, or those that serve one modality."""
        return [entry.name for entry in self.entries(modality)]

    def entries(self, modality: str | None = None) -> list[Entry[T]]:
        """Entries in order of registration: all of them, or those that serve one modality."""
        self._discover()
        return [entry for entry in self._entries.values() if modality is None or entry.modality in (None, modality)]

    def __iter__(self) -> Iterator[Entry[T]]:
        return iter(self.entries())

    def _modal(self) -> bool:
        return any(entry.modality for entry in self._entries.values())

    def _is_built_in(self, value: T) -> bool:
        """Whether an object comes from the package of the home, whose modules a plugin may be the first to import."""
        package = self._home.partition(".")[0]
        return str(getattr(value, "__module__", "")).partition(".")[0] == package

    def _discover(self) -> None:
        if self._state != "unread":
            return
        self._state = "reading"  # what registers itself while we read may look names up
        try:
            home = importlib.import_module(self._home)
            for module in pkgutil.iter_modules(getattr(home, "__path__", [])):
                importlib.import_module(f"{self._home}.{module.name}")
            for point in entry_points(group=self._group) if self._group else ():
                _load_entry_point(point)
        except BaseException:
            self._state = "unread"
            raise
        self._state = "read"


def load_plugin(path: str | Path) -> None:
    """Imports a user's own Python file, whose decorators then register what it defines.

    Raises:
        InputError: there is no such file, or its import fails.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"There is no plugin file '{path}'; --plugin wants the path of a Python file.")
    name = f"hatlit_plugin_{re.sub(r'[^0-9a-zA-Z]', '_', str(file.resolve()))}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"The plugin '{path}' is not a Python file; its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _loading(name):
            spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        if isinstance(error, InputError):
            raise
        raise InputError(f"The plugin '{path}' could not be imported: {type(error).__name__}: {error}") from error


def _load_entry_point(point: EntryPoint) -> None:
    try:
        point.load()
    except Exception as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"The entry point '{point.name}' ({point.value}) of group '{point.group}' could not be imported: "
            f"{type(error).__name__}: {error}; mend or uninstall its package."
        ) from error


#: Name of the plugin that is being imported, if any.
_plugin: str | None = None


@contextmanager
def _loading(name: str) -> Iterator[None]:
    global _plugin
    _plugin = name
    try:
        yield
    finally:
        _plugin = None


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _origin(value: object) -> str:
    return f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', value)}"
