"""What commands have in common: words in front of the options, and plugins."""

from __future__ import annotations

from collections.abc import Sequence

from hatlit.errors import InputError

HELP = ("-h", "--help")


def folder_of(words: list[str], command: str, exactly: int = 0, what: str = "DIR") -> tuple[str, list[str]]:
    """Takes a folder off the front of a command line; returns it and the rest.

    Args:
        words: the command line behind the command.
        command: as the user types it.
        exactly: how many words there must be, 0 where options may follow.
        what: the folder is, for the message.

    Raises:
        InputError: there is none, or there is more than there should be.
        SystemExit: the user has asked how to use it, and was told.
    """
    what = "DIR ID" if exactly == 2 else what
    if words and words[0] in HELP and exactly:
        print(f"usage: hatlit {command} {what}")
        raise SystemExit(0)
    if words and words[0] in HELP:
        return "", words
    if not words or words[0].startswith("-") or (exactly and len(words) != exactly):
        raise InputError(f"'hatlit {command}' wants {what}, not: {' '.join(words) or 'nothing'}.")
    return words[0], words[1:]


def load_plugins(plugins: Sequence[str]) -> None:
    """Runs Python files of the user, so that what they register is known."""
    from hatlit.registry import load_plugin

    for path in plugins:
        load_plugin(path)
