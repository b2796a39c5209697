"""A run's folder is named by what changes its result, and is done only when it says so."""

import math
import threading
import time
from pathlib import Path

import pytest
import yaml

from hatlit.config import DataConfig, ExpandConfig, HaTConfig, MixerConfig, RayConfig, TrainConfig
from hatlit.errors import InputError
from hatlit.experiments.folder import RunFolder


def folder_of(target="ann", fingerprint="f", **options):
    return RunFolder.of(TrainConfig(**options), target, {"data": fingerprint})


def test_the_name_says_what_the_run_is():
    folder = folder_of(out="somewhere", method="hat_paper", data=DataConfig(name="spar"), seed=3)
    assert folder.path.parent == Path("somewhere")
    assert folder.path.name.startswith("hat_paper-spar-ann-seed3-")


def test_equal_options_give_the_same_folder():
    assert folder_of().path == folder_of().path


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"num_sources": 2},
        {"zoo": "zoo"},
        {"hat": HaTConfig(mixer=MixerConfig(dim=64))},
        {"target": "bob"},
        {"fingerprint": "g"},
    ],
)
def test_what_changes_the_result_changes_the_folder(changes):
    assert folder_of(**changes).path != folder_of().path


@pytest.mark.parametrize("changes", [{"wandb": "off"}, {"jobs": 3}])
def test_what_does_not_change_the_result_does_not(changes):
    assert folder_of(**changes).path == folder_of().path
    assert folder_of(out="elsewhere").path.name == folder_of().path.name


def test_options_of_hat_leave_runs_of_other_methods_alone():
    other = HaTConfig(mixer=MixerConfig(dim=64))
    assert folder_of(method="kd", hat=other).path == folder_of(method="kd").path


def test_further_rounds_of_an_expansion_have_the_same_folder():
    def name(fingerprint="f", **options):
        return RunFolder.of_expansion(ExpandConfig(**options), {"data": fingerprint}).path

    for same in ({"rounds": 9}, {"jobs": 3}, {"executor": "ray", "ray": RayConfig(cpus=2)}, {"skip_failed": True}):
        assert name(**same) == name(), same
    for other in ({"join": 5}, {"initial": "3"}, {"seed": 1}, {"compare_labels_only": False}, {"fingerprint": "g"}):
        assert name(**other) != name(), other


@pytest.mark.parametrize("target", ["../../escaped", "a/b", "/etc", "Ä b/../c", "x" * 300, ".."])
def test_no_target_leads_out_of_the_folder_of_runs(tmp_path, target):
    folder = folder_of(target, out=str(tmp_path))
    folder.start(TrainConfig(out=str(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == [folder.path.name]
    assert (folder.path / "config.yaml").is_file()


def test_targets_whose_names_look_alike_have_their_own_folders():
    assert len({folder_of(name).path for name in ("a b", "a-b", "a/b")}) == 3


def test_the_options_are_written_down_and_read_back(tmp_path):
    config = TrainConfig(out=str(tmp_path), seed=2, wandb="off", hat=HaTConfig(mixer=MixerConfig(dim=64)))
    folder = RunFolder.of(config, "ann", {"data": "f"})
    folder.start(config)
    content = yaml.safe_load((folder.path / "config.yaml").read_text())
    assert (content["seed"], content["wandb"], content["hat"]["mixer"]["dim"]) == (2, "off", 64)


def test_a_run_is_done_when_it_says_so(tmp_path):
    folder = RunFolder(tmp_path / "run")
    assert not folder.is_done
    folder.start(TrainConfig())
    folder.write_json("result.json", {"accuracy": 0.5})
    assert not folder.is_done
    folder.finish()
    assert folder.is_done
    assert folder.read_json("result.json") == {"accuracy": 0.5}


def test_what_an_epoch_did_not_log_is_no_number(tmp_path):
    folder = RunFolder(tmp_path / "run")
    assert folder.epochs() == []
    folder.write("metrics.csv", b"epoch,loss/probe,alpha\n0,0.5,\n1,,0.25\n")
    first, second = folder.epochs()
    assert (first["loss/probe"], second["alpha"]) == (0.5, 0.25)
    assert math.isnan(first["alpha"])
    assert math.isnan(second["loss/probe"])


def test_the_last_checkpoint(tmp_path):
    folder = RunFolder(tmp_path / "run")
    assert folder.last_checkpoint is None
    folder.write("checkpoints/last.ckpt", b"state")
    assert folder.last_checkpoint == tmp_path / "run" / "checkpoints" / "last.ckpt"


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    config = TrainConfig(out=str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be written .*choose another --out"):
        RunFolder.of(config, "ann", {"data": "f"}).start(config)


def test_two_do_not_work_in_one_folder(tmp_path):
    said, order = [], []
    folder = RunFolder(tmp_path / "run")

    def later():
        with RunFolder(tmp_path / "run").alone(said.append):
            order.append("later")

    with folder.alone(said.append):
        thread = threading.Thread(target=later)
        thread.start()
        while not said:
            time.sleep(0.01)
        order.append("first")
    thread.join()
    assert order == ["first", "later"]
    assert said == [f"Another process is at work on {tmp_path / 'run'}; waiting for it"]


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another --out"), RunFolder(tmp_path / "file" / "run").alone(print):
        pass


def differences(folder):
    return [line for _, line in folder.interrupted_otherwise()]


def test_an_interrupted_run_that_was_another_is_named_with_what_is_different(tmp_path):
    said = []
    before = folder_of(out=str(tmp_path))
    before.start(TrainConfig(out=str(tmp_path)))
    now = folder_of(fingerprint="g", out=str(tmp_path), num_sources=2, hat=HaTConfig(mixer=MixerConfig(dim=64)))
    now.tell_of_others(said.append)
    assert said == [
        f"{before.path} was interrupted and is left alone; different now: num_sources (None, now 2), "
        f"hat.mixer.dim ({MixerConfig().dim}, now 64), data (f, now g)"
    ]
    now.start(TrainConfig())
    now.tell_of_others(said.append)
    assert len(said) == 1, "a run that goes on says nothing"


def test_runs_that_are_done_or_at_work_or_of_another_target_are_not_named(tmp_path):
    now = folder_of(out=str(tmp_path), num_sources=2)
    other = folder_of("bob", out=str(tmp_path))
    other.start(TrainConfig())
    before = folder_of(out=str(tmp_path))
    before.start(TrainConfig())
    with before.alone(print):
        assert differences(now) == []
    assert differences(now) == [["num_sources (None, now 2)"]]
    before.finish()
    assert differences(now) == []


def test_lists_are_the_same_when_they_are_read_again(tmp_path):
    options = {"out": str(tmp_path), "plugin": ("a.py",)}
    folder_of(**options).start(TrainConfig())
    assert differences(folder_of(fingerprint="g", **options)) == [["data (f, now g)"]]
