"""The folder of a comparison, which several may share: one after the other, or at once in processes of their own."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock

from hatlit.config import CompareConfig
from hatlit.errors import InputError, reason_of
from hatlit.experiments.folder import WITHOUT_EFFECT
from hatlit.experiments.pool import COLUMNS, Row
from hatlit.files import COMMAND, read_bounded, save_words, write_atomically

#: Options that do not tell comparisons apart: methods may be added, and targets are told apart by their names.
NOT_SHARED = (*WITHOUT_EFFECT, "methods", "targets", "markdown", "executor", "ray")

#: Columns of ``results.csv`` that are words; all others are numbers.
WORDS = ("method", "target", "labels_fingerprint", "run", "failed")

RESULTS = "results.csv"


class ComparisonFolder:
    """Where comparisons keep their rows.

    Those with the same targets, seeds and options add their methods to one another's; one with others takes the folder
    over. Whatever is written is written behind a lock and after a look at what stands there, so that ``command.json``
    and ``results.csv`` always tell of the same comparison.

    Args:
        path: the folder.
        words: what was typed.
        methods: of this comparison.
        pairs: its targets and seeds, in the order of its rows.
        made_of: a hash of the options and inputs that all its methods share, see ``shared_by``.

    Attributes:
        words: the command line that comes to all that stands in the folder.
    """

    def __init__(
        self, path: Path, words: Sequence[str], methods: Sequence[str], pairs: Sequence[tuple[str, int]], made_of: str
    ) -> None:
        self.path = path
        self.words = self._own_words = list(words)
        self._methods, self._pairs, self._made_of = list(methods), list(pairs), made_of
        self._saved: tuple[list[str], list[str]] | None = None  # words and methods, as this process wrote them last
        self._lock = FileLock(path / ".lock")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other comparisons from writing.

        Raises:
            InputError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            self._lock.release()

    def keep(self, rows: Sequence[Row]) -> list[Row]:
        """Writes down rows, in the place of older ones of the same runs, and what was typed.

        Returns:
            All rows that stand there now, in order: by target and seed, then by method.

        Raises:
            InputError: the folder cannot be written.
        """
        with self.alone():
            known_methods, known = self._already_there()
            methods = list(dict.fromkeys([*known_methods, *self._methods]))
            by_run = {_run_of(row): row for row in [*known, *rows]}
            order = [(method, *pair) for pair in self._pairs for method in methods]
            kept = [by_run[run] for run in order if run in by_run]
            if len(methods) > len(self._methods):
                self.words = with_methods(self._own_words, methods)
            try:
                if not known_methods:  # what stands there is of another comparison, and must never pass for this one's
                    (self.path / RESULTS).unlink(missing_ok=True)
                if self._saved != (self.words, methods) or methods != known_methods:
                    save_words(self.path, self.words, methods=methods, made_of=self._made_of)
                    self._saved = (self.words, methods)
                write_atomically(self.path / RESULTS, as_csv(kept))
            except OSError as error:
                raise self._unwritable(error) from error
            return kept

    def finished(self, rows: Sequence[Row]) -> list[Row]:
        """Those of the rows whose methods have one for every target and seed: the others are at work elsewhere."""
        runs = {_run_of(row) for row in rows}
        return [row for row in rows if all((row["method"], *pair) in runs for pair in self._pairs)]

    def _already_there(self) -> tuple[list[str], list[Row]]:
        """Methods and rows of the same comparison; none where another one, or nothing readable, stands there."""
        try:
            saved = json.loads(read_bounded(self.path / COMMAND))
            if saved["made_of"] != self._made_of:
                return [], []
            return list(saved["methods"]), [row for row in read_rows(self.path / RESULTS) if self._counts(row)]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return [], []

    def _counts(self, row: Row) -> bool:
        return bool(row["failed"]) or (self.path / "runs" / row["run"] / "done").is_file()

    def _unwritable(self, error: OSError) -> InputError:
        where = error.filename or self.path
        return InputError(f"'{where}' cannot be written ({reason_of(error)}); choose another --out.")


def shared_by(config: CompareConfig, inputs: Sequence[str]) -> str:
    """A hash of what the methods of a comparison share: options, and hashes of the inputs."""
    options = {key: value for key, value in asdict(config).items() if key not in NOT_SHARED}
    for part in ("trainer", "cache"):
        options[part] = {key: value for key, value in options[part].items() if key not in NOT_SHARED}
    return hashlib.sha256(json.dumps([options, *inputs], sort_keys=True).encode()).hexdigest()[:16]


def with_methods(words: Sequence[str], methods: Sequence[str]) -> list[str]:
    """A command line that asks for these methods in place of those that it names; an empty one stays empty."""
    if not words:
        return []
    others = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if "--methods" not in (before, word) and not word.startswith("--methods=")
    ]
    return [*others, "--methods", ",".join(methods)]


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def read_rows(path: Path, words: Sequence[str] = WORDS) -> list[Row]:
    """The rows of a CSV file: text in the columns named, elsewhere numbers, None where there is none."""
    with path.open(newline="") as file:
        return [
            {name: text if name in words else _number(text) for name, text in row.items()}
            for row in csv.DictReader(file)
        ]


def _number(text: str) -> Any:
    if not text:
        return None
    return int(text) if text.isdigit() else float(text)


def _run_of(row: Row) -> tuple[str, str, int]:
    return row["method"], row["target"], row["seed"]
