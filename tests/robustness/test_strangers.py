"""Nothing of a stranger's zoo is run, leads out of it, or costs more than it is worth."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import logging
import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import hatlit
from hatlit.datamodules.base import build_view
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.zoo.card import Card
from hatlit.zoo.store import Zoo

ROOT = Path(__file__).parents[2]

#: What opens pickles or runs what it reads, and how each may be called all the same.
DANGEROUS = {
    "torch.load": "weights_only=True",
    "np.load": "allow_pickle=False",
    "numpy.load": "allow_pickle=False",
    **dict.fromkeys(("pickle.load", "pickle.loads", "pickle.Unpickler", "joblib.load", "dill.load")),
    **dict.fromkeys(("yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.export.load", "torch.jit.load")),
    **dict.fromkeys(("eval", "exec", "os.system", "marshal.loads", "shelve.open", "pandas.read_pickle")),
}

#: The one reader of a published pickle, whose unpickler knows numeric arrays and plain containers and nothing else.
RESTRICTED = "spar.py"


@pytest.fixture(scope="module")
def attacks() -> ModuleType:
    """The long form of these tests."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        spec = importlib.util.spec_from_file_location("robustness", ROOT / "benchmarks" / "robustness.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules["robustness"] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


@pytest.fixture
def zoo(tmp_path: Path, attacks: ModuleType) -> Zoo:
    return import_module("borders").make_student(tmp_path / "zoo")


@pytest.mark.parametrize("border", ["cards", "weights", "index", "beside", "npz", "yaml"])
def test_damaged_files_are_taken_for_sound_or_refused_in_one_sentence(
    border: str, tmp_path: Path, attacks: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    tally = attacks.attack(attacks.borders(tmp_path)[border], 8 if border == "yaml" else 60, seed=1)
    assert not tally.faults
    assert tally.cases == tally.accepted + sum(tally.refusals.values())


def _calls(tree: ast.AST) -> list[tuple[str, str]]:
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
        elif isinstance(node, ast.Import):
            names |= {one.asname: one.name for one in node.names if one.asname and one.asname != "np"}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = [(ast.unparse(node.func), ast.unparse(node)) for node in found]
    return [(names.get(name, name), text) for name, text in called]


@pytest.mark.parametrize("folder", ["src", "scripts", "benchmarks"])
def test_nothing_in_the_source_opens_a_pickle(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for file in files:
        for name, text in _calls(ast.parse(file.read_text())):
            if name in DANGEROUS:
                allowed = DANGEROUS[name]
                assert allowed, f"{file}: {text}"
                assert allowed in text, f"{file}: {text}"
            assert "trust_remote_code=True" not in text
            assert "allow_pickle=True" not in text or "write_array" in text, f"{file}: {text}"
    unpicklers = [file.name for file in files if "import pickle" in file.read_text()]
    assert unpicklers in ([], [RESTRICTED])


@pytest.mark.skipif(os.name != "posix", reason="links and pipes are those of POSIX")
@pytest.mark.parametrize("what", ["card.json", "model.safetensors"])
def test_links_that_lead_out_and_pipes_are_not_opened(what: str, zoo: Zoo, tmp_path: Path) -> None:
    file = tmp_path / "zoo" / "sources" / "bob" / what
    outside = file.rename(tmp_path / what)
    file.symlink_to(outside)
    with pytest.raises(InputError, match=r"'sources/bob/.*' .*link that leads out of the folder"):
        Zoo.open(tmp_path / "zoo").load("bob")
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(InputError, match=r"'sources/bob/.*' .*no regular file|no source|Unknown source"):
        Zoo.open(tmp_path / "zoo").load("bob")
    file.unlink()
    file.symlink_to(file)
    with pytest.raises(InputError):
        Zoo.open(tmp_path / "zoo").load("bob")
    assert not Zoo.open(tmp_path / "zoo").index().ids or what != "card.json"


@pytest.mark.skipif(os.name != "posix", reason="links are those of POSIX")
def test_nothing_is_written_or_removed_through_a_link(zoo: Zoo, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "zoo" / "sources" / "ann").symlink_to(outside)
    with pytest.raises(InputError, match="cannot be written: it is a link"):
        zoo.copy(zoo, "bob", id="ann")
    kept = outside / "precious"
    kept.write_text("mine")
    lock = tmp_path / "zoo" / ".lock"
    lock.unlink(missing_ok=True)
    lock.symlink_to(kept)
    with pytest.raises(InputError, match="cannot be written"):
        zoo.copy(zoo, "bob", id="cid")
    assert kept.read_text() == "mine"
    assert [path.name for path in outside.iterdir()] == ["precious"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"class_names": tuple(f"c{n}" for n in range(4096)), "encoder": "transformer_base"}, "takes .* bytes"),
        ({"input_spec": {"channels": tuple(f"c{n}" for n in range(4096))}, "encoder": "cnn_base"}, "takes .* bytes"),
        ({"size_bytes": 2**40}, "takes .* bytes"),
        ({"encoder": "no_such"}, "the card of 'bob' says: Unknown imu encoder"),
        ({"encoder": "os:system"}, "the card of 'bob' says: Unknown imu encoder family"),
    ],
)
def test_a_card_that_lies_about_size_costs_nothing(
    changes: dict[str, Any], told: str, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = zoo.card("bob")
    view = card.input_spec.with_(**changes.pop("input_spec", {}))
    centroids = (None,) * len(changes.get("class_names", card.class_names))
    lie = Card.model_validate(card.model_dump() | changes | {"input_spec": view, "centroids": centroids})
    monkeypatch.setattr("hatlit.zoo.weights._SLACK", 2**20)
    with pytest.raises(InputError, match=told):
        zoo.load("bob", lie)
    assert zoo.bytes_read < 10**5  # the weights were not read


def test_no_view_is_larger_than_a_recording_is_worth() -> None:
    recorded = InputSpec(modality="imu", channels=("x",), shape=(32,), rate=20.0)
    rows = recorded.blank(1)
    for changes in ({"rate": 1e9}, {"rate": 1e-3}, {"shape": (10**7,)}):
        with pytest.raises(InputError, match="The model expects"):
            build_view(rows, recorded, recorded.with_(**changes))
    with pytest.raises(ValueError, match="more than 16,777,216 numbers"):
        recorded.with_(shape=(10**7,), channels=("x", "y"))
    sound = InputSpec(modality="audio", channels=("left",), shape=(16000,), rate=16000.0)
    heard = sound.with_(axes=("mel", "time"), shape=(10**6, 4))
    with pytest.raises(InputError, match="The model expects"):
        build_view(sound.blank(1), sound, heard)


def test_large_views_are_looked_at_a_few_at_a_time() -> None:
    spec = InputSpec(modality="imu", channels=("x",), shape=(32,))
    assert spec.rows_a_pass == 256
    assert spec.with_(shape=(2**22,)).rows_a_pass == 2


def test_an_index_that_lies_about_a_card_is_found_out(zoo: Zoo, tmp_path: Path) -> None:
    (columns,) = (tmp_path / "zoo" / "index").glob("*-*.json")
    table = json.loads(columns.read_text()) | {"accuracies": [1.0], "card_sha256": ["0" * 64]}
    data = json.dumps(table).encode()
    parts = columns.stem.split("-")
    parts[3] = hashlib.sha256(data).hexdigest()[:32]
    columns.unlink()
    (columns.parent / f"{'-'.join(parts)}.json").write_bytes(data)
    columns.with_suffix(".safetensors").rename(columns.parent / f"{'-'.join(parts)}.safetensors")
    found = Zoo.open(tmp_path / "zoo")
    assert found.index().table.accuracies == (1.0,)
    with pytest.raises(InputError, match="not the one in the index"):
        found.candidate(found.index(), 0)


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "a\u202eb", "a\u2028b", "\0"])
def test_names_do_not_steer_a_terminal(name: str, zoo: Zoo) -> None:
    card = zoo.card("bob").model_dump()
    for changes in ({"domain": name}, {"class_names": (name, "walk")}):
        with pytest.raises(ValueError, match="match pattern"):
            Card.model_validate(card | changes)
    Card.model_validate(card | {"domain": "B\u00fcro \u6771\u4eac \U0001f6b6"})


def test_ids_that_differ_in_case_alone_are_two_sources(zoo: Zoo, tmp_path: Path) -> None:
    if (tmp_path / "ZOO").exists():
        pytest.skip("this file system does not tell case apart")
    zoo.copy(zoo, "bob", id="BOB")
    assert Zoo.open(tmp_path / "zoo").ids() == ["BOB", "bob"]
    assert torch.equal(zoo.load("BOB").head.weight, zoo.load("bob").head.weight)


def test_an_onnx_file_that_is_none_is_refused(tmp_path: Path, attacks: ModuleType) -> None:
    pytest.importorskip("onnxruntime")
    home = tmp_path / "student"
    import_module("borders").make_student(home)
    exported = tmp_path / "bob.safetensors"
    hatlit.load(home).export(exported)  # type: ignore[attr-defined]
    described = json.loads(Path(f"{exported}.json").read_text())
    graph = tmp_path / "bob.onnx"
    graph.write_bytes(b"\x08\x07not a graph")
    told = {"format": "onnx", "size_bytes": 13, "sha256": hashlib.sha256(graph.read_bytes()).hexdigest()}
    Path(f"{graph}.json").write_text(json.dumps(described | told))
    with pytest.raises(InputError, match="cannot be run"):
        hatlit.load(graph)
