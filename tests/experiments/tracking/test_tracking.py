"""Where a run's numbers go, and that nothing which breaks there ever stops or delays a training."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hatlit.experiments import tracking
from hatlit.experiments.tracking import WandbRun, start_wandb

#: Reads the one run file below a folder.
Read = Callable[[Path], Any]


# Whether there is a run, and of which kind


def test_auto_without_a_key_says_so_in_one_line_and_never_imports_wandb(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert start_wandb("auto", tmp_path, "a", {}, said.append) is None
    assert said == ["Weights & Biases: off (no key configured; --wandb offline logs to the run folder)."]


def test_off_says_nothing(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    assert start_wandb("off", tmp_path, "a", {}, said.append) is None
    assert said == []


@pytest.mark.parametrize(
    ("wish", "mode"),
    [("online", "online"), ("offline", "offline"), ("dryrun", "offline"), ("disabled", "off"), ("nonsense", "off")],
)
def test_auto_honours_wandb_mode(
    wish: str, mode: str, said: list[str], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("WANDB_MODE", wish)
    assert tracking._resolved("auto", said.append) == mode
    assert said == ([f"Weights & Biases: off (WANDB_MODE is {wish})."] if mode == "off" else [])


@pytest.mark.parametrize(
    ("host", "server", "found"),
    [
        ("api.wandb.ai", None, True),
        ("api.forge.coreweave.com", None, True),
        ("ours.example:8080", "http://ours.example:8080", True),
        ("api.wandb.ai", "http://ours.example", False),
        ("github.com", None, False),
    ],
)
def test_a_key_in_netrc_counts_for_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, server: str | None, found: bool, key: str
) -> None:
    (tmp_path / "netrc").write_text(f"machine {host}\n  login user\n  password {key}\n")
    if server:
        monkeypatch.setenv("WANDB_BASE_URL", server)
    assert tracking._has_key() is found


def test_a_netrc_without_a_machine_of_ours_is_no_key(tmp_path: Path, key: str) -> None:
    (tmp_path / "netrc").write_text(f"default login user password {key}\n")
    assert not tracking._has_key()
    (tmp_path / "netrc").write_text("machine\n\n???")
    assert not tracking._has_key()


def test_wandb_login_to_another_server_is_known(tmp_path: Path, key: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings").write_text("[default]\nbase_url = https://ours.example\n")
    (tmp_path / "netrc").write_text(f"machine ours.example\n  login user\n  password {key}\n")
    assert tracking._has_key()


def test_the_key_is_found_where_wandb_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    assert not tracking._has_key()
    with monkeypatch.context() as patched:
        patched.setenv("WANDB_API_KEY", key)
        assert tracking._has_key()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings").write_text(f"[default]\napi_key = {key}\n")
    assert tracking._has_key()


# Offline


def test_an_offline_run_holds_everything(tmp_path: Path, offline: WandbRun, said: list[str], logged: Read) -> None:
    offline.log_metrics({"loss/student": 2.0, "attention/dan": 0.25, "epoch": 0.0}, step=3)
    offline.log_metrics({"loss/student": 1.0, "attention/dan": 0.75, "epoch": 1.0}, step=6)
    offline.log_table("selection", [{"id": "dan", "score": 0.5}, {"id": "bob", "why": "useless", "score": None}])
    offline.close({"accuracy": 0.5, "labels_only": {"accuracy": 0.25}, "mixer": None})

    found = logged(tmp_path / "run")
    (run,) = found.of_kind("run")
    assert (run["project"], run["run_id"], run["display_name"]) == ("hatlit", "run-a", "run-a")
    assert run["config"]["update"]["seed"] == 3
    assert run["config"]["update"]["hat"] == {"mixer": {"dim": 32}}
    rows = [{name: value for name, value in row.items() if name[0] != "_"} for row in found.history[:2]]
    assert rows == [
        {"loss/student": 2, "attention/dan": 0.25, "epoch": 0},
        {"loss/student": 1, "attention/dan": 0.75, "epoch": 1},
    ]
    assert found.of_kind("metric")[0]["step_metric"] == "epoch"
    assert found.table == {
        "columns": ["id", "score", "why"],
        "data": [["dan", 0.5, None], ["bob", None, "useless"]],
    }
    final = found.summary
    assert (final["accuracy"], final["labels_only"], final["mixer"]) == (0.5, {"accuracy": 0.25}, None)
    assert found.of_kind("exit")[0].get("exit_code") == 0

    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    assert said == [f"Weights & Biases: offline; `wandb sync {folder}` sends it later."]


def test_a_failed_training_ends_the_run_as_failed_and_a_good_one_leaves_it_open(
    tmp_path: Path, offline: WandbRun, logged: Read
) -> None:
    offline.finalize("success")
    offline.log_metrics({"epoch": 0.0})
    offline.finalize("failed")
    found = logged(tmp_path / "run")
    assert len(found.history) == 1
    assert found.of_kind("exit")[0]["exit_code"] == 1


def test_wandb_keeps_quiet_and_leaves_signals_and_processes_alone(
    tmp_path: Path, said: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run = start_wandb("offline", tmp_path, "run-a", {}, said.append)
    assert run is not None
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    run.close({})
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "run_id"),
    [("hat-demo-ann", "hat-demo-ann"), (" a:b/c ünï", "-a-b-c-ünï"), ("x" * 200 + "-1a2b", "x" * 123 + "-1a2b")],
)
def test_any_name_makes_an_id(tmp_path: Path, said: list[str], name: str, run_id: str) -> None:
    run = start_wandb("offline", tmp_path, name, {}, said.append)
    assert run is not None
    assert (run.name, run.version) == (name, run_id)
    run.close({})
    assert len(said) == 1


def test_two_runs_in_a_row_are_two_runs(tmp_path: Path, said: list[str]) -> None:
    for name in ("a", "b"):
        run = start_wandb("offline", tmp_path / name, name, {}, said.append)
        assert run is not None
        assert run.version == name
        run.close({})
    assert len(said) == 2


def test_a_run_of_the_users_own_is_not_touched(tmp_path: Path, said: list[str]) -> None:
    import wandb

    with wandb.init(mode="offline", dir=tmp_path, project="theirs") as theirs:
        run = start_wandb("offline", tmp_path / "ours", "ours", {}, said.append)
        assert run is not None
        run.close({})
        assert wandb.run is theirs
        theirs.log({"still": "open"})


def test_an_interrupted_offline_run_goes_on_in_a_second_folder_under_the_same_id(
    tmp_path: Path, said: list[str]
) -> None:
    for epoch in (0.0, 1.0):
        run = start_wandb("offline", tmp_path, "run-a", {}, said.append)
        assert run is not None
        run.log_metrics({"epoch": epoch})
        run.close({})
        time.sleep(1 - epoch)  # the folder's name has the second in it
    assert len(list(tmp_path.glob("wandb/offline-run-*-run-a/run-run-a.wandb"))) == 2


def test_an_unwritable_folder_is_named_with_the_place_that_stands_in(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "elsewhere"))
    run = start_wandb("offline", tmp_path / "file" / "run", "run-a", {}, said.append)
    assert run is not None
    run.log_metrics({"epoch": 0.0})
    run.close({})
    (folder,) = (tmp_path / "elsewhere" / "wandb").glob("offline-run-*")
    assert said[0] == f"'{tmp_path / 'file' / 'run'}' cannot be written; Weights & Biases keeps its files in {folder}"


# What may break in between


class Broken:
    """A run whose every method fails."""

    def __init__(self, folder: Path, error: BaseException) -> None:
        self.name = self.id = "run-a"
        self.dir = str(folder / "run" / "files")
        self._error = error

    @property
    def summary(self) -> Any:
        raise self._error

    def log(self, *args: Any) -> None:
        raise self._error

    finish = log


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), ConnectionResetError(), SystemExit(1)]
)
def test_whatever_wandb_raises_costs_one_line(tmp_path: Path, said: list[str], error: BaseException) -> None:
    run = WandbRun(Broken(tmp_path, error), said.append)
    for epoch in range(3):
        run.log_metrics({"epoch": epoch})
    run.log_table("selection", [])
    run.close({"accuracy": 0.5})
    assert len(said) == 1
    assert str(error) in said[0]
    assert said[0].endswith(f"and may be incomplete; `wandb sync {tmp_path / 'run'}` sends what is there.")


def test_the_death_of_wandbs_process_costs_one_line(
    tmp_path: Path, offline: WandbRun, said: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    for number in children_of(os.getpid(), "wandb-core"):
        os.kill(number, signal.SIGKILL)
    time.sleep(0.2)
    for epoch in range(3):
        offline.log_metrics({"epoch": epoch})
    offline.close({"accuracy": 0.5})
    assert len(said) == 2
    assert said[1].startswith("Weights & Biases failed (")
    assert capfd.readouterr() == ("", "")


def test_where_nothing_works_the_run_is_off(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert start_wandb("offline", tmp_path, "a", {}, said.append) is None
    assert len(said) == 1
    assert said[0].startswith("Weights & Biases: off (")


def children_of(parent: int, name: str) -> list[int]:
    """Numbers of the running processes of a name below a process, as ps would show them."""
    rows = subprocess.run(
        ["ps", "-eo", "pid,ppid,comm"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return [
        int(pid) for pid, ppid, comm in (row.split(None, 2) for row in rows[1:]) if int(ppid) == parent and comm == name
    ]


def test_the_same_run_in_another_group_has_an_id_of_its_own():
    alone, one, other = (tracking._id_of("hat of ann", group) for group in (None, "one", "other/2"))
    assert alone == "hat-of-ann"
    assert len({alone, one, other}) == 3
    assert re.fullmatch(r"hat-of-ann-[0-9a-f]{6}", other)
    assert len(tracking._id_of("n" * 300, "one")) == 128
