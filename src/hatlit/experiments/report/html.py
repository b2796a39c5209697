"""What the pages of all reports have in common: their looks, their warning, their tables."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; }
th { text-align: left; vertical-align: bottom; } td:not(:last-child) { white-space: nowrap; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; } img { max-width: 100%; height: auto; }
.demo { background: #fff3cd; padding: .5rem 1rem; } code { background: #f3f3f3; padding: .1rem .3rem; }
"""

DEMO = "Demo data: simulated, not recorded. These numbers say nothing about real people."

#: Stands where there is no value.
NOTHING = "-"

#: Digits with their punctuation (an interval, wins/ties/losses, so many of so many), and perhaps a unit.
_NUMBER = re.compile(r"[-+]?\d[\d\s.,/\[\]+-]*(of \d+)?([kMGT]?B|%)?")


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows of texts under the names of their columns; columns of numbers are set flush right."""
    numbers = number_columns(rows)
    head = "".join(_cell("th", column, column in numbers) for column in (rows[0] if rows else {}))
    lines = ("".join(_cell("td", cell, column in numbers) for column, cell in row.items()) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def number_columns(rows: Sequence[Mapping[str, str]]) -> set[str]:
    """Names of the columns that hold numbers, and nothing else but gaps."""
    columns = {column: {row[column] for row in rows} - {NOTHING} for column in (rows[0] if rows else {})}
    return {column for column, cells in columns.items() if cells and all(map(_NUMBER.fullmatch, cells))}


def _cell(tag: str, text: str, is_number: bool) -> str:
    kind = ' class="number"' if is_number else ""
    return f"<{tag}{kind}>{html.escape(text)}</{tag}>"
