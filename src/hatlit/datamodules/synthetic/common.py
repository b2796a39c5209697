"""What the simulated fleets share."""

from __future__ import annotations

from pathlib import Path

from hatlit.errors import InputError


def refuse_root(root: Path | None) -> None:
    """A simulated data set reads nothing.

    Raises:
        InputError: a root was given.
    """
    if root is not None:
        raise InputError(
            f"The demo data set is simulated and reads no files; leave out --data.root, or name the data set that lies "
            f"in '{root}' with --data.name."
        )
