from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hatlit.datamodules.datasets.arrays import arrays
from hatlit.datamodules.datasets.hmp import hmp
from hatlit.errors import InputError


def write(root: Path, activity: str, volunteer: str, text: str, minute: int = 0) -> Path:
    folder = root / "HMP_Dataset" / activity
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"Accelerometer-2011-03-24-10-{minute:02d}-39-{activity.lower()}-{volunteer}.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two volunteers, two activities, and what the reader must pass over."""
    write(tmp_path, "Climb_stairs", "m2", "0 63 21\n" * 200)
    write(tmp_path, "Walk", "m2", "05 9 10 \r\n" * 100 + "\n", minute=1)
    write(tmp_path, "Walk", "m2", "1 2 3\n" * 96, minute=2)
    write(tmp_path, "Walk", "f1", "1 2 3\n" * 95 + "4 5 6\n" * 97)
    write(tmp_path, "Walk", "f5", "another volunteer")
    write(tmp_path, "Eat_soup", "f1", "another activity")
    (tmp_path / "HMP_Dataset" / "MANUAL.txt").write_text("prose")
    return tmp_path


@pytest.mark.parametrize("inside", ["", "HMP_Dataset"])
def test_windows_of_each_volunteer(root: Path, inside: str) -> None:
    fleet = hmp(root / inside, "imu")
    assert fleet.names == ["f1", "m2"]
    assert [len(domain) for domain in fleet.domains] == [2, 4]
    m2 = fleet.domain("m2")
    assert [m2.class_names[label] for label in m2.labels] == ["Climb_stairs"] * 2 + ["Walk"] * 2
    assert m2.groups[0] == m2.groups[1]
    assert len(set(m2.groups)) == 3
    assert m2.samples.shape == (4, 3, 96)
    assert m2.samples.dtype == np.float16
    np.testing.assert_allclose(m2.samples[0, :, 0], [-14.709, 14.709, -4.903], rtol=1e-3)
    assert m2.recorded.rate == 32.0


@pytest.mark.parametrize(
    "row", ["1 2", "1 2 3 4", "1 2 64", "1 2 -1", "1 2 3.0", "1 2 x", "1 2 ٣", "1 2 " + "9" * 5000]
)
def test_malformed_row_is_named(root: Path, row: str) -> None:
    path = write(root, "Pour_water", "f2", "1 2 3\n" * 4 + f"\n{row}\n" + "1 2 3\n" * 96)
    with pytest.raises(InputError, match="Line 6 ") as refusal:
        hmp(root, "imu")
    assert path.name in str(refusal.value)


def test_refuses_no_root_and_folders_without_recordings(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data\.root"):
        hmp(None, "imu")
    with pytest.raises(InputError, match="HMP_Dataset"):
        hmp(tmp_path, "imu")
    write(tmp_path, "Walk", "f1", "1 2 3\n" * 95)
    with pytest.raises(InputError, match="no recording"):
        hmp(tmp_path, "imu")


@pytest.mark.real_data
def test_same_arrays_as_the_npz(real_data_root: Path) -> None:
    fleet = hmp(real_data_root / "raw" / "imu" / "hmp-adl", "imu")
    reference = arrays(real_data_root / "imu-hmp.npz", "imu")
    assert fleet.names == reference.names
    assert fleet.class_names == reference.class_names
    assert sum(map(len, fleet.domains)) == 2175
    for own, known in zip(fleet.domains, reference.domains, strict=True):
        assert np.array_equal(own.samples, known.samples)
        assert np.array_equal(own.labels, known.labels)
        assert np.array_equal(np.diff(own.groups) != 0, np.diff(known.groups) != 0)
        assert own.recorded.rate == known.recorded.rate
