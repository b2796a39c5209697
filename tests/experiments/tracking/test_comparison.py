"""What a comparison leaves with Weights & Biases."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hatlit.config import AdaptConfig, CompareConfig, DataConfig, SourcesConfig, TrainerConfig
from hatlit.experiments.compare import compare
from hatlit.experiments.display import Display

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process", "without_pictures")
def test_a_comparison_is_one_group_that_wandb_sync_finds(
    toy: Path, tmp_path: Path, logged: Callable[[Path], Any]
) -> None:
    out = tmp_path / "comparison"
    config = CompareConfig(
        data=DataConfig("arrays", str(toy)),
        sources=SourcesConfig(encoders=["cnn_nano"], max_epochs=1),
        num_sources=2,
        trainer=TrainerConfig(max_epochs=1, accelerator="cpu"),
        adapt=AdaptConfig(steps=1),
        methods="labels_only,kd",
        targets="ann",
        seeds=1,
        jobs=1,
        wandb="offline",
        out=str(out),
    )
    compare(dict.fromkeys(config.methods, config), Display(silent=True))

    folders = [out, *sorted((out / "runs").iterdir())]
    runs = [logged(folder) for folder in folders]
    described = [run.of_kind("run")[0] for run in runs]
    assert len(described) == 3, "one of the comparison and one of each run"
    assert len({run["run_group"] for run in described}) == 1
    assert described[0]["run_group"]
    assert {row[0] for row in runs[0].table["data"]} == {"labels_only", "kd"}
    assert {"report.html", "results.csv", "summary.json"} <= set(artifact_names(runs[0]))

    (documented,) = re.findall(r"^wandb sync (comparison/.*)$", (ROOT / "docs/weights-and-biases.md").read_text(), re.M)
    found = {path for pattern in documented.split() for path in tmp_path.glob(pattern)}
    assert found == {path for folder in folders for path in (folder / "wandb").glob("offline-run-*")}
    assert len(found) == 3


def artifact_names(run: Any) -> list[str]:
    """Names of the files of a run's artifacts."""
    return [entry["path"] for one in run.of_kind("artifact") for entry in one["manifest"]["contents"]]
