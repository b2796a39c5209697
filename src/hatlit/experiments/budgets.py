"""What each domain's device can carry, where they differ: a file of limits by domain."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hatlit.config import LIMITS
from hatlit.errors import InputError, reason_of, unknown_name
from hatlit.files import read_bounded, read_yaml


def read_budgets(path: str, domains: Collection[str]) -> Mapping[str, Mapping[str, float]]:
    """Reads limits by domain, YAML or JSON: ``person-3: {max_bytes: 30000}``; or CSV, with the column ``domain`` and a
    column a limit, where an empty cell limits nothing.

    Args:
        path: of the file; a name that ends in ``.csv`` is that of a table.
        domains: names of those that there are.

    Raises:
        InputError: it cannot be read, or names a domain or a limit that there is none of, or a limit is no number.
    """
    content = _read_table(path) if path.lower().endswith(".csv") else read_yaml(path, "budgets")
    if not isinstance(content, dict) or not all(isinstance(limits, dict) for limits in content.values()):
        raise InputError(f"The budgets '{path}' must give each domain its limits, such as max_bytes: 30000.")
    for domain, limits in content.items():
        if domain not in domains:
            raise unknown_name("domain", str(domain), list(domains), where=f"in the budgets '{path}'")
        for name, limit in limits.items():
            if name not in LIMITS:
                raise unknown_name("limit", str(name), list(LIMITS), where=f"of '{domain}' in the budgets '{path}'")
            if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0:
                raise InputError(f"The limit {name} of '{domain}' in the budgets '{path}' must be a number above 0.")
    return content


def _read_table(path: str) -> dict[str, dict[str, Any]]:
    """Limits by domain, from CSV; what is no number stays as it is written.

    Raises:
        InputError: it cannot be read, has no column ``domain``, a column or a domain twice, or a row that is longer
            than the first line.
    """
    try:
        return _as_mapping(path, read_bounded(Path(path)).decode("utf-8-sig"))
    except (OSError, UnicodeError, csv.Error) as error:
        why = reason_of(error) if isinstance(error, OSError) else "it is no CSV table"
        raise InputError(f"The budgets '{path}' cannot be read: {why}.") from error


def _as_mapping(path: str, text: str) -> dict[str, dict[str, Any]]:
    table = csv.DictReader(io.StringIO(text), strict=True, skipinitialspace=True)
    names = list(table.fieldnames or ())
    if "domain" not in names:
        raise InputError(f"The budgets '{path}' have no column 'domain'; the first line names it and the limits.")
    if len(set(names)) < len(names):
        raise InputError(f"The budgets '{path}' have two columns of one name; leave one of them out.")
    content: dict[str, dict[str, Any]] = {}
    for row in table:
        domain = row.pop("domain")
        if None in row:
            raise InputError(f"Line {table.line_num} of the budgets '{path}' has more cells than the first line.")
        if domain in content:
            raise InputError(f"The budgets '{path}' name the domain '{domain}' twice; leave one row.")
        content[domain] = {name: _number(cell) for name, cell in row.items() if cell}
    return content


def _number(cell: str) -> float | str:
    """A cell as a number: whole where it is written so; what is none stays as it is."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(cell)
    return cell
