"""The quick form of benchmarks/interruptions.py: a kill, after which everything is as if there had been none."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "interruptions.py"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="jobs are forked")


@pytest.mark.slow
def test_a_killed_job_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("What was there.\n\n## Tried\n\nOf before.\n")
    words = ["--kinds", "zoo build", "--kills", "1", "--out", tmp_path / "counts.json", "--page", page]
    done = subprocess.run([sys.executable, PROGRAM, *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    text = page.read_text()
    assert text.startswith("What was there.\n\n## Tried\n")
    assert "Of before" not in text
    assert "1 time with SIGKILL" in text
    assert "All that was counted is as promised." in text


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("interruptions", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["interruptions"] = module  # where its dataclasses look for their types
    spec.loader.exec_module(module)
    return module


def test_half_a_file_is_found(program: ModuleType, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    (tmp_path / "a.json").write_text(json.dumps({"numbers": list(range(50))}))
    (tmp_path / "a.csv").write_text("one,two\n1,22222222222222222222222\n")
    (tmp_path / "a.html").write_text("<html><p>text</p></html>\n")
    save_file({"weight": torch.ones(100)}, tmp_path / "a.safetensors")
    torch.save({"weight": torch.ones(100)}, tmp_path / "a.ckpt")
    Figure().savefig(tmp_path / "a.png")
    for path in sorted(tmp_path.iterdir()):
        assert program.is_whole(path), path
        data = path.read_bytes()
        for share in np.linspace(0.3, 0.95, 5):
            path.write_bytes(data[: int(share * len(data))])
            assert not program.is_whole(path), (path, share)


def test_what_is_not_as_promised_is_counted(program: ModuleType, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for place in (whole, broken):
        (place / "out").mkdir(parents=True)
        (place / "out" / "results.csv").write_text("method,training_seconds\nhat,1.0\n")
        (place / "out" / "model.safetensors").write_bytes(b"weights")
    tally = program.Tally()
    (broken / "out" / "results.csv").write_text("method,training_seconds\nhat,2.0\n")
    program.compare_ends(broken, whole, tally)
    assert tally.is_sound
    (broken / "out" / "results.csv").write_text("method,training_seconds\nhat,1.0\nhat,2.0\n")
    (broken / "out" / "model.safetensors").write_bytes(b"others")
    (broken / "out" / ".a.partial").write_bytes(b"")
    (broken / "out" / "more").write_bytes(b"")
    program.compare_ends(broken, whole, tally)
    assert (tally.ended, tally.identical, tally.leftover, tally.twice) == (2, 1, 1, 1)
    assert tally.other == ["out/more is there in one case only"]
    assert not tally.is_sound
