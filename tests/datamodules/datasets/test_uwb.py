from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hatlit.datamodules.datasets.arrays import arrays
from hatlit.datamodules.datasets.uwb import RECORD, uwb
from hatlit.errors import InputError


def write(root: Path, name: str, rows: int, value: float = 0.5, columns: int = RECORD) -> Path:
    folder = root / "uwb_dataset"
    folder.mkdir(exist_ok=True)
    np.savetxt(folder / name, np.full((rows, columns), value), delimiter=",")
    return folder / name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three sites, one of them without a walk, and what the reader must pass over."""
    write(tmp_path, "room_10_walk_add.txt", 2, 0.1)
    write(tmp_path, "room_2_static_add.txt", 3, 0.2)
    write(tmp_path, "room_2_walk_add.txt", 1, 0.3)
    write(tmp_path, "parking_3_static_add.txt", 4, 0.4)
    write(tmp_path, "room_2_run_add.txt", 1)
    write(tmp_path, "garden_2_walk_add.txt", 1)
    (tmp_path / "uwb_dataset" / "README.md").write_text("prose")
    return tmp_path


@pytest.mark.parametrize("inside", ["", "uwb_dataset"])
def test_records_of_each_site(root: Path, inside: str) -> None:
    fleet = uwb(root / inside, "radar")
    assert fleet.names == ["parking_3", "room_2", "room_10"]
    assert [domain.labels.tolist() for domain in fleet.domains] == [[0] * 4, [0, 0, 0, 1], [1, 1]]
    room = fleet.domain("room_2")
    assert room.samples.shape == (4, 1, 55)
    assert room.samples.dtype == np.float32
    assert room.samples[:, 0, 0].tolist() == pytest.approx([0.2, 0.2, 0.2, 0.3])
    assert room.class_names == ("static", "walk")
    assert (room.recorded.axes, room.recorded.rate) == (("time",), None)
    assert len(set(np.concatenate([domain.groups for domain in fleet.domains]))) == 10


def test_refuses_rows_of_another_length(root: Path) -> None:
    path = write(root, "parking_2_walk_add.txt", 3, columns=54)
    with pytest.raises(InputError, match="54 numbers in a row, where 55 are expected") as refusal:
        uwb(root, "radar")
    assert path.name in str(refusal.value)


def test_refuses_no_root_and_folders_without_records(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data\.root"):
        uwb(None, "radar")
    with pytest.raises(InputError, match="uwb_dataset"):
        uwb(tmp_path, "radar")
    (tmp_path / "uwb_dataset").mkdir()
    with pytest.raises(InputError, match="no record"):
        uwb(tmp_path, "radar")
    (tmp_path / "uwb_dataset" / "room_1_walk_add.txt").write_text("")
    with pytest.raises(InputError, match="no record"):
        uwb(tmp_path, "radar")


@pytest.mark.real_data
def test_same_arrays_as_the_npz(real_data_root: Path) -> None:
    fleet = uwb(real_data_root / "raw" / "radar" / "uwb-clusterfl", "radar")
    reference = arrays(real_data_root / "radar-uwb.npz", "radar")
    assert fleet.names == reference.names
    assert fleet.class_names == reference.class_names
    assert sum(map(len, fleet.domains)) == 663
    for own, known in zip(fleet.domains, reference.domains, strict=True):
        assert np.array_equal(own.samples, known.samples)
        assert own.samples.dtype == known.samples.dtype
        assert np.array_equal(own.labels, known.labels)
        assert own.recorded.with_(channels=("one",)) == known.recorded.with_(channels=("one",))
