"""Source view and target view may be different modalities of the same samples."""

import json

import numpy as np
import pytest

from hatlit.zoo.store import Zoo

# Nobody looks at the pictures of these runs.
pytestmark = pytest.mark.usefixtures("without_pictures")

QUICK = (
    "--sources.encoders cnn_nano --sources.max_epochs 2 --trainer.max_epochs 3 --adapt.steps 3 "
    "--hat.experts.steps 2 --jobs 1"
).split()


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    """Three people, an IMU window and a depth picture of each moment."""
    random = np.random.default_rng(0)
    rows = 90
    labels = np.arange(rows) % 3
    angle = np.arange(32) / 16 * 2 * np.pi * (1 + labels[:, None, None])
    series = np.sin(angle) + 0.3 * random.normal(size=(rows, 3, 32))
    pictures = random.integers(1, 60, (rows, 1, 12, 12))
    for row, label in enumerate(labels):
        pictures[row, 0, 4 * label : 4 * label + 4] += 150
    path = tmp_path_factory.mktemp("paired") / "paired.npz"
    np.savez(
        path,
        x_imu=series.astype(np.float32),
        x_depth=pictures.astype(np.uint8),
        sample_rate_imu=np.array(16.0),
        y=labels,
        domain=np.arange(rows) // 30,
        class_names=np.array(["slow", "fast", "still"]),
        domain_names=np.array(["ann", "bob", "eve"]),
    )
    return path


@pytest.fixture
def run(hatlit, paired, tmp_path):
    def go(*words):
        data = ["--data.name", "arrays", "--data.root", paired, "--out", tmp_path / "runs", "--wandb", "off"]
        code, output, errors = hatlit("train", *data, *QUICK, *words)
        folders = sorted((tmp_path / "runs").glob("*/result.json"))
        return code, output, errors, folders[-1].parent if folders else None

    return go


@pytest.mark.parametrize("method", ["hat", "best_source"])
def test_depth_sources_teach_an_imu_student(run, method):
    code, output, errors, folder = run("--modality", "imu", "--sources.modality", "depth", "--method", method)
    assert (code, errors) == (0, "")
    assert "the sources see the depth recordings of the same samples" in output
    result = json.loads((folder / "result.json").read_text())
    # best_source is a source itself, so what it leaves behind looks at depth.
    seen = {"hat": "imu", "best_source": "depth"}[method]
    assert result["student"]["view"]["modality"] == seen
    assert result["modality"] == "imu"
    (card,) = Zoo.open(folder / "student").cards()
    assert card.modality == seen
    assert card.accuracy == pytest.approx(result["accuracy"])


def test_a_zoo_of_the_sources_modality_serves(hatlit, run, paired, tmp_path):
    build = ["--modality", "depth", "--data.name", "arrays", "--data.root", paired, "--out", tmp_path / "zoo"]
    assert hatlit("zoo", "build", *build, *QUICK[:4], "--jobs", 1)[0] == 0
    asked = ["--modality", "imu", "--zoo", tmp_path / "zoo"]
    assert run(*asked, "--sources.modality", "depth")[0] == 0
    code, _, errors, _ = run(*asked, "--target", "bob")
    assert code == 2
    assert "depth" in errors


def test_a_modality_that_the_data_lack_is_refused(run):
    code, _, errors, _ = run("--modality", "imu", "--sources.modality", "radar")
    assert code == 2
    assert "has no array 'x'" in errors


def test_recordings_that_are_not_paired_are_refused(hatlit, tmp_path):
    code, _, errors = hatlit("train", "--modality", "imu", "--sources.modality", "depth", "--out", tmp_path)
    assert code == 2
    assert "not paired" in errors


def test_a_device_that_sees_less_gets_a_student_that_needs_no_more(run):
    code, _, errors, folder = run("--modality", "imu", "--device.rate", "8", "--device.channels", "channel_0,channel_2")
    assert (code, errors) == (0, "")
    view = json.loads((folder / "result.json").read_text())["student"]["view"]
    assert (view["channels"], view["shape"], view["rate"]) == (["channel_0", "channel_2"], [16], 8.0)
    sources = json.loads((folder / "selection.json").read_text())["sources"]
    assert any(source["selected"] for source in sources)
    code, _, errors, _ = run("--modality", "depth", "--device.shape", "4,4")
    assert code == 2
    assert "at least" in errors or "name one with --student" in errors
