"""Where no source helps, HaT falls back to the labels: real recordings, and none but control sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hatlit.config import CompareConfig, DataConfig, SourcesConfig, TrainConfig
from hatlit.datamodules.base import DomainSet
from hatlit.experiments.compare import choose_targets
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import add_controls, read_domains, zoo_info
from hatlit.experiments.pool import run_one
from hatlit.experiments.summary import against
from hatlit.options import parse
from hatlit.zoo.store import Zoo

QUICK = (
    "--student cnn_nano --trainer.max_epochs 10 --adapt.steps 5 --hat.experts.steps 40 --hat.injection.blends 1 "
    "--wandb off"
)


def controls(data: DomainSet, targets: Sequence[str], folder: Path) -> Zoo:
    """A zoo of sources with random weights and of ones that learned shuffled labels, two each, of no target."""
    config = SourcesConfig(encoders=["cnn_nano"], max_epochs=2)
    zoo = Zoo.create(folder, zoo_info(data, config))
    others = [domain for domain in data.domains if domain.name not in targets]
    for number, domain in enumerate(others[:2]):
        add_controls(zoo, data, domain, config, number)
    return zoo


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(("modality", "name"), [("imu", "imu-spar"), ("radar", "radar-uwb")])
def test_with_controls_alone_labels_only_lies_within_the_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_data_root: Path, modality: str, name: str
) -> None:
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
    file = real_data_root / f"{name}.npz"
    if not file.is_file():
        pytest.skip(f"there is no {file}")
    data = read_domains(modality, DataConfig(name="arrays", root=str(file)), Display(silent=True))
    targets = choose_targets(data, CompareConfig(targets="2"))
    zoo = controls(data, targets, tmp_path / "zoo")
    rows = []
    for target in targets:
        for method in ("hat", "labels_only"):
            words = f"--modality {modality} --data.name arrays --data.root {file} --zoo {zoo.url} --target {target}"
            words += f" --method {method} --out {tmp_path / 'runs'} {QUICK}"
            rows.append(run_one(parse(TrainConfig, "train", "", words.split())))
    assert not any(row["failed"] for row in rows)
    pairs = against(*([row for row in rows if row["method"] == method] for method in ("hat", "labels_only")))
    assert pairs is not None
    assert pairs["difference"]["high"] >= 0
