from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hatlit.datamodules.base import DomainSet
from hatlit.datamodules.datasets.arrays import arrays
from hatlit.datamodules.datasets.mtranssee import (
    BINS,
    CHANNELS,
    FRAMES,
    POINTS,
    REPETITIONS,
    draw_maps,
    gather_points,
    mtranssee,
    mtranssee_points,
)
from hatlit.errors import InputError

HEADER = "Frame #,# Obj,X,Y,Z,Doppler,Intensity"


def rows(first: int, frames: int, y: float = 1.0) -> list[str]:
    """One point a frame."""
    return [f"{frame},1,0.5,{y},-0.25,1.0,16" for frame in range(first, first + frames)]


def write(root: Path, user: int, distance: str, gesture: str, lines: list[str]) -> Path:
    folder = root / "experimental_scenario_without_reflectors" / f"{user}_positionFree"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{user}_{distance}m_{gesture}.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two users, two distances, and what the reader must pass over."""
    write(tmp_path, 10, "1.2", "UP", [*rows(5, 10), *rows(20, 8)])
    write(tmp_path, 2, "1.2", "CR", rows(0, 9))
    write(tmp_path, 2, "1.2", "PS", [line for start in range(0, 400, 20) for line in rows(start, 12)])
    write(tmp_path, 2, "3.0", "CR", rows(0, 9))
    write(tmp_path, 2, "3.0", "KO", [])
    write(tmp_path, 2, "3.0", "XX", ["another gesture"])
    return tmp_path


@pytest.mark.parametrize("inside", ["", "experimental_scenario_without_reflectors"])
def test_a_domain_is_a_person_at_a_distance(root: Path, inside: str) -> None:
    fleet = mtranssee(root / inside, "radar")
    assert fleet.names == ["user2@1.2m", "user2@3.0m", "user10@1.2m"]
    assert fleet.class_names == ("CR", "KO", "PL", "PS", "UP")
    near = fleet.domain("user2@1.2m")
    assert near.labels.tolist() == [0, *[3] * REPETITIONS]
    assert near.samples.shape == (1 + REPETITIONS, 4, BINS, FRAMES)
    assert near.samples.dtype == np.uint8
    assert near.recorded.axes == ("bin", "time")
    assert near.recorded.rate == 10.0
    assert len(set(near.groups)) == len(near)


@pytest.mark.parametrize(
    ("lines", "lengths"),
    [
        ([*rows(0, 10), *rows(16, 9)], [10, 9]),
        ([*rows(0, 10), *rows(15, 9)], [24]),
        ([*rows(0, 8), *rows(20, 7), *rows(40, 1), *rows(60, 8)], [8, 8]),
        ([*rows(500, 10), *rows(0, 9)], [10, 9]),
        ([*rows(0, 3), *rows(6, 3)], [9]),
    ],
    ids=["a pause of seven frames", "one of six", "stray echoes", "a counter that starts anew", "empty frames within"],
)
def test_what_counts_as_a_gesture(tmp_path: Path, lines: list[str], lengths: list[int]) -> None:
    write(tmp_path, 1, "1.2", "CR", lines)
    clouds = mtranssee_points(tmp_path, "radar").domains[0].samples
    assert [round(10 * cloud[0].max()) + 1 for cloud in clouds] == lengths


def test_range_counts_from_the_median_of_the_file(tmp_path: Path) -> None:
    write(tmp_path, 1, "1.2", "CR", [*rows(0, 8, y=1.0), *rows(20, 8, y=3.0), *rows(40, 8, y=3.5)])
    clouds = mtranssee_points(tmp_path, "radar").domains[0].samples
    assert [cloud[2, 0] for cloud in clouds] == [-2.0, 0.0, 0.5]


def test_maps_by_hand() -> None:
    #             time,    x,    y,    z, doppler, intensity
    gesture = np.array(
        [
            [0.0, -1.2, -1.0, -1.2, -3.5, 4],
            [0.0, 0.0, 0.0, 0.0, 0.0, 9],
            [0.1, 0.07, 0.06, 0.07, 0.21, 2],
            [0.1, 0.0, 0.0, 0.0, 0.0, 3],
            [2.1, 1.2, 1.0, 9.0, 3.5, 5000],
            [2.1, -9.0, -9.0, -9.0, -9.0, -1],
        ]
    )
    expected = np.zeros((4, BINS, FRAMES))
    expected[:, 0, 1], expected[:, 16, 1] = 8, 12  # of 22 frames, so the first is number 1 of 24
    expected[:, 16, 2] = int(4 * (2**0.5 + 3**0.5))
    expected[:, 31, 22] = 255
    assert np.array_equal(draw_maps(gesture), expected)
    assert draw_maps(gesture).dtype == np.uint8


def test_a_long_gesture_is_cropped_around_its_middle() -> None:
    gesture = np.column_stack([np.arange(31) / 10, np.zeros((31, 4)), np.arange(31.0) ** 2])
    assert np.array_equal(draw_maps(gesture)[0, 16], 4 * np.arange(3, 27))


@pytest.mark.parametrize(("detections", "expected"), [(3, [0, 1, 2, 0, 1, 2]), (2 * POINTS, [0, 2, 4, 6, 8, 10])])
def test_points_come_over_and_over_or_evenly_spread(detections: int, expected: list[int]) -> None:
    gesture = np.arange(float(detections))[:, None] + np.arange(6) / 10
    cloud = gather_points(gesture)
    assert cloud.shape == (len(CHANNELS), POINTS)
    assert cloud[0, :6].tolist() == expected
    np.testing.assert_allclose(cloud[3], cloud[0] + 0.3, rtol=1e-6)


@pytest.mark.parametrize("row", ["1,1,0.5,1,1,1", "1,1,0.5,1,1,1,2,3", "1,1,x,1,1,1,2", "1,1,nan,1,1,1,2"])
def test_malformed_row_is_refused(root: Path, row: str) -> None:
    path = write(root, 1, "1.2", "KO", [*rows(0, 9), row])
    with pytest.raises(InputError) as refusal:
        mtranssee(root, "radar")
    assert path.name in str(refusal.value)


@pytest.mark.parametrize("reader", [mtranssee, mtranssee_points])
def test_refuses_no_root_and_folders_without_gestures(reader, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"'{reader.__name__}' reads files.*--data\.root"):
        reader(None, "radar")
    with pytest.raises(InputError, match="experimental_scenario_without_reflectors"):
        reader(tmp_path, "radar")
    write(tmp_path, 1, "1.2", "CR", rows(0, 7))
    with pytest.raises(InputError, match="no gesture"):
        reader(tmp_path, "radar")


@pytest.fixture(scope="module")
def published(real_data_root: Path) -> DomainSet:
    return mtranssee(real_data_root / "raw" / "radar" / "mtranssee", "radar")


@pytest.mark.real_data
def test_same_arrays_as_the_npz(published: DomainSet, real_data_root: Path) -> None:
    reference = arrays(real_data_root / "radar-mtranssee.npz", "radar")
    assert published.class_names == reference.class_names
    assert {"user1@1.2m", "user1@3.0m", "user2@1.2m", "user3@1.2m"} <= set(published.names)
    for own in published.domains:
        known = reference.domain(own.name)
        assert np.array_equal(own.samples, known.samples)
        assert np.array_equal(own.labels, known.labels)
        assert own.recorded == known.recorded


@pytest.mark.real_data
def test_points_are_of_the_same_gestures(published: DomainSet, real_data_root: Path) -> None:
    clouds = mtranssee_points(real_data_root / "raw" / "radar" / "mtranssee", "radar")
    assert clouds.names == published.names
    for cloud, maps in zip(clouds.domains, published.domains, strict=True):
        assert np.array_equal(cloud.labels, maps.labels)
        assert cloud.samples.shape == (60, 6, POINTS)
        assert np.isfinite(cloud.samples).all()
        assert (np.diff(cloud.samples[:, 0, :7]) >= 0).all(), "in the order in which they were detected"
