from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hatlit.datamodules.base import DATASETS, DomainSet
from hatlit.datamodules.datasets.utd_mhad import ACTIONS, LAYOUTS, depth_frames, utd_mhad
from hatlit.errors import InputError

io = pytest.importorskip("scipy.io")
pytest.importorskip("PIL")

MODALITIES = ("depth", "imu", "skeleton")


def write(folder: Path, clip: str, seed: int = 0, **changed: Any) -> None:
    """Writes the three files of a clip in the published layout; None leaves one out."""
    rng = np.random.default_rng(seed)
    depth = np.zeros((60, 80, 21), dtype=np.uint16)
    depth[10:50, 20:60] = 2000 + rng.integers(0, 100, (40, 40, 21))
    content = {
        "Depth": {"d_depth": depth},
        "Inertial": {"d_iner": rng.normal(size=(100, 6))},
        "Skeleton": {"d_skel": rng.normal(size=(20, 3, 21))},
    } | changed
    for place, variables in content.items():
        (folder / place).mkdir(parents=True, exist_ok=True)
        if variables is not None:
            io.savemat(folder / place / f"{clip}_{place.lower()}.mat", variables, do_compression=True)


def published(folder: Path) -> Path:
    """Four clips of two people, one of them of an action that is left out."""
    own = folder / "utd-mhad"
    for seed, clip in enumerate(("a2_s1_t1", "a10_s1_t2", "a2_s8_t1", "a14_s1_t1")):
        write(own, clip, seed)
    return own


def read(folder: Path, modality: str = "imu") -> DomainSet:
    return utd_mhad(folder, modality)


@pytest.mark.parametrize("modality", MODALITIES)
def test_is_registered_for_every_modality(modality: str) -> None:
    assert DATASETS.get("utd_mhad", modality) is utd_mhad


@pytest.mark.parametrize(
    ("modality", "form", "dtype"),
    [("depth", (10, 40, 40), np.uint8), ("imu", (6, 180), np.float16), ("skeleton", (60, 40), np.float16)],
)
def test_a_clip_is_a_row_and_a_recording(tmp_path: Path, modality: str, form: tuple[int, ...], dtype: type) -> None:
    fleet = read(published(tmp_path), modality)
    assert (fleet.name, fleet.modality, fleet.names) == ("utd_mhad", modality, ["s1", "s8"])
    assert fleet.class_names == ACTIONS
    first, last = fleet.domains
    assert first.samples.shape == (2, *form)
    assert first.samples.dtype == dtype
    assert first.labels.tolist() == [1, 9]
    assert len({*first.groups, *last.groups}) == 3
    assert first.recorded.modality == modality
    assert (len(first.recorded.channels), *first.recorded.shape) == form


def test_channels_are_named() -> None:
    channels = {modality: layout.recorded.channels for modality, layout in LAYOUTS.items()}
    assert channels["imu"] == ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")
    assert channels["depth"] == tuple(f"frame_{number}" for number in range(10))
    assert channels["skeleton"][:4] == ("head_x", "head_y", "head_z", "shoulder_center_x")
    assert channels["skeleton"][27:30] == ("right_elbow_x", "right_elbow_y", "right_elbow_z")


def test_modalities_are_paired_though_a_file_is_missing(tmp_path: Path) -> None:
    own = published(tmp_path)
    (own / "Inertial" / "a10_s1_t2_inertial.mat").unlink()
    fleets = [read(own, modality) for modality in MODALITIES]
    for fleet in fleets:
        assert fleet.names == ["s1", "s8"]
        assert [domain.labels.tolist() for domain in fleet.domains] == [[1], [1]]
        assert [domain.groups.tolist() for domain in fleet.domains] == [[0], [1]]


def test_a_folder_that_is_not_there_does_not_count(tmp_path: Path) -> None:
    own = tmp_path / "utd-mhad"
    write(own, "a1_s3_t4", Depth=None)
    (own / "Depth").rmdir()
    assert len(read(own, "skeleton").domains[0]) == 1
    with pytest.raises(InputError, match=r"There is no utd-mhad/Depth .* --data\.root"):
        read(own, "depth")


@pytest.mark.parametrize("inside", ["", "utd-mhad", "utd-mhad/Inertial"])
def test_root_may_be_any_folder_of_the_layout(tmp_path: Path, inside: str) -> None:
    published(tmp_path)
    assert len(read(tmp_path / inside).domains) == 2


def test_series_are_stretched_from_end_to_end(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 91)[:, None] * np.arange(1, 7)
    write(tmp_path, "a1_s1_t1", Inertial={"d_iner": ramp})
    sample = read(tmp_path).domains[0].samples[0]
    assert np.allclose(sample, np.linspace(0, 1, 180) * np.arange(1, 7)[:, None], atol=2e-3)
    assert np.array_equal(sample[:, [0, -1]], ramp[[0, -1]].T.astype(np.float16))


def test_joints_keep_their_places(tmp_path: Path) -> None:
    still = np.arange(60.0).reshape(20, 3, 1).repeat(30, axis=2)
    write(tmp_path, "a1_s1_t1", Skeleton={"d_skel": still})
    assert np.array_equal(read(tmp_path, "skeleton").domains[0].samples[0], np.arange(60.0)[:, None].repeat(40, axis=1))


def test_depth_is_cut_to_the_body_and_counted_from_its_median() -> None:
    clip = np.zeros((200, 300, 19), dtype=np.uint16)
    clip[50:130, 100:120] = 2000  # 80 high, 20 wide: the square begins 30 to the left
    clip[50:52, 100:102, 18] = 1400  # 0.6 m before the median, and exactly one pixel
    clip[52:54, 100:102, 18] = 2600  # 0.6 m behind
    clip[54:56, 100:102, 18] = 900  # beyond the scale
    clip[50:130, 118, 0] = 0  # half of a pixel's columns, in the first frame
    frames = depth_frames(clip)
    assert frames.shape == (10, 40, 40)
    body = np.zeros((40, 40))
    body[:, 15:25] = 128
    assert np.array_equal(frames[4], body)
    assert frames[9, :4, 15].tolist() == [255, 1, 255, 128]
    assert frames[0, :, 24].tolist() == [64] * 40
    assert frames[0, :, 23].tolist() == [128] * 40


def test_depth_beyond_the_frame_is_background() -> None:
    clip = np.zeros((40, 200, 10), dtype=np.uint16)
    clip[5:20, 0:160] = 1500
    frames = depth_frames(clip)
    assert (frames[0] > 0).any(axis=1).sum() in (4, 5)
    assert (frames[0] > 0).any(axis=0).all()


@pytest.mark.parametrize(
    ("changed", "modality"),
    [
        ({"Inertial": {"other": np.zeros(3)}}, "imu"),
        ({"Inertial": {"d_iner": np.zeros((100, 3))}}, "imu"),
        ({"Inertial": {"d_iner": np.zeros((0, 6))}}, "imu"),
        ({"Inertial": {"d_iner": np.full((100, 6), np.nan)}}, "imu"),
        ({"Inertial": {"d_iner": "text"}}, "imu"),
        ({"Inertial": {"d_iner": np.array([{"a": 1}], dtype=object)}}, "imu"),
        ({"Skeleton": {"d_skel": np.zeros((20, 3))}}, "skeleton"),
        ({"Skeleton": {"d_skel": np.zeros((15, 3, 9))}}, "skeleton"),
        ({"Depth": {"d_depth": np.zeros((60, 80, 21), dtype=np.uint16)}}, "depth"),
        ({"Depth": {"d_depth": np.ones((60, 80), dtype=np.uint16)}}, "depth"),
    ],
)
def test_refuses_other_content(tmp_path: Path, changed: dict[str, Any], modality: str) -> None:
    write(tmp_path, "a1_s1_t1", **changed)
    with pytest.raises(InputError, match=r"a1_s1_t1_[a-z]+\.mat' is damaged or holds no recording 'd_"):
        read(tmp_path, modality)


def test_refuses_a_damaged_file(tmp_path: Path) -> None:
    write(tmp_path, "a1_s1_t1")
    path = tmp_path / "Inertial" / "a1_s1_t1_inertial.mat"
    for content in (path.read_bytes()[:300], b"", b"not a matlab file" * 20):
        path.write_bytes(content)
        with pytest.raises(InputError, match="damaged"):
            read(tmp_path)


def test_a_file_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a1_s1_t1")
    monkeypatch.setattr("hatlit.datamodules.datasets.utd_mhad._LARGEST", 599)
    with pytest.raises(InputError, match=r"shape \(100, 6\)"):
        read(tmp_path)


def test_refuses_no_root_and_folders_without_clips(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data\.root"):
        utd_mhad(None, "imu")
    write(tmp_path, "a14_s1_t1")
    with pytest.raises(InputError, match=r"no clip named like Inertial/a1_s1_t1_inertial\.mat"):
        read(tmp_path)


@pytest.mark.real_data
@pytest.mark.parametrize("modality", MODALITIES)
def test_same_rows_as_the_npz(real_data_root: Path, tmp_path: Path, modality: str) -> None:
    folder = tmp_path / LAYOUTS[modality].folder
    folder.mkdir()
    for file in (real_data_root / "raw" / "multimodal" / "utd-mhad" / folder.name).glob("a[36]_s[1278]_*"):
        (folder / file.name).symlink_to(file)
    fleet = read(tmp_path, modality)
    with np.load(real_data_root / "multimodal-utd.npz", allow_pickle=False) as known:
        row_of = {str(clip): row for row, clip in enumerate(known["clip"])}
        samples, class_names = known[f"x_{modality}"], tuple(known["class_names"].tolist())
    assert fleet.class_names == class_names
    assert sum(map(len, fleet.domains)) == 8
    for domain in fleet.domains:
        rows = [row_of[f"a{label + 1}_{domain.name}_t1"] for label in domain.labels]
        assert domain.samples.dtype == samples.dtype
        assert np.array_equal(domain.samples, samples[rows])
