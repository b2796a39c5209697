from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hatlit.datamodules.base import DomainSet
from hatlit.datamodules.datasets.arrays import arrays
from hatlit.errors import InputError

N = 12


def content(**changed: Any) -> dict[str, Any]:
    """A small valid file; None removes an array."""
    valid = {
        "x": np.random.default_rng(0).normal(size=(N, 3, 8)).astype(np.float32),
        "y": np.array([0, 1] * 6),
        "domain": np.repeat([0, 1, 2], 4),
        "class_names": np.array(["sit", "walk"]),
        "domain_names": np.array(["ann", "bob", "cid"]),
        "sample_rate": 50,
        "group": np.repeat(np.arange(6), 2),
        "channel_names": np.array(["acc_x", "acc_y", "acc_z"]),
    } | changed
    return {name: array for name, array in valid.items() if array is not None}


def read(folder: Path, modality: str = "imu", **changed: Any) -> DomainSet:
    np.savez(folder / "own.npz", **content(**changed))
    return arrays(folder / "own.npz", modality)


def test_reads_what_was_written(tmp_path: Path) -> None:
    fleet = read(tmp_path)
    valid = content()
    assert (fleet.name, fleet.modality, fleet.is_demo) == ("arrays", "imu", False)
    assert fleet.names == ["ann", "bob", "cid"]
    assert fleet.class_names == ("sit", "walk")
    bob = fleet.domain("bob")
    assert np.array_equal(bob.samples, valid["x"][4:8])
    assert bob.labels.tolist() == [0, 1, 0, 1]
    assert bob.labels.dtype == np.int64
    assert bob.groups[0] == bob.groups[1] != bob.groups[2]
    assert bob.recorded.channels == ("acc_x", "acc_y", "acc_z")
    assert (bob.recorded.shape, bob.recorded.rate) == ((8,), 50.0)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int16", ">f4"])
def test_keeps_the_stored_type(tmp_path: Path, dtype: str) -> None:
    stored = np.arange(N * 3 * 8).reshape(N, 3, 8).astype(dtype)
    domain = read(tmp_path, x=stored).domains[0]
    assert domain.samples.dtype == stored.dtype
    assert domain.tensor().numpy().tolist() == stored[:4].tolist()


def test_optional_arrays_may_be_absent(tmp_path: Path) -> None:
    domain = read(tmp_path, group=None, channel_names=None, sample_rate=None).domains[0]
    assert len(set(domain.groups)) == len(domain)
    assert domain.recorded.channels == ("channel_0", "channel_1", "channel_2")
    assert domain.recorded.rate is None


def test_recordings_may_have_names(tmp_path: Path) -> None:
    groups = np.array([f"take {number}" for number in np.repeat(np.arange(6), 2)])
    assert read(tmp_path, group=groups).domains[1].groups.tolist() == [2, 2, 3, 3]


def test_domain_without_rows_is_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, domain_names=np.array(["ann", "bob", "cid", "dan"])).names == ["ann", "bob", "cid"]


def test_minus_one_is_unlabelled(tmp_path: Path) -> None:
    assert read(tmp_path, y=np.full(N, -1, dtype=np.int8)).domains[0].labels.tolist() == [-1] * 4


def test_picks_the_modality_where_several_share_rows(tmp_path: Path) -> None:
    valid = content()
    changed: dict[str, Any] = {
        "x": None,
        "sample_rate": None,
        "channel_names": None,
        "x_imu": valid["x"],
        "x_depth": np.zeros((N, 1, 4, 4), dtype=np.uint8),
        "sample_rate_imu": np.array([50]),
    }
    assert read(tmp_path, **changed).domains[0].recorded.rate == 50.0
    depth = read(tmp_path, "depth", **changed).domains[0]
    assert (depth.recorded.modality, depth.recorded.shape, depth.recorded.rate) == ("depth", (4, 4), None)


def test_clouds_of_points_say_so(tmp_path: Path) -> None:
    points = read(tmp_path, "radar", axes=np.array(["point"]), sample_rate=None).domains[0]
    assert points.recorded.axes == ("point",)
    assert read(tmp_path, "radar").domains[0].recorded.axes == ("time",)
    with pytest.raises(InputError, match="imu samples are rows x channels x time"):
        read(tmp_path, "imu", axes=np.array(["point"]))


def test_pictures_have_colours(tmp_path: Path) -> None:
    x = np.zeros((N, 3, 4, 4), dtype=np.uint8)
    assert read(tmp_path, "image", x=x, channel_names=None).domains[0].recorded.channels == ("red", "green", "blue")


def test_texts(tmp_path: Path) -> None:
    texts = [f"text number {row}".encode() for row in range(N)]
    offsets = np.cumsum([0, *map(len, texts)])
    utf8 = {"x": None, "channel_names": None, "x_utf8": np.frombuffer(b"".join(texts), np.uint8), "x_offsets": offsets}
    fleet = read(tmp_path, "text", **utf8)
    shown = [row.tobytes().rstrip(b"\0") for domain in fleet.domains for row in domain.samples]
    assert sorted(shown) == sorted(texts)
    assert fleet.domains[0].recorded.axes == ("byte",)
    assert [len(set(domain.groups)) for domain in read(tmp_path, "text", **utf8, group=None).domains] == [4, 4, 4]
    twice = {**utf8, "x_utf8": np.frombuffer(b"same" * N, np.uint8), "x_offsets": 4 * np.arange(N + 1)}
    assert [len(set(domain.groups)) for domain in read(tmp_path, "text", **twice, group=None).domains] == [1, 1, 1]
    with pytest.raises(InputError, match=r"own\.npz.*'x_offsets'.*ascend from 0"):
        read(tmp_path, "text", **utf8 | {"x_offsets": offsets[::-1]})


def with_nan() -> np.ndarray:
    x = content()["x"]
    x[7, 1, 2] = np.nan
    x[9, 0, 0] = np.inf
    return x


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": None}, r"no array 'x', add it \(it has: y, domain"),
        ({"domain": None}, "no array 'domain'"),
        ({"class_names": None}, "no array 'class_names'"),
        ({"x": np.array([{}] * N)}, "Python objects in array 'x'"),
        ({"x": np.full((N, 3, 8), "a")}, "'x' of type"),
        ({"x": np.zeros((N, 3, 8), dtype=complex)}, "'x' of type complex128"),
        ({"x": np.zeros((N, 3))}, "three axes"),
        ({"x": np.zeros((N, 0, 8))}, "empty"),
        ({"x": np.zeros((0, 3, 8))}, "empty"),
        ({"x": with_nan()}, "2 values in array 'x' that are NaN, .* first in row 7"),
        ({"x": np.full((N, 3, 8), 1e300)}, "beyond float32"),
        ({"y": np.zeros(N - 1, dtype=int)}, "x 12, y 11, domain 12"),
        ({"y": np.zeros(N)}, "'y' .*one whole number a row"),
        ({"y": np.zeros((N, 1), dtype=int)}, "'y' .*one whole number a row"),
        ({"y": np.full(N, 2)}, "2 in row 0 of array 'y', but 'class_names' has 2 names"),
        ({"y": np.full(N, -2)}, "-2 in row 0 of array 'y'"),
        ({"domain": np.full(N, -1)}, "-1 in row 0 of array 'domain'"),
        ({"domain": np.full(N, 3)}, "3 in row 0 of array 'domain'"),
        ({"class_names": np.array([0, 1])}, "'class_names' that is not a list of texts"),
        ({"domain_names": np.array(["ann", "ann", "bob"])}, "differ from one another"),
        ({"sample_rate": 0}, "one positive number"),
        ({"sample_rate": np.nan}, "one positive number"),
        ({"sample_rate": np.array([50, 100])}, "one positive number"),
        ({"sample_rate": np.array("fast")}, "one positive number"),
        ({"sample_rate": 1e12}, "no view can be built"),
        ({"group": np.repeat(np.arange(4), 3)}, r"group 1 in more than one domain \(row 4"),
        ({"group": np.zeros(N - 1, dtype=int)}, "group 11, domain 12"),
        ({"group": np.zeros(N)}, "'group' .*one number or text a row"),
        ({"channel_names": np.array(["acc_x", "acc_y"])}, "2 'channel_names' for the 3 channels"),
        ({"x": np.zeros((N, 3, 4, 4))}, "imu samples are rows x channels x time"),
    ],
)
def test_refuses_in_one_sentence(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        read(tmp_path, **changed)
    assert "own.npz" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_refuses_no_root_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data\.root"):
        arrays(None, "imu")
    with pytest.raises(InputError, match="is a folder"):
        arrays(tmp_path, "imu")
    with pytest.raises(InputError, match="no file"):
        arrays(tmp_path / "absent.npz", "imu")


@pytest.mark.parametrize("rubbish", [b"", b"x,y\n1,2\n", b"PK\x03\x04 not a zip after all", b"\x80\x04N."])
def test_refuses_what_is_no_npz(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "own.npz").write_bytes(rubbish)
    with pytest.raises(InputError, match=r"own\.npz"):
        arrays(tmp_path / "own.npz", "imu")


def test_refuses_a_single_array(tmp_path: Path) -> None:
    np.save(tmp_path / "own.npy", np.zeros(3))
    with pytest.raises(InputError, match="one array"):
        arrays(tmp_path / "own.npy", "imu")


def test_refuses_a_damaged_array(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    np.savez_compressed(path, **content())
    damaged = bytearray(path.read_bytes())
    damaged[200:260] = bytes(60)
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"own\.npz.* is damaged at array 'x'"):
        arrays(path, "imu")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "modality", "num_domains", "shape"),
    [
        ("imu-spar", "imu", 20, (6, 200)),
        ("imu-hmp", "imu", 7, (3, 96)),
        ("multimodal-utd", "depth", 8, (10, 40, 40)),
        ("radar-uwb", "radar", 8, (1, 55)),
    ],
)
def test_real_files(real_data_root: Path, name: str, modality: str, num_domains: int, shape: tuple[int, ...]) -> None:
    fleet = arrays(real_data_root / f"{name}.npz", modality)
    assert len(fleet.domains) == num_domains
    assert {domain.samples.shape[1:] for domain in fleet.domains} == {shape}
