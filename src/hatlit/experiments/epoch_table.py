"""The numbers of each epoch of a run, as rows of a CSV file."""

from __future__ import annotations

import csv
import io
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from hatlit.errors import reason_of
from hatlit.files import write_atomically


class EpochTable(Logger):
    """Keeps one row an epoch in ``metrics.csv``; a resumed run continues the rows it finds.

    Args:
        path: the CSV file.
        say: shows one line to the user.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        super().__init__()
        self._path, self._say = path, say
        self._rows = self._read()
        self._columns: list[str] = []  # of the file, as far as this object wrote it
        self._has_failed = False

    @property
    def name(self) -> str:
        """Lightning wants one."""
        return "metrics"

    @property
    def version(self) -> str:
        """Lightning wants one."""
        return ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Leaves the options to ``config.yaml``."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Writes the row of one epoch, in place of a row of the same epoch; rows of later epochs are forgotten."""
        epoch = int(metrics["epoch"])
        row = {"epoch": epoch, **{key: value for key, value in metrics.items() if key != "epoch"}}
        follows = not self._rows or max(self._rows) < epoch
        self._rows = {number: row for number, row in self._rows.items() if number < epoch} | {epoch: row}
        try:
            self._write(row if follows and list(row) == self._columns else None)
        except OSError as error:
            self._columns = []
            if not self._has_failed:
                self._say(f"metrics.csv cannot be written ({reason_of(error)}); training goes on without it.")
            self._has_failed = True

    def _write(self, new: dict[str, Any] | None) -> None:
        """Adds one row to the file, or writes all rows where they do not just follow those in it."""
        if new is not None:
            with self._path.open("a", newline="") as stream:
                csv.DictWriter(stream, self._columns, lineterminator="\n").writerow(new)
            return
        rows = list(self._rows.values())
        columns = list(dict.fromkeys(key for row in rows for key in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(self._path, text.getvalue())
        self._columns = columns

    def _read(self) -> dict[int, dict[str, Any]]:
        try:
            text = self._path.read_text()
            return _from_csv(text[: text.rfind("\n") + 1])  # a line without an end was being written
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, csv.Error) as error:
            self._say(f"metrics.csv cannot be read ({reason_of(error)}); it starts anew.")
            return {}


def _from_csv(text: str) -> dict[int, dict[str, Any]]:
    """Rows by epoch.

    Raises:
        ValueError: something in it is not what ``EpochTable`` writes.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    if any(None in row or None in row.values() or "epoch" not in row for row in rows):
        raise ValueError("it is damaged")
    return {int(row["epoch"]): row for row in rows}
