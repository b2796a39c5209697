from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hatlit.datamodules.datasets.tables import read_table
from hatlit.errors import InputError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def test_rows_of_numbers(file: Path) -> None:
    file.write_text("a,b # c\n1,2\r\n-3.5, 4e1\n\n")
    assert read_table(file, 2, header=1).tolist() == [[1, 2], [-3.5, 40]]
    file.write_text("1,2,3")
    assert read_table(file, 3).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("text", ["", "x,y\n", "\n\n"])
@pytest.mark.filterwarnings("error")
def test_no_rows_are_an_empty_table(file: Path, text: str) -> None:
    file.write_text(text)
    assert read_table(file, 2, header=1).shape == (0, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1,2\n3,x\n", "not a table of numbers .*'x'"),
        (b"1,2\n3\n", "not a table of numbers .* changed from 2 to 1"),
        (b"1,2,3\n", "has 3 numbers in a row, where 2 are expected"),
        (b"1;2\n", "not a table of numbers"),
        (b"1,#2\n", "not a table of numbers"),
        (b"1,2\n3,nan\n", "Row 2 of .* not finite"),
        (b"1,2\n3,1e999\n", "Row 2 of .* not finite"),
        (bytes(range(256)), "not a table of numbers"),
    ],
)
def test_anything_else_is_refused(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    with pytest.raises(InputError, match=message) as refusal:
        read_table(file, 2)
    assert file.name in str(refusal.value)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a table of numbers"):
        read_table(tmp_path, 2)


def test_reads_what_numpy_wrote(file: Path) -> None:
    table = np.random.default_rng(0).normal(size=(20, 4))
    np.savetxt(file, table, delimiter=",")
    assert np.array_equal(read_table(file, 4), table)
