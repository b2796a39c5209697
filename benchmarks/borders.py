"""The borders of hatlit: places where files of others come in, each with what damages such a file and what reads it."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

import hatlit
from damage import damage_json, damage_npz, damage_safetensors, damage_yaml
from hatlit.config import TrainConfig
from hatlit.datamodules.base import build_view
from hatlit.datamodules.datasets.arrays import arrays
from hatlit.encoders.base import ENCODERS, InputSpec, build_classifier
from hatlit.errors import InputError
from hatlit.export.artifact import Recording
from hatlit.files import write_atomically
from hatlit.options import parse
from hatlit.zoo.card import Statistic, StatisticsSpec, Training, ZooInfo
from hatlit.zoo.folder import open_folder
from hatlit.zoo.index import load_index
from hatlit.zoo.segments import list_segments
from hatlit.zoo.store import Zoo

SPEC = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(32,), rate=20.0)
INFO = ZooInfo(modality="imu", statistics=StatisticsSpec(names=("moments",), view=SPEC, seed=0))


@dataclass
class Border:
    """A place where files of others come in.

    Attributes:
        name: for the table.
        damage: writes a damaged file, with a random generator.
        read: reads it; an AssertionError says that what was accepted is not sound.
        named: one of these must be in the sentence of a refusal.
    """

    name: str
    damage: Callable[[random.Random], None]
    read: Callable[[], object]
    named: tuple[str, ...]


def make_student(folder: Path) -> Zoo:
    """A saved student, which is a zoo of one source, and the file that was exported of it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_classifier("cnn_nano", SPEC, 2)
    zoo = Zoo.create(folder, INFO)
    zoo.add(
        "bob",
        model,
        domain="kitchen",
        dataset="demo",
        encoder="cnn_nano",
        class_names=("sit", "walk"),
        statistics={"moments": Statistic.of(np.arange(4), np.ones(4))},
        centroids=((0.5,) * model.feature_dim, None),
        accuracy=0.75,
        num_samples=40,
        training=Training(max_epochs=3, seed=0, labels=40),
    )
    Recording(spec=SPEC, numbers="float").write(folder)
    result = {"method": "hat", "labels": 4, "sources": ["ann"], "bytes": {"total": 9}, "seconds": {"total": 1.5}}
    write_atomically(folder / "result.json", json.dumps(result | {"test_samples": 8, "accuracy": 0.5}))
    return zoo


def borders(folder: Path) -> dict[str, Border]:
    """All places where files of others come in, by the option that says how often each is tried."""
    home = folder / "zoo"
    zoo = make_student(home)
    source = home / "sources" / "bob"
    card, weights = (source / "card.json").read_bytes(), (source / "model.safetensors").read_bytes()
    likely: dict[str, tuple[Any, ...]] = {
        "encoder": (*ENCODERS.names("imu"), "timm:resnet18", "cnn_nan0"),
        "shape": ([10**7], [5_000_000], [1], [16, 16]),
        "rate": (1e-9, 1e9, 20.5),
        "channels": ([f"c{number}" for number in range(4096)], ["x"]),
        "class_names": ([f"class {number}" for number in range(4096)],),
        "centroids": ([None] * 4096,),
        "feature_dim": (1, 65536),
        "size_bytes": (1, 2**40),
        "sha256": ("0" * 64,),
    }

    def load_card() -> None:
        found = zoo.card("bob")
        assert found.id == "bob"
        model = zoo.load("bob", found)
        with suppress(InputError):  # as selection does, which then leaves the source out
            model(build_view(SPEC.blank(2), SPEC, model.input_spec))

    def damage_weights(rng: random.Random) -> None:
        data = damage_safetensors(weights, rng)
        told = json.loads(card) | {"size_bytes": max(1, len(data)), "sha256": hashlib.sha256(data).hexdigest()}
        (source / "model.safetensors").write_bytes(data)
        (source / "card.json").write_text(json.dumps(told))

    def damage_card(rng: random.Random) -> None:
        (source / "model.safetensors").write_bytes(weights)
        (source / "card.json").write_bytes(damage_json(card, rng, likely))

    return {
        "cards": Border("cards", damage_card, load_card, ("'bob'",)),
        "weights": Border("weights", damage_weights, load_card, ("'bob'",)),
        "index": _index_border(folder / "indexed", likely),
        "beside": _beside_border(folder / "student", likely),
        "npz": _npz_border(folder / "people.npz"),
        "yaml": _yaml_border(folder / "options.yaml"),
    }


def _index_border(home: Path, likely: dict[str, tuple[Any, ...]]) -> Border:
    make_student(home)
    folder = open_folder(home)
    folder.lists_fast = False  # as elsewhere, where the index is taken at its word
    (segment,) = list_segments(folder)
    files = {kind: (home / "index" / f"{segment}.{kind}").read_bytes() for kind in ("json", "safetensors")}
    start = segment.split("-")[:3]

    def damage(rng: random.Random) -> None:
        shutil.rmtree(home / "index")
        changed = dict(files)
        if rng.random() < 0.5:
            changed["json"] = damage_json(files["json"], rng, likely | {"widths": ({"moments": 65536}, {"moments": 0})})
        else:
            changed["safetensors"] = damage_safetensors(files["safetensors"], rng)
        digests = [hashlib.sha256(data).hexdigest()[:32] for data in changed.values()]
        for kind, data in changed.items():
            place = home / "index" / f"{'-'.join([*start, *digests])}.{kind}"
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(data)

    def read() -> None:
        index = load_index(folder, INFO)
        found = index.statistics("moments")
        assert len(found.mean) == len(found.spread) == len(index.ids)

    return Border("index", damage, read, ("'bob'", str(home)))


def _beside_border(home: Path, likely: dict[str, tuple[Any, ...]]) -> Border:
    make_student(home)
    exported = home.with_suffix(".safetensors")
    hatlit.load(home).export(exported)  # type: ignore[attr-defined]
    names = [home / "zoo.json", home / "recording.json", home / "result.json", Path(f"{exported}.json")]
    sound = {place: place.read_bytes() for place in names}
    rows = np.zeros((2, 3, 32), dtype=np.float32)

    def damage(rng: random.Random) -> None:
        chosen = rng.choice(names)
        for place, data in sound.items():
            place.write_bytes(damage_json(data, rng, likely) if place == chosen else data)

    def read() -> None:
        for place in (home, exported):
            student = hatlit.load(place)
            str(student)
            assert len(student.predict(rows)) == 2

    return Border("beside a student", damage, read, (str(home), "The samples", "The recording", "The model", "samples"))


def _npz_border(file: Path) -> Border:
    rng = np.random.default_rng(0)
    sound: dict[str, np.ndarray] = {
        "x": rng.normal(size=(12, 3, 32)).astype(np.float32),
        "y": np.arange(12) % 2,
        "domain": np.arange(12) // 6,
        "group": np.arange(12),
        "class_names": np.array(["sit", "walk"]),
        "domain_names": np.array(["ann", "bob"]),
        "sample_rate": np.array(20.0),
        "channel_names": np.array(["x", "y", "z"]),
    }

    def read() -> None:
        for domain in arrays(file, "imu").domains:
            assert np.isfinite(domain.samples).all()
            assert domain.labels.max() < len(domain.class_names)

    return Border("npz", lambda rng: _write(file, damage_npz(sound, rng)), read, (str(file),))


def _yaml_border(file: Path) -> Border:
    sound = yaml.safe_dump({"modality": "imu", "seed": 3, "trainer": {"max_epochs": 2}, "adapt": {"steps": 5}})
    read = partial(parse, TrainConfig, "train", "", ["--config", str(file)])
    return Border("options", lambda rng: _write(file, damage_yaml(sound, rng)), read, ("",))


def _write(file: Path, data: bytes) -> None:
    file.write_bytes(data)
