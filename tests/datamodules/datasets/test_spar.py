from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hatlit.datamodules.base import DomainSet
from hatlit.datamodules.datasets.arrays import arrays
from hatlit.datamodules.datasets.spar import spar
from hatlit.errors import InputError


def content(**changed: Any) -> dict[str, Any]:
    """Three recordings of two people, as the published file holds them."""
    rng = np.random.default_rng(0)
    return {
        "X": [rng.normal(size=(time, 6)) for time in (450, 399, 620)],
        "y": np.array([0, 1, 1]),
        "subject": np.array([3, 3, 11]),
        "side": np.array([1.0, 0.0, 1.0]),
        "X_labels": ["ax", "ay", "az", "wx", "wy", "wz"],
        "y_labels": ["PEN", "ABD"],
    } | changed


def write(folder: Path, value: Any, protocol: int = 2) -> Path:
    """Writes an npy file of one pickled object as numpy does."""
    path = folder / "seglearn" / "data" / "watch_dataset.npy"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        np.lib.format.write_array_header_1_0(file, header)
        pickle.dump(value, file, protocol=protocol)
    return path


def as_array(value: Any) -> np.ndarray:
    wrapped = np.empty((), dtype=object)
    wrapped[()] = value
    return wrapped


def read(folder: Path, **changed: Any) -> DomainSet:
    write(folder, as_array(content(**changed)))
    return spar(folder, "imu")


@pytest.mark.parametrize("protocol", [2, 4])
def test_windows_of_each_person_and_arm(tmp_path: Path, protocol: int) -> None:
    write(tmp_path, as_array(content()), protocol)
    fleet = spar(tmp_path, "imu")
    assert fleet.names == ["subj3_L", "subj3_R", "subj11_R"]
    assert fleet.class_names == ("PEN", "ABD")
    last = fleet.domain("subj11_R")
    assert last.samples.shape == (3, 6, 200)
    assert last.samples.dtype == np.float16
    assert np.array_equal(last.samples[1], content()["X"][2][200:400].T.astype(np.float16))
    assert last.labels.tolist() == [1, 1, 1]
    assert len(set(last.groups)) == 1
    assert last.recorded.rate == 50.0


@pytest.mark.parametrize("inside", ["", "seglearn", "seglearn/data", "seglearn/data/watch_dataset.npy"])
def test_root_may_be_any_folder_of_the_layout(tmp_path: Path, inside: str) -> None:
    write(tmp_path, as_array(content()))
    assert len(spar(tmp_path / inside, "imu").domains) == 3


class Payload:
    """Pickles as a call of a function of the attacker's choice."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


@pytest.mark.parametrize("function", [os.system, eval, exec, getattr, __import__])
@pytest.mark.parametrize("place", ["top", "inside"])
def test_malicious_pickle_is_refused_and_runs_nothing(tmp_path: Path, function: Any, place: str) -> None:
    trace = tmp_path / "executed"
    payload = Payload(function, f"touch {trace}" if function is os.system else f"open({str(trace)!r}, 'w')")
    write(tmp_path, payload if place == "top" else as_array(content(X=[payload])))
    with pytest.raises(InputError, match="asks to load"):
        spar(tmp_path, "imu")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"X": []}, "one subject, side and exercise for each"),
        ({"y": np.array([0, 1])}, "one subject, side and exercise for each"),
        ({"X": 5}, "does not hold the arrays"),
        ({"X": [np.zeros((450, 3))] * 3}, "Recording 0"),
        ({"X": [np.full((450, 6), np.nan)] * 3}, "Recording 0"),
        ({"side": np.array([0, 1, 2])}, "side other than 0 and 1"),
        ({"y": np.array([0, 1, 2])}, "y_labels does not name"),
        ({"subject": "abc"}, "does not hold the arrays"),
    ],
)
def test_refuses_other_content(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, **changed)


def test_refuses_a_file_without_a_dictionary(tmp_path: Path) -> None:
    write(tmp_path, as_array([1, 2]))
    with pytest.raises(InputError, match="dictionary"):
        spar(tmp_path, "imu")


def test_refuses_a_numeric_npy_and_a_damaged_one(tmp_path: Path) -> None:
    path = write(tmp_path, as_array(content()))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match="damaged"):
        spar(tmp_path, "imu")
    np.save(path, np.zeros(3))
    with pytest.raises(InputError, match="damaged"):
        spar(tmp_path, "imu")


def test_refuses_no_root_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data\.root"):
        spar(None, "imu")
    with pytest.raises(InputError, match=r"watch_dataset\.npy"):
        spar(tmp_path, "imu")


@pytest.mark.real_data
def test_same_arrays_as_the_npz(real_data_root: Path) -> None:
    fleet = spar(real_data_root / "raw" / "imu" / "spar-seglearn", "imu")
    reference = arrays(real_data_root / "imu-spar.npz", "imu")
    assert fleet.names == reference.names
    assert fleet.class_names == reference.class_names
    assert sum(map(len, fleet.domains)) == 1149
    for own, known in zip(fleet.domains, reference.domains, strict=True):
        assert np.array_equal(own.samples, known.samples)
        assert np.array_equal(own.labels, known.labels)
        assert np.array_equal(own.groups, known.groups)
        assert own.recorded.rate == known.recorded.rate
