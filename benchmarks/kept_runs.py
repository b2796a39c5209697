"""Runs of comparisons that stay in the repository, so that a page of many hours is made in several sittings.

One CSV file a comparison, below ``benchmarks/results/comparisons``: what ``hatlit compare`` writes to ``results.csv``,
and when, and by which version. A method is not run again where the file has a row of every target and seed with the
very labels that it would get. Delete a method's rows to measure it anew, as a change of the method demands.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from hatlit.experiments import comparison_folder
from hatlit.experiments.pool import COLUMNS, Row
from hatlit.files import write_atomically

#: What is known of a run beside what a comparison writes. Its folder, and so the column ``run``, is not kept.
KEPT = ("date", "hatlit", *(column for column in COLUMNS if column != "run"))

#: Columns that are words; all others are numbers.
WORDS = ("date", "hatlit", *comparison_folder.WORDS)

#: Which rows are labelled, as a hash, by target and seed.
Labels = Mapping[tuple[str, int], str]


def kept_runs(path: Path, labels: Labels) -> list[Row]:
    """The finished runs of a file that had these labels; none where there is no file."""
    rows = read_rows(path) if path.is_file() else []
    return [
        row
        for row in rows
        if not row["failed"] and row["labels_fingerprint"] == labels.get((row["target"], row["seed"]))
    ]


def read_rows(path: Path) -> list[Row]:
    """A row a run, with numbers where a column has them."""
    return comparison_folder.read_rows(path, WORDS)


def keep_runs(path: Path, rows: Sequence[Row]) -> list[Row]:
    """Adds runs that came to their end just now to a file, in the place of older ones; returns them with their date."""
    now = {"date": str(datetime.now(UTC).date()), "hatlit": version("hatlit")}
    dated = [{**now, **row} for row in rows]
    known = {_key(row): row for row in [*(read_rows(path) if path.is_file() else []), *dated]}
    stream = io.StringIO()
    writer = csv.DictWriter(stream, KEPT, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(known[key] for key in sorted(known))
    write_atomically(path, stream.getvalue())
    return dated


def missing_methods(methods: Sequence[str], rows: Sequence[Row], labels: Labels) -> list[str]:
    """The methods that lack a run of some target and seed."""
    known = set(map(_key, rows))
    return [method for method in methods if not all((method, *pair) in known for pair in labels)]


def _key(row: Row) -> tuple[str, str, int]:
    return row["method"], row["target"], row["seed"]
