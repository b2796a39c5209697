import errno
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.utilities import rank_zero_only

from hatlit.experiments import epoch_table
from hatlit.experiments.epoch_table import EpochTable


@pytest.fixture
def said() -> list[str]:
    """What was said to the user."""
    return []


def test_metrics_have_one_row_an_epoch(tmp_path: Path, said: list[str]) -> None:
    path = tmp_path / "metrics.csv"
    log = EpochTable(path, said.append)
    log.log_metrics({"loss/student": 2.0, "epoch": 0.0}, step=4)
    log.log_metrics({"loss/student": 1.0, "epoch": 1.0, "alpha": 0.5}, step=8)
    assert path.read_text() == "epoch,loss/student,alpha\n0,2.0,\n1,1.0,0.5\n"
    assert said == []


def test_a_resumed_run_replaces_the_rows_it_does_again(tmp_path: Path, said: list[str]) -> None:
    path = tmp_path / "metrics.csv"
    before = EpochTable(path, said.append)
    for epoch in range(4):
        before.log_metrics({"loss": 1.0, "epoch": epoch})
    after = EpochTable(path, said.append)
    after.log_metrics({"loss": 9.0, "epoch": 2})
    assert path.read_text() == "epoch,loss\n0,1.0\n1,1.0\n2,9.0\n"


def test_a_row_that_follows_is_added_without_writing_the_others_again(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, whole = tmp_path / "metrics.csv", []
    write = epoch_table.write_atomically
    monkeypatch.setattr(epoch_table, "write_atomically", lambda *args: (whole.append(1), write(*args)))
    log = EpochTable(path, said.append)
    for epoch in range(5):
        log.log_metrics({"loss": 0.5, "note, of a source": epoch, "epoch": epoch})
    assert len(whole) == 1
    assert path.read_text().splitlines() == ['epoch,loss,"note, of a source"', *(f"{n},0.5,{n}" for n in range(5))]
    log.log_metrics({"loss": 0.25, "new": 1, "epoch": 5})
    assert len(whole) == 2
    assert path.read_text().splitlines()[-2:] == ["4,0.5,4,", "5,0.25,,1"]
    assert said == []


def test_a_full_disk_costs_one_line_and_no_row_once_there_is_room(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    log = EpochTable(tmp_path / "metrics.csv", said.append)
    with monkeypatch.context() as patched:
        patched.setattr(epoch_table, "write_atomically", full)
        log.log_metrics({"epoch": 0})
        log.log_metrics({"epoch": 1})
    log.log_metrics({"epoch": 2})
    assert said == [
        "metrics.csv cannot be written (No space left on device); training goes on without it.",
    ]
    assert (tmp_path / "metrics.csv").read_text() == "epoch\n0\n1\n2\n"


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"loss\n1\n", b"epoch,loss\n0,1,7\n", b"epoch,loss\nx,1\n", b"a\rb\n"]
)
def test_a_damaged_metrics_file_starts_anew(tmp_path: Path, said: list[str], content: bytes) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    EpochTable(path, said.append).log_metrics({"loss": 1.0, "epoch": 5})
    assert path.read_text() == "epoch,loss\n5,1.0\n"
    assert len(said) == 1
    assert said[0].startswith("metrics.csv cannot be read (")


def test_only_the_first_of_several_processes_writes(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    EpochTable(tmp_path / "metrics.csv", said.append).log_metrics({"epoch": 0})
    assert not (tmp_path / "metrics.csv").exists()
