import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import hatlit
from hatlit.encoders.base import Classifier, InputSpec
from hatlit.files import cache_folder
from hatlit.fusion import cache
from hatlit.fusion.cache import cached_outputs, output_key, own_code, weights_hash

SPEC = InputSpec(modality="imu", channels=("x",), shape=(8,))


class Flat(torch.nn.Flatten):
    feature_dim = 8

    def __init__(self, spec=SPEC):
        super().__init__()
        self.input_spec = spec


def make(seed=0, spec=SPEC):
    torch.manual_seed(seed)
    return Classifier(Flat(spec), 2)


def test_key_depends_on_weights_view_recording_and_rows():
    other_view = InputSpec(modality="imu", channels=("x",), shape=(8,), mean=(1.0,), std=(2.0,))
    other_recording = InputSpec(modality="imu", channels=("x",), shape=(16,))
    keys = {
        output_key(make(), SPEC, "rows"),
        output_key(make(seed=1), SPEC, "rows"),
        output_key(make(spec=other_view), SPEC, "rows"),
        output_key(make(), other_recording, "rows"),
        output_key(make(), SPEC, "other rows"),
        output_key(make(), SPEC, "rows", "float16"),
    }
    assert len(keys) == 6
    assert output_key(make(), SPEC, "rows") in keys


def around(block):
    """A source of the same class and weights in each case; what differs is the block inside."""
    source = make()
    source.encoder.block = block
    return source


def test_key_depends_on_the_code_of_every_block():
    def with_relu():
        class Block(torch.nn.Module):
            def forward(self, view):
                return view.relu()

        return Block()

    def with_tanh():
        class Block(torch.nn.Module):
            def forward(self, view):
                return view.tanh()

        return Block()

    relu, tanh = around(with_relu()), around(with_tanh())
    assert repr(relu) == repr(tanh)
    assert weights_hash(relu) == weights_hash(tanh)
    assert output_key(relu, SPEC, "rows") != output_key(tanh, SPEC, "rows")
    assert output_key(relu, SPEC, "rows") == output_key(around(with_relu()), SPEC, "rows")


def test_key_depends_on_what_a_block_inherits():
    def block(turn):
        bases = {"relu": Relu, "tanh": Tanh}
        return type("Block", (bases[turn],), {})()

    keys = {output_key(around(block(turn)), SPEC, "rows") for turn in ("relu", "tanh", "relu")}
    assert len(keys) == 2


class Relu(torch.nn.Module):
    def forward(self, view):
        return view.relu()


class Tanh(torch.nn.Module):
    def forward(self, view):
        return view.tanh()


def test_key_depends_on_settings_that_have_no_weights():
    torch.manual_seed(0)
    near, far = torch.nn.Conv1d(1, 1, 3, dilation=1), torch.nn.Conv1d(1, 1, 3, dilation=2)
    far.load_state_dict(near.state_dict())
    assert weights_hash(around(near)) == weights_hash(around(far))
    assert output_key(around(near), SPEC, "rows") != output_key(around(far), SPEC, "rows")


def test_key_does_not_depend_on_where_in_memory_a_setting_lies():
    class Turned(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.turn = lambda view: view

        def extra_repr(self):
            return str(self.turn)

    one, other = Turned(), Turned()
    assert repr(one) != repr(other)
    assert output_key(around(one), SPEC, "rows") == output_key(around(other), SPEC, "rows")


def test_key_depends_on_the_code_of_hatlit(monkeypatch):
    before = output_key(make(), SPEC, "rows")
    monkeypatch.setattr(cache, "own_code", lambda: "of another release")
    assert output_key(make(), SPEC, "rows") != before


@pytest.mark.parametrize(
    ("changed", "matters"),
    [
        ("fusion/adapt.py", True),
        ("methods/teachers.py", True),
        ("datamodules/synthetic/imu.py", True),
        ("api.py", False),
    ],
)
def test_own_code_is_what_makes_outputs(tmp_path, changed, matters):
    def hashed(content):
        (tmp_path / changed).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / changed).write_text(content)
        own_code.cache_clear()
        return own_code(tmp_path)

    assert (hashed("steps = 1") != hashed("steps = 2")) is matters


def test_a_hash_of_all_code_sees_every_file(tmp_path):
    hashes = set()
    for content in ("steps = 1", "steps = 2"):
        (tmp_path / "api.py").write_text(content)
        own_code.cache_clear()
        hashes.add(own_code(tmp_path, ("**/*.py",)))
    assert len(hashes) == 2


def test_own_code_is_found_and_read_once():
    names = {file.name for pattern in cache.MAKE_OUTPUTS for file in Path(hatlit.__file__).parent.glob(pattern)}
    assert {"adapt.py", "bank.py", "teachers.py", "labels.py", "series.py", "imu.py"} <= names
    own_code.cache_clear()
    assert own_code() == own_code()
    assert own_code.cache_info().misses == 1


def test_one_changed_weight_changes_the_hash():
    source = make()
    before = weights_hash(source)
    with torch.no_grad():
        source.head.bias[1] += 1e-6
    assert weights_hash(source) != before


def test_outputs_are_computed_once():
    asked = []

    def compute(places):
        asked.append(places)
        return [{"features": torch.full((3,), float(place))} for place in places]

    cached_outputs(["one"], compute)
    outputs = cached_outputs(["zero", "one", "two"], compute)
    assert asked == [[0], [0, 2]]
    assert [one["features"].tolist() for one in outputs] == [[0.0] * 3, [0.0] * 3, [2.0] * 3]
    assert [one["features"].tolist() for one in cached_outputs(["two", "one"], None)] == [[2.0] * 3, [0.0] * 3]


def test_a_broken_file_is_computed_again():
    file = cache_folder() / "outputs" / "key.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"half a file")
    for compute in (lambda places: [{"features": torch.ones(2)}], None):
        assert torch.equal(cached_outputs(["key"], compute)[0]["features"], torch.ones(2))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    occupied = tmp_path / "a file, not a folder"
    occupied.write_text("")
    (outputs,) = cached_outputs(["key"], lambda places: [{"features": torch.ones(2)}], occupied)
    assert torch.equal(outputs["features"], torch.ones(2))


def test_two_writers_of_one_entry_both_get_it_and_leave_one_whole_file():
    folder = cache_folder() / "outputs"

    def slow(places):
        """Another process computes and writes the same entry meanwhile."""
        (others,) = cached_outputs(["key"], lambda places: [{"features": torch.arange(4.0)}], map_above=0)
        mapped.append(others["features"])
        return [{"features": torch.arange(4.0)}]

    mapped = []
    (own,) = cached_outputs(["key"], slow, map_above=0)
    assert own["features"].tolist() == mapped[0].tolist() == [0, 1, 2, 3]
    assert [path.name for path in folder.iterdir()] == ["key.safetensors"]
    assert cached_outputs(["key"], None)[0]["features"].tolist() == [0, 1, 2, 3]


#: Writes and reads an entry again and again, mapped and not, and sometimes takes it away; prints what was wrong.
AT_WORK = """
import sys, torch
from pathlib import Path
from hatlit.fusion.cache import cached_outputs

folder, number = Path(sys.argv[1]), int(sys.argv[2])
for turn in range(200):
    above = 0 if turn % 2 else float("inf")
    (outputs,) = cached_outputs(["key"], lambda places: [{"features": torch.ones(20_000)}], folder, above)
    if outputs["features"].sum() != 20_000:
        print("half an entry")
    if (turn + number) % 3 == 0:
        (folder / "key.safetensors").unlink(missing_ok=True)
"""


@pytest.mark.slow
def test_processes_that_write_and_read_one_entry_never_see_half_of_it(tmp_path):
    command = [sys.executable, "-c", AT_WORK, str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    processes = [subprocess.Popen([*command, str(number)], **pipes) for number in range(3)]
    for process in processes:
        said, _ = process.communicate(timeout=120)
        assert (process.returncode, said) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} <= {"key.safetensors"}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what is mapped")
def test_large_entries_stay_on_disk_and_small_ones_do_not():
    def is_mapped(key):
        return f"{key}.safetensors" in Path("/proc/self/maps").read_text()

    kept = [
        cached_outputs([key], lambda places, size=size: [{"features": torch.zeros(size)}], map_above=10_000)
        for key, size in (("small", 100), ("large", 10_000))
        for _ in range(2)  # written and read
    ]
    assert len(kept) == 4
    assert (is_mapped("small"), is_mapped("large")) == (False, True)


def test_reading_an_entry_counts_as_use():
    cached_outputs(["key"], lambda places: [{"features": torch.ones(2)}])
    file = cache_folder() / "outputs" / "key.safetensors"
    os.utime(file, (0, 0))
    cached_outputs(["key"], None)
    assert file.stat().st_mtime > 0
