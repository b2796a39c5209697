"""The folder of one run: named by its options, never half-written, marked when done."""

from __future__ import annotations

import csv
import glob
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from hatlit.config import ExpandConfig, TrainConfig
from hatlit.errors import InputError, reason_of
from hatlit.files import as_json, write_atomically
from hatlit.methods.base import METHODS

#: Options that do not change the result, and so not the name of the run either.
WITHOUT_EFFECT = ("out", "wandb", "wandb_group", "jobs", "checkpoint_seconds", "map_above", "num_nodes")

#: Of an expansion neither do these: further rounds add to what there is.
WITHOUT_EFFECT_ON_ROUNDS = (*WITHOUT_EFFECT, "rounds", "skip_failed", "executor", "ray")


#: Keeps what the name of a folder is a hash of.
KNOWN_BY = "known_by.json"


class RunFolder:
    """Where one run keeps what it writes.

    Args:
        path: the folder; made when the first file is written.
        known_by: what its name is a hash of.
    """

    def __init__(self, path: Path, known_by: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self._known_by = known_by

    @classmethod
    def of(cls, config: TrainConfig, target: str, made_of: Mapping[str, str]) -> RunFolder:
        """The folder of a run, below ``config.out``; other options or other inputs make it another folder.

        Args:
            config: the options.
            target: name of the target.
            made_of: hashes, by name, of what else the result depends on: labels, data or zoo, code.
        """
        safe = re.sub(r"[^\w.-]+", "-", target[:64])
        name = f"{config.method}-{config.data.name}-{safe}-seed{config.seed}"
        return cls._named(name, config, target, made_of, WITHOUT_EFFECT)

    @classmethod
    def of_expansion(cls, config: ExpandConfig, made_of: Mapping[str, str]) -> RunFolder:
        """The folder of an expansion, below ``config.out``; how many rounds it has makes no difference.

        Args:
            config: the options.
            made_of: hashes, by name, of what else the result depends on: data, zoo, code.
        """
        name = f"expand-{config.method}-{config.data.name}-seed{config.seed}"
        return cls._named(name, config, "", made_of, WITHOUT_EFFECT_ON_ROUNDS)

    @classmethod
    def _named(
        cls,
        name: str,
        config: TrainConfig | ExpandConfig,
        target: str,
        made_of: Mapping[str, str],
        without: Sequence[str],
    ) -> RunFolder:
        options = _options(config, without)
        digest = hashlib.sha256(json.dumps([options, target, list(made_of.values())], sort_keys=True).encode())
        known_by = {**dict(_flat(options)), **{what: known[:12] for what, known in made_of.items()}}
        return cls(Path(config.out) / f"{name}-{digest.hexdigest()[:8]}", known_by)

    def interrupted_otherwise(self) -> Iterator[tuple[Path, list[str]]]:
        """Finds interrupted runs that differ from this one in more than name, target and seed, and says in what.

        Yields:
            The folder of each, and what is different: options with their value there and here, and what else a run
            is made of.
        """
        assert self._known_by is not None, "a folder that was only opened"
        beside = self.path.name.rpartition("-")[0]
        for path in sorted(self.path.parent.glob(f"{glob.escape(beside)}-????????")):
            other = RunFolder(path)
            if path == self.path or other.is_done or other._is_at_work():
                continue
            with suppress(OSError, ValueError):  # of no use, or of another version
                before, now = other.read_json(KNOWN_BY), self._known_by
                names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
                yield path, [f"{name} ({before.get(name)}, now {now.get(name)})" for name in names]

    def tell_of_others(self, say: Callable[[str], None]) -> None:
        """Says which interrupted runs are left alone, and why, where this one is about to begin."""
        if not self.path.exists():
            for path, differences in self.interrupted_otherwise():
                say(f"{path} was interrupted and is left alone; different now: {', '.join(differences)}")

    def _is_at_work(self) -> bool:
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            return True
        lock.release()
        return False

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
            if self._known_by is not None:
                self.write_json(KNOWN_BY, self._known_by)
        except OSError as error:
            raise self._unwritable(error) from error

    def finish(self) -> None:
        """Marks the run as done."""
        self.write("done", "")

    def write(self, name: str, content: str | bytes) -> None:
        """Writes one file of the folder, whole or not at all."""
        write_atomically(self.path / name, content)

    def write_json(self, name: str, content: object) -> None:
        """Writes one JSON file of the folder, whose numbers are finite."""
        self.write(name, as_json(content))

    def read_json(self, name: str) -> dict[str, object]:
        """Reads one JSON file of the folder."""
        content = json.loads((self.path / name).read_text())
        assert isinstance(content, dict)
        return content

    def epochs(self) -> list[dict[str, float]]:
        """The rows of ``metrics.csv``, with NaN for what an epoch did not log; none where nothing was trained."""
        try:
            lines = (self.path / "metrics.csv").read_text().splitlines()
        except OSError:
            return []
        return [{key: float(value or "nan") for key, value in row.items()} for row in csv.DictReader(lines)]

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(f"The run folder '{self.path}' cannot be written ({reason_of(error)}); choose another --out.")


def _options(config: TrainConfig | ExpandConfig, without: Sequence[str]) -> dict[str, Any]:
    """The options that make a difference to the result."""
    unread = {*without, *METHODS.get(config.method).unread_options}
    options = {key: value for key, value in asdict(config).items() if key not in unread}
    for part in ("trainer", "cache"):
        options[part] = {key: value for key, value in options[part].items() if key not in without}
    return options


def _flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Options by their dotted names, as JSON gives them back."""
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value
