"""Processes that train together, on one machine or on two, come to what one process comes to."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

PAGE = Path(__file__).parents[2] / "docs" / "distributed.md"

#: Seven of the thirteen rows of a batch are unlabelled, and two processes cannot share the six others and the seven
#: evenly: one has seven rows, three of them labelled, and the other has six.
OPTIONS = (
    "--data.name arrays --sources.encoders cnn_nano --sources.max_epochs 3 --trainer.max_epochs 5 --adapt.steps 4 "
    "--hat.experts.steps 2 "
    "--labels.fraction 0.5 --trainer.accelerator cpu --trainer.batch_size 13 --hat.mixer.train_heads true --jobs 1 "
    "--wandb off --target person-1"
).split()


def on_this_machine(data, out):
    """The command of one machine."""
    command = [sys.executable, "-m", "hatlit", "train", "--data.root", str(data), *OPTIONS]
    return [[*command, "--trainer.devices", "2", "--out", str(out)]]


def on_two_machines(data, out):
    """The commands of two machines, as the page says; both are this one."""
    (line,) = re.findall(r"^torchrun .*", PAGE.read_text(), re.MULTILINE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        line = line.replace("29500", str(free.getsockname()[1])).replace("$FIRST", "127.0.0.1")
    return [
        [sys.executable, "-m", "torch.distributed.run", *shlex.split(line.replace("$RANK", rank))[1:], *more]
        for rank in "01"
        for more in [["--data.root", str(data), *OPTIONS, "--out", str(out)]]
    ]


def run(commands):
    """Runs commands side by side; returns what each prints."""
    started = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for command in commands
    ]
    ended = [process.communicate(timeout=240) for process in started]
    for process, (_, errors) in zip(started, ended, strict=True):
        assert process.returncode == 0, errors
    return [output for output, _ in ended]


@pytest.mark.slow
def test_several_processes_agree_with_one_on_the_same_global_batch(hatlit, arrays, tmp_path):
    alone = hatlit("train", "--data.root", arrays, *OPTIONS, "--out", tmp_path / "one process")
    assert alone[0] == 0, alone
    ways = {
        "one process": [],
        "two processes": on_this_machine(arrays, tmp_path / "two processes"),
        "two machines": on_two_machines(arrays, tmp_path / "two machines"),
    }
    students, results = {}, {}
    for way, commands in ways.items():
        printed = run(commands)
        assert [output.count("macro F1") for output in printed] == [1, 0][: len(printed)], "only the first may speak"
        students[way] = load_file(next((tmp_path / way).glob("*/student/sources/*/model.safetensors")))
        results[way] = json.loads(next((tmp_path / way).glob("*/result.json")).read_text())
    for way, student in students.items():
        for name, tensor in students["one process"].items():
            torch.testing.assert_close(student[name], tensor, atol=2e-4, rtol=0, msg=f"{way}: {name}")
        assert results[way]["labels_fingerprint"] == results["one process"]["labels_fingerprint"]
        assert results[way]["accuracy"] == pytest.approx(results["one process"]["accuracy"], abs=0.06)
