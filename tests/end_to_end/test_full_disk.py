"""A full disk is one sentence; what was there before stays, and the same command goes on once there is room."""

import contextlib
import subprocess
import sys

import pytest
import torch

from hatlit.experiments import comparison_folder
from hatlit.fusion.cache import cached_outputs
from hatlit.zoo.store import Zoo

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="neither mounts nor limits files as it is done here")


class Disk:
    """A disk that can be filled to the last byte."""

    def __init__(self, folder):
        self.folder, self._filler = folder, folder / "filler"

    def fill(self):
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def make_room(self):
        self._filler.unlink(missing_ok=True)


class Limit(Disk):
    """Stands in for one: no file can be written any more."""

    def fill(self):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    def make_room(self):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


@pytest.fixture(params=["tmpfs", "limit"])
def disk(request, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "limit":
        limit = Limit(folder)
        yield limit
        limit.make_room()
        return
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)


def sentence(errors):
    """What was said on a full disk, after making sure that it was one clear sentence."""
    assert errors.count("\n") == 1
    assert errors.startswith("hatlit: ")
    assert "No space left on device" in errors or "File too large" in errors
    assert "Errno" not in errors
    return errors


@pytest.mark.slow
def test_a_run_goes_on_from_the_checkpoint_before(train, disk, tmp_path, monkeypatch):
    options = "--trainer.checkpoint_seconds 0 --trainer.max_epochs 6 --method hat".split()
    assert train(*options, out=tmp_path / "whole")[0] == 0

    def fill(self, trainer, pl_module):
        if trainer.current_epoch == 3 and "mixer" in pl_module.trained_parts():
            disk.fill()

    with monkeypatch.context() as patch:
        patch.setattr("hatlit.experiments.fitting.EpochCounter.on_train_epoch_end", fill)
        code, output, errors, run = train(*options, out=disk.folder)
    disk.make_room()
    assert code == 2
    assert str(run) in sentence(errors)
    assert output.count("The checkpoint cannot be written") == 1
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 2
    assert not list(run.rglob("*.partial"))
    code, output, errors, again = train(*options, out=disk.folder)
    assert (code, errors, again) == (0, "", run)
    assert f"going on from {run}" in output
    students = [next(out.glob("*/student/sources/*/model.safetensors")) for out in (tmp_path / "whole", disk.folder)]
    assert students[0].read_bytes() == students[1].read_bytes()
    rows = [next(out.glob("*/metrics.csv")).read_text() for out in (tmp_path / "whole", disk.folder)]
    assert rows[0] == rows[1]


def test_what_does_not_fit_into_the_cache_is_kept_in_memory(disk):
    outputs = [{"features": torch.arange(5000.0)}]
    folder = disk.folder / "outputs"
    disk.fill()
    assert cached_outputs(["key"], lambda places: outputs, folder) == outputs
    disk.make_room()
    assert list(folder.glob("*")) == []
    cached_outputs(["key"], lambda places: outputs, folder)
    (kept,) = cached_outputs(["key"], lambda places: [], folder)
    assert torch.equal(kept["features"], outputs[0]["features"])


def test_a_table_of_results_stays_as_it_was(hatlit, in_this_process, arrays, disk, monkeypatch):
    words = ["compare", "--data.name", "arrays", "--data.root", arrays, "--out", disk.folder / "out", "--wandb", "off"]
    words += "--methods labels_only --targets 2 --seeds 1 --trainer.max_epochs 2 --jobs 1".split()
    write, written = comparison_folder.write_atomically, []

    def write_one_row(path, text):
        if len(written) == 2:  # the header, and the first row
            disk.fill()
        written.append(path)
        write(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(comparison_folder, "write_atomically", write_one_row)
        code, _, errors = hatlit(*words)
    disk.make_room()
    assert code == 2
    assert "results.csv" in sentence(errors)
    assert len((disk.folder / "out" / "results.csv").read_text().splitlines()) == 2, "a header and the first row"
    assert hatlit(*words)[::2] == (0, "")
    assert len((disk.folder / "out" / "results.csv").read_text().splitlines()) == 3


def test_a_zoo_stays_as_it_was(hatlit, zoo_of_two, disk, tmp_path):
    fleet = Zoo.open(zoo_of_two)
    Zoo.create(tmp_path / "run" / "student", fleet.info).copy(fleet, "bob")
    words = ["zoo", "add", disk.folder / "zoo", tmp_path / "run"]
    assert hatlit(*words)[0] == 0
    disk.fill()
    code, _, errors = hatlit(*words, "--id", "another")
    disk.make_room()
    assert code == 2
    assert f"'{disk.folder / 'zoo'}' cannot be written" in sentence(errors)
    assert hatlit("zoo", "verify", disk.folder / "zoo")[0] == 0
    assert Zoo.open(disk.folder / "zoo").ids() == ["bob"]
    assert hatlit(*words, "--id", "another")[0] == 0
    assert Zoo.open(disk.folder / "zoo").ids() == ["another", "bob"]
