"""A tiny data set in the bring-your-own layout, and the command line as a function."""

import numpy as np
import pytest

from hatlit.cli import main

CLASSES = np.array(["slow", "fast", "still"])

#: Options that make a run quick; what they make worse is not what these tests are about.
QUICK = (
    "--sources.encoders cnn_nano,tcn_nano --sources.max_epochs 3 --trainer.max_epochs 4 --adapt.steps 4 "
    "--hat.experts.steps 2 --jobs 1 --wandb off"
).split()


def make_arrays(path, people=4, rows=60, **changes):
    rng = np.random.default_rng(0)
    parts, labels, domains = [], [], []
    for person in range(people):
        label = np.arange(rows) % 3
        tilt = rng.normal(size=(1, 3, 1))
        rate = np.array([1.0, 2.5, 0.0])[label] * rng.normal(1, 0.05, rows)
        wave = np.sin(2 * np.pi * (rate[:, None] * np.arange(32) / 16 + rng.random((rows, 1))))[:, None]
        parts.append(wave * (1 + 0.4 * tilt) + 0.3 * tilt + 0.3 * rng.normal(size=(rows, 3, 32)))
        labels.append(label)
        domains.append(np.full(rows, person))
    arrays = {
        "x": np.concatenate(parts).astype(np.float16),
        "y": np.concatenate(labels),
        "domain": np.concatenate(domains),
        "class_names": CLASSES,
        "domain_names": np.array([f"person-{person}" for person in range(people)]),
        "sample_rate": np.array(16.0),
        "channel_names": np.array(["acc_x", "acc_y", "acc_z"]),
    } | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(session_cache, monkeypatch):
    """All tests here share the sources they train, and nothing with the user's own cache."""
    monkeypatch.setenv("HATLIT_CACHE", str(session_cache))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


@pytest.fixture(scope="session")
def arrays(tmp_path_factory):
    return make_arrays(tmp_path_factory.mktemp("data") / "people.npz")


@pytest.fixture(scope="session")
def mute(tmp_path_factory):
    """The same people, of whom person-3 has no label at all."""
    labels = np.tile(np.arange(60) % 3, 4)
    labels[180:] = -1
    return make_arrays(tmp_path_factory.mktemp("data") / "mute.npz", y=labels)


@pytest.fixture
def hatlit(capsys):
    """Runs a command in this process; returns exit code, standard output and standard error."""

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def train(hatlit, arrays, tmp_path):
    """Runs ``hatlit train`` quickly on the tiny data set; returns exit code, output, errors and the run folder."""

    def run(*words, out=tmp_path / "runs", data=arrays):
        code, output, errors = hatlit(
            "train", "--data.name", "arrays", "--data.root", data, "--out", out, *QUICK, *words
        )
        folders = [path.parent for path in out.glob("*/config.yaml")] if out.is_dir() else []
        return code, output, errors, max(folders, key=lambda path: path.stat().st_mtime, default=None)

    return run
