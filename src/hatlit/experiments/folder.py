"""The folder of one run: named by its options, never half-written, marked when done."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from hatlit.config import ExpandConfig, TrainConfig
from hatlit.errors import InputError, reason_of
from hatlit.files import write_atomically
from hatlit.methods.base import METHODS

#: Options that do not change the result, and so not the name of the run either.
WITHOUT_EFFECT = ("out", "wandb", "wandb_group", "jobs", "checkpoint_seconds", "map_above", "num_nodes")

#: Of an expansion neither do these: further rounds add to what there is.
WITHOUT_EFFECT_ON_ROUNDS = (*WITHOUT_EFFECT, "rounds", "skip_failed", "executor", "ray")


class RunFolder:
    """Where one run keeps what it writes.

    Args:
        path: the folder; made when the first file is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, config: TrainConfig, target: str, made_of: Sequence[str]) -> RunFolder:
        """The folder of a run, below ``config.out``; other options or other inputs make it another folder.

        Args:
            config: the options.
            target: name of the target.
            made_of: hashes of what else the result depends on: labels, data or zoo, code.
        """
        digest = _digest(config, target, made_of, WITHOUT_EFFECT)
        safe = re.sub(r"[^\w.-]+", "-", target[:64])
        return cls(Path(config.out) / f"{config.method}-{config.data.name}-{safe}-seed{config.seed}-{digest}")

    @classmethod
    def of_expansion(cls, config: ExpandConfig, made_of: Sequence[str]) -> RunFolder:
        """The folder of an expansion, below ``config.out``; how many rounds it has makes no difference.

        Args:
            config: the options.
            made_of: hashes of what else the result depends on: data, zoo, code.
        """
        digest = _digest(config, "", made_of, WITHOUT_EFFECT_ON_ROUNDS)
        return cls(Path(config.out) / f"expand-{config.method}-{config.data.name}-seed{config.seed}-{digest}")

    @property
    def is_done(self) -> bool:
        """Whether the run came to its end."""
        return (self.path / "done").is_file()

    @property
    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint of an interrupted run."""
        path = self.path / "checkpoints" / "last.ckpt"
        return path if path.is_file() else None

    @contextmanager
    def alone(self, say: Callable[[str], None]) -> Iterator[None]:
        """Keeps other processes out of the folder; says so where another one has to be waited for.

        Raises:
            InputError: the folder cannot be written.
        """
        lock = FileLock(self.path / ".lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            say(f"Another process is at work on {self.path}; waiting for it")
            lock.acquire()
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            lock.release()

    def start(self, config: TrainConfig | ExpandConfig) -> None:
        """Makes the folder and writes down every option.

        Raises:
            InputError: the folder cannot be written.
        """
        try:
            self.write("config.yaml", yaml.safe_dump(asdict(config), sort_keys=False))
        except OSError as error:
            raise self._unwritable(error) from error

    def finish(self) -> None:
        """Marks the run as done."""
        self.write("done", "")

    def write(self, name: str, content: str | bytes) -> None:
        """Writes one file of the folder, whole or not at all."""
        write_atomically(self.path / name, content)

    def write_json(self, name: str, content: object) -> None:
        """Writes one JSON file of the folder."""
        self.write(name, json.dumps(content, indent=2) + "\n")

    def read_json(self, name: str) -> dict[str, object]:
        """Reads one JSON file of the folder."""
        content = json.loads((self.path / name).read_text())
        assert isinstance(content, dict)
        return content

    def epochs(self) -> list[dict[str, float]]:
        """The rows of ``metrics.csv``; none where nothing was trained."""
        try:
            lines = (self.path / "metrics.csv").read_text().splitlines()
        except OSError:
            return []
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(f"The run folder '{self.path}' cannot be written ({reason_of(error)}); choose another --out.")


def _digest(config: TrainConfig | ExpandConfig, target: str, made_of: Sequence[str], without: Sequence[str]) -> str:
    unread = {*without, *METHODS.get(config.method).unread_options}
    options = {key: value for key, value in asdict(config).items() if key not in unread}
    for part in ("trainer", "cache"):
        options[part] = {key: value for key, value in options[part].items() if key not in without}
    known_by = json.dumps([options, target, list(made_of)], sort_keys=True)
    return hashlib.sha256(known_by.encode()).hexdigest()[:8]
