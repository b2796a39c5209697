"""What the user did wrong, said in one sentence; everything else is a fault of ours and keeps its traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input. The message is one sentence: what was wrong, where, and what to do. The command line exits with 2."""


class Terminated(BaseException):
    """Somebody asked the process to end, with SIGTERM. Like Ctrl-C it is no error. The command line exits with 143."""


def reason_of(error: BaseException) -> str:
    """What went wrong, as it may stand in a sentence: its first line; of an OSError without number and path."""
    return (getattr(error, "strerror", None) or str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def on_one_line(text: str, limit: int = 300) -> str:
    """Words of a stranger as they may stand in a sentence: short, on one line, and nothing that steers a terminal."""
    return printable(" ".join(text.split()), limit).rstrip(". ")


def printable(text: str, limit: int) -> str:
    """Text without what steers a terminal, and no longer than so many signs."""
    text = "".join(sign if sign.isprintable() else "?" for sign in text[: limit + 1])
    return f"{text[:limit]}..." if len(text) > limit else text


def nearest(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Returns the known names closest to a mistyped one, best first."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    return [by_lower[match] for match in difflib.get_close_matches(name.lower(), list(by_lower), limit, cutoff=0.5)]


def unknown_name(kind: str, name: str, known: Iterable[str], hint: str = "", where: str = "") -> InputError:
    """Builds the error for a name that nobody registered, with the nearest names, or all of them when none is near.

    Args:
        kind: what was looked for, in the singular.
        name: as the user gave it.
        known: all names that there are.
        hint: a sentence that follows.
        where: it was looked for, such as "of data set 'spar'".
    """
    names = sorted(set(known))
    close = nearest(name, names)
    answer = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names) or 'none'}."
    place = f" {where}" if where else ""
    return InputError(f"Unknown {kind} '{name}'{place}: {answer}{' ' + hint if hint else ''}")


def missing_library(library: str, extra: str) -> InputError:
    """Builds the error for a library that is not installed, naming the extra of hatlit that brings it."""
    return InputError(f"The library '{library}' is not installed; pip install 'hatlit[{extra}]' brings it.")
