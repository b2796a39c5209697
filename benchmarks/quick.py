"""What ``--fast`` means to every benchmark that has it: other values for the options of which nobody says anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from hatlit.options import parse


class MayBeFast(Protocol):
    """Options among which is ``--fast``."""

    fast: bool


C = TypeVar("C", bound=MayBeFast)


def parse_fast(kind: type[C], command: str, description: str, words: Sequence[str], fast: Mapping[str, Any]) -> C:
    """Reads the options of a benchmark as ``parse`` does; where ``--fast`` is said, others are the defaults.

    Args:
        kind: dataclass of the options.
        command: name of the benchmark.
        description: one line for the help.
        words: the command line.
        fast: by option, what is the default then.

    Raises:
        InputError: an option is unknown, of the wrong type, or contradicts another one.
    """
    config = parse(kind, command, description, words)
    if not config.fast:
        return config
    # As the first file of options, behind which the user's own files and words come.
    return parse(kind, command, description, ["--config", json.dumps(fast), *words])
