"""What a run shows: progress bars and colour on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

#: Columns that a table may take where there is no terminal to ask.
WIDTH_OF_FILES = 140


class Display:
    """Speaks to the user.

    Args:
        console: where to; by default standard output.
        silent: says nothing at all, as every process but the first of several does.
    """

    def __init__(self, console: Console | None = None, silent: bool = False) -> None:
        self._console = console or _console(silent)

    def say(self, line: str) -> None:
        """Shows one line."""
        self._console.print(Text(line))

    def track(self, items: Any, doing: str) -> Iterator[Any]:
        """Goes through a sized collection and shows how far it got."""
        with self.progress(doing, len(items)) as advance:
            for item in items:
                yield item
                advance()

    @contextmanager
    def progress(self, doing: str, total: int) -> Iterator[Any]:
        """Shows progress towards ``total`` steps; yields the function that counts one. Elsewhere than on a terminal,
        one line at the start and one at the end."""
        began = time.perf_counter()
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            with Progress(*columns, console=self._console, refresh_per_second=4) as bar:
                task = bar.add_task(doing, total=total)
                yield lambda: bar.advance(task)
        else:
            self.say(f"{doing}: {total} ...")
            yield lambda: None
        self.say(f"{doing}: {total} done in {time.perf_counter() - began:.1f} s")

    @contextmanager
    def transfer(self, doing: str) -> Iterator[Callable[[int, int], None]]:
        """Shows how many bytes have come; yields the function that is told how many, and of how many. Nothing is shown
        before the first bytes come; elsewhere than on a terminal, one line for each quarter."""
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            with Progress(*columns, console=self._console, refresh_per_second=4) as bar:
                task = bar.add_task(doing, total=None, visible=False)
                yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)
            return
        due = [0]

        def tell(done: int, total: int) -> None:
            if 4 * done >= due[0] * total:
                self.say(f"{doing}: {human_bytes(done)} of {human_bytes(total)}")
                due[0] = 4 * done // max(1, total) + 1

        yield tell

    def json(self, content: Mapping[str, Any]) -> None:
        """Shows plain values as JSON."""
        self._console.print_json(data=content)

    def table(self, title: str, rows: Iterable[Mapping[str, str]]) -> None:
        """Shows rows of texts under the names of their columns; of no rows, the title."""
        # Text, so that brackets and colons in a name are shown and not obeyed.
        table = Table(title=Text(title, "bold"), title_justify="left")
        for number, row in enumerate(rows):
            if number == 0:
                for column, cell in row.items():
                    table.add_column(Text(column), justify="right" if _is_number(cell) else "left")
            table.add_row(*map(Text, row.values()))
        self._console.print(table if table.row_count else table.title)


def counted(number: int, word: str) -> str:
    """A number of things the way people say it: 1 source, 2 sources."""
    return f"{number} {word}{'s' * (number != 1)}"


def human_bytes(number: float) -> str:
    """A number of bytes the way people read it: 1234567 becomes 1.2 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def _is_number(cell: str) -> bool:
    return cell[:1].isdigit()


def _console(silent: bool) -> Console:
    console = Console(highlight=False, soft_wrap=True, quiet=silent)
    if not console.is_terminal:
        console.width = WIDTH_OF_FILES
    return console
