"""Tables of numbers as text, which several data sets are published as."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from hatlit.errors import InputError, reason_of


def read_table(file: Path, columns: int, header: int = 0) -> np.ndarray:
    """Reads rows of numbers parted by commas: (rows, columns) float64.

    Args:
        file: the text file.
        columns: how many numbers each row must have.
        header: lines before the first row.

    Raises:
        InputError: the file cannot be read, or a row is not that many finite numbers.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an empty table is no reason to warn
            table = np.loadtxt(file, delimiter=",", skiprows=header, comments=None, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(f"'{file}' is not a table of numbers parted by commas: {reason_of(error)}") from error
    if not table.size:
        return np.empty((0, columns))
    if table.shape[1] != columns:
        raise InputError(f"'{file}' has {table.shape[1]} numbers in a row, where {columns} are expected.")
    broken = ~np.isfinite(table).all(axis=1)
    if broken.any():
        raise InputError(f"Row {int(broken.argmax()) + 1} of '{file}' holds a number that is not finite.")
    return table
