"""Two processes that train together come to what one process comes to."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

OPTIONS = (
    "--data.name arrays --sources.encoders cnn_nano --sources.max_epochs 3 --trainer.max_epochs 5 --adapt.steps 4 "
    "--hat.experts.steps 2 "
    "--labels.fraction 0.5 --trainer.accelerator cpu --trainer.batch_size 16 --hat.mixer.train_heads true --jobs 1 "
    "--wandb off --target person-1"
).split()


@pytest.mark.slow
def test_two_processes_agree_with_one_on_the_same_global_batch(arrays, tmp_path):
    students, results = [], []
    for devices in (1, 2):
        out = tmp_path / str(devices)
        command = [sys.executable, "-m", "hatlit", "train", "--data.root", str(arrays), *OPTIONS]
        finished = subprocess.run(
            [*command, "--trainer.devices", str(devices), "--out", str(out)],
            capture_output=True,
            text=True,
            timeout=240,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert finished.returncode == 0, finished.stderr
        assert finished.stdout.count("macro F1") == 1, "only the first process may speak"
        students.append(load_file(next(out.glob("*/student/sources/*/model.safetensors"))))
        results.append(json.loads(next(out.glob("*/result.json")).read_text()))
    for name, tensor in students[0].items():
        assert torch.allclose(tensor, students[1][name], atol=2e-4), name
    assert results[0]["labels_fingerprint"] == results[1]["labels_fingerprint"]
    assert results[0]["accuracy"] == pytest.approx(results[1]["accuracy"], abs=0.06)
