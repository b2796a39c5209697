"""What several readers share: finding a file under the root, cutting recordings, parting rows into domains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hatlit.datamodules.base import Domain
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError


def find(root: Path | None, published: str, data_set: str) -> Path:
    """Finds a published file or folder from any of the places that a user may call the root of a data set.

    Args:
        root: what the user gave: the file or folder itself, or any folder above it in the published layout.
        published: its path in the published layout, parts joined by ``/``.
        data_set: name of the data set, for the message.

    Raises:
        InputError: no root was given, or it does not hold the file.
    """
    if root is None:
        raise InputError(
            f"The data set '{data_set}' reads files; give the folder that holds {published} with --data.root."
        )
    parts = Path(published).parts
    candidates = [root.joinpath(*parts[skipped:]) for skipped in range(len(parts))]
    if root.name == parts[-1]:
        candidates.append(root)
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise InputError(
        f"There is no {published} of data set '{data_set}' under '{root}'; give its folder with --data.root."
    )


def cut(recording: np.ndarray, length: int) -> np.ndarray:
    """Cuts a recording (time, channels) into windows side by side (N, channels, length), leaving out the rest."""
    whole = len(recording) // length
    return recording[: whole * length].reshape(whole, length, recording.shape[1]).transpose(0, 2, 1)


def part(
    samples: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    domain: np.ndarray,
    domain_names: Sequence[str],
    class_names: Sequence[str],
    recorded: InputSpec,
) -> tuple[Domain, ...]:
    """Parts the rows of a whole data set into domains, in the order of their names; a name without rows is left out.

    Args:
        samples: (N, channels, *shape) as recorded.
        labels: (N,) class numbers.
        groups: (N,) numbers of the recordings.
        domain: (N,) numbers into ``domain_names``.
        domain_names: names of the domains.
        class_names: names of the classes.
        recorded: how the samples are laid out.
    """
    rows = {name: np.flatnonzero(domain == number) for number, name in enumerate(domain_names)}
    return tuple(
        Domain(
            name=name,
            samples=samples[own],
            labels=labels[own].astype(np.int64),
            groups=groups[own].astype(np.int64),
            recorded=recorded,
            class_names=tuple(class_names),
        )
        for name, own in rows.items()
        if len(own)
    )
