"""A run that is killed goes on where it stopped and ends with the very same student."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

# Nobody looks at the pictures of these runs.
pytestmark = pytest.mark.usefixtures("without_pictures")

PLUGIN = """
from torch import nn
from hatlit.encoders.base import register_encoder

@register_encoder("imu")
class Forgetful(nn.Module):
    '''Dropout makes every step draw random numbers.'''

    def __init__(self, input_spec):
        super().__init__()
        self.input_spec, self.feature_dim = input_spec, 16
        size = input_spec.num_channels * input_spec.shape[0]
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(size, 16), nn.GELU(), nn.Dropout(0.3))

    def forward(self, view):
        return self.layers(view)
"""


def student_bytes(out):
    return next(out.glob("*/student/sources/*/model.safetensors")).read_bytes()


def epochs_done(out):
    tables = list(out.glob("*/metrics.csv"))
    return len(tables[0].read_text().splitlines()) - 1 if tables else 0


@pytest.fixture(scope="module")
def options(tmp_path_factory, arrays):
    plugin = tmp_path_factory.mktemp("plugin") / "forgetful.py"
    plugin.write_text(PLUGIN)
    return [
        *f"train --data.name arrays --data.root {arrays} --plugin {plugin} --student forgetful --jobs 1".split(),
        *"--sources.encoders cnn_nano --sources.max_epochs 3 --trainer.max_epochs 40 --trainer.augment true".split(),
        *"--hat.mixer.train_heads true --trainer.checkpoint_seconds 0 --target person-1 --wandb off".split(),
        *"--adapt.steps 4 --hat.experts.steps 2".split(),
    ]


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_student_bit_for_bit(hatlit, options, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert hatlit(*options, "--out", whole)[0] == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "hatlit", *options, "--out", str(broken)],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 600  # for a run that hangs; a busy machine may take its time
    while epochs_done(broken) < 8 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    reached = epochs_done(broken)
    assert 8 <= reached < 40, "the run was not killed in the middle"
    assert not list(broken.glob("*/done"))
    code, output, errors = hatlit(*options, "--out", broken)
    assert (code, errors) == (0, "")
    assert "going on from" in output
    assert student_bytes(whole) == student_bytes(broken)
    rows = [next(out.glob("*/metrics.csv")).read_text() for out in (whole, broken)]
    assert rows[0] == rows[1]


def test_going_on_with_another_zoo_is_refused(hatlit, options, tmp_path, monkeypatch):
    out, options = tmp_path / "runs", [*options, "--trainer.max_epochs", 4]
    assert hatlit(*options, "--out", out)[0] == 0
    next(out.glob("*/done")).unlink()
    monkeypatch.setattr("hatlit.methods.hat.weights_hash", lambda source: "another")
    code, _, errors = hatlit(*options, "--out", out)
    assert code == 2
    assert "began with other sources" in errors


LONG = "--data.name arrays --sources.encoders cnn_nano --sources.max_epochs 20 --jobs 1"
COMMANDS = {
    "train": f"train {LONG} --wandb off",
    "zoo build": f"zoo build {LONG}",
    "expand": f"expand {LONG} --initial 2 --join 1 --rounds 1",
    "compare": f"compare {LONG} --methods hat --targets 1 --seeds 1 --wandb off",
    "study": f"study labels {LONG} --targets 1 --seeds 1",
}


INTERRUPTED = (signal.SIGINT, 130, "hatlit: stopped; the same command goes on where this one was.\n")
TERMINATED = (signal.SIGTERM, 143, "hatlit: ended by SIGTERM; the same command goes on where this one was.\n")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("train", INTERRUPTED),
        ("zoo build", TERMINATED),
        ("zoo build", INTERRUPTED),
        ("expand", TERMINATED),
        ("expand", INTERRUPTED),
        ("compare", INTERRUPTED),
        ("study", TERMINATED),
    ],
    ids=lambda one: one if isinstance(one, str) else one[0].name,
)
def test_a_signal_while_sources_are_trained(hatlit, arrays, tmp_path, monkeypatch, command, answer):
    """The signal comes from within, in the second source's training; the first is there already and stays."""
    from hatlit.zoo import fit

    number, code, line = answer
    trained, handlers = [], [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    whole, step = fit.fit, fit._SourceTraining.training_step

    def counted(*arguments):
        trained.append(1)
        whole(*arguments)

    def interrupted(self, batch, place):
        if len(trained) == 2:
            os.kill(os.getpid(), number)
        return step(self, batch, place)

    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fit, "fit", counted)
    monkeypatch.setattr(fit._SourceTraining, "training_step", interrupted)
    ended, _, errors = hatlit(*COMMANDS[command].split(), "--data.root", arrays, "--out", tmp_path / "out")
    assert (ended, errors) == (code, line)
    assert len(trained) == 2, "nothing more was trained"
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert len(list(tmp_path.rglob("model.safetensors"))) == 1, "what was done before is kept"


def test_ctrl_c_ends_with_130_and_a_line_how_to_go_on(hatlit, options, tmp_path, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)

    def stop(self, trainer, pl_module):
        if trainer.current_epoch == 2:
            raise KeyboardInterrupt

    out, options = tmp_path / "runs", [*options, "--trainer.max_epochs", 4]
    with monkeypatch.context() as patch:
        patch.setattr("hatlit.experiments.fitting.EpochCounter.on_train_epoch_end", stop)
        code, _, errors = hatlit(*options, "--out", out)
    signal.signal(signal.SIGINT, handler)
    assert code == 130
    assert errors == "hatlit: stopped; the same command goes on where this one was.\n"
    assert not list(out.glob("*/done"))
    assert hatlit(*options, "--out", out)[0] == 0


@pytest.fixture
def interrupted(hatlit, arrays, tmp_path, monkeypatch):
    """A command that was interrupted in its first epoch; returns it."""
    handler = signal.getsignal(signal.SIGINT)

    def stop(self, trainer, pl_module):
        raise KeyboardInterrupt

    data = tmp_path / "people.npz"
    data.write_bytes(arrays.read_bytes())
    words = "train --data.name arrays --method labels_only --trainer.max_epochs 2 --wandb off --target person-1".split()
    words += ["--data.root", data, "--out", tmp_path / "runs"]
    with monkeypatch.context() as patch:
        patch.setattr("hatlit.experiments.fitting.EpochCounter.on_train_epoch_end", stop)
        assert hatlit(*words)[0] == 130
    signal.signal(signal.SIGINT, handler)
    return words


def change_data(path):
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, "x": 2 * arrays["x"]})


def change_classes(path):
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, "class_names": np.array(["slow", "quick", "still"])})


@pytest.mark.parametrize(
    ("options", "change", "different"),
    [
        (["--optimizer.learning_rate", "0.5"], None, ["optimizer.learning_rate"]),
        (["--labels.per_class", "2"], None, ["labels.per_class", "labels"]),
        ([], change_data, ["labels", "sources"]),
        ([], change_classes, ["labels", "sources"]),
    ],
    ids=["an option", "the labels", "the data", "the classes"],
)
def test_an_interrupted_run_is_not_gone_on_with_where_something_is_different(
    hatlit, interrupted, tmp_path, options, change, different
):
    if change:
        change(tmp_path / "people.npz")
    code, output, _ = hatlit(*interrupted, *options)
    assert code == 0
    (line,) = [line for line in output.splitlines() if "was interrupted and is left alone; different now: " in line]
    assert re.findall(r"([\w.]+) \([^()]*, now [^()]*\)", line) == different
    assert "going on from" not in output
    assert len(list((tmp_path / "runs").glob("*/config.yaml"))) == 2
    assert hatlit(*interrupted, *options)[1].count("is left alone") == 0, "it is done, and says no more than that"
