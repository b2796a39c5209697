"""What a whole training leaves with Weights & Biases."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hatlit.config import (
    AdaptConfig,
    DataConfig,
    ExpertsConfig,
    HaTConfig,
    SourcesConfig,
    TrainConfig,
    TrainerConfig,
)
from hatlit.experiments.display import Display
from hatlit.experiments.train import train

#: Reads the one run file below a folder.
Read = Callable[[Path], Any]


def test_a_training_logs_what_it_learns_offline(toy: Path, tmp_path: Path, logged: Read) -> None:
    config = TrainConfig(
        data=DataConfig("arrays", str(toy)),
        sources=SourcesConfig(encoders=["cnn_nano"], max_epochs=1),
        num_sources=2,
        trainer=TrainerConfig(max_epochs=2, accelerator="cpu"),
        adapt=AdaptConfig(steps=2),
        hat=HaTConfig(ExpertsConfig(steps=2)),
        out=str(tmp_path / "runs"),
        jobs=1,
        wandb="offline",
    )
    result = train(config, Display(silent=True))
    (folder,) = (tmp_path / "runs").iterdir()
    found = logged(folder)

    first, second = found.history[:2]
    assert (first["epoch"], second["epoch"]) == (0, 1)
    attention = {f"attention/{source}" for source in result["weighed"]}
    learned = {"loss/mixer", "loss/student", "mixer/accuracy", "dictionary/writes", "dictionary/best", "alpha"}
    assert second.keys() >= attention | learned
    assert sum(second[name] for name in attention) == pytest.approx(1)
    header, _, last = (folder / "metrics.csv").read_text().splitlines()
    written = dict(zip(header.split(","), last.split(","), strict=True))
    assert {name: float(value) for name, value in written.items()} == pytest.approx(
        {name: value for name, value in second.items() if name[0] != "_"}
    )

    final = found.summary
    assert {name: final[name] for name in ("accuracy", "labels_only", "mixer", "bytes")} == {
        name: result[name] for name in ("accuracy", "labels_only", "mixer", "bytes")
    }
    assert [row[0] for row in found.table["data"]][:2] == result["sources"]
    (run,) = found.of_kind("run")
    assert run["run_id"] == folder.name
    assert run["config"]["update"]["adapt"]["steps"] == 2


@pytest.mark.slow
def test_on_a_terminal_the_command_line_neither_asks_nor_leaves_anything_behind(toy: Path, tmp_path: Path) -> None:
    options = {
        "--data.name": "arrays",
        "--data.root": str(toy),
        "--sources.encoders": "[cnn_nano]",
        "--sources.max_epochs": "1",
        "--num_sources": "2",
        "--trainer.max_epochs": "2",
        "--trainer.accelerator": "cpu",
        "--adapt.steps": "2",
        "--hat.experts.steps": "2",
        "--out": str(tmp_path / "runs"),
        "--jobs": "1",
        "--wandb": "online",
    }
    command = [sys.executable, "-m", "hatlit", "train", *(part for option in options.items() for part in option)]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = read_all(ours)
    assert process.wait(20) == 0, shown
    assert "wandb:" not in shown
    assert shown.count("Weights & Biases") == 1
    running = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
    assert f"--pid {process.pid}" not in running


def read_all(terminal: int) -> str:
    """What a process writes to a terminal until it closes it."""
    shown = b""
    with os.fdopen(terminal, "rb", buffering=0) as stream:
        try:
            while part := stream.read(4096):
                shown += part
        except OSError:  # Linux says EIO where the other side is closed
            pass
    return shown.decode()
