"""Where a run's numbers go, and that nothing which breaks there ever stops or delays a training."""

from __future__ import annotations

import errno
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hatlit.config import (
    AdaptConfig,
    DataConfig,
    ExpertsConfig,
    HaTConfig,
    SourcesConfig,
    TrainConfig,
    TrainerConfig,
)
from hatlit.experiments import tracking
from hatlit.experiments.display import Display
from hatlit.experiments.tracking import WandbRun, start_wandb
from hatlit.experiments.train import train

KEY = "a" * 40
NOBODY = "http://127.0.0.1:9"

#: Seconds within which anything that is bounded is over, however busy the machine; unbounded, wandb takes 100.
NOT_HANGING = 60


class Quiet(ThreadingHTTPServer):
    """A server that does not print into other tests that a client has gone."""

    def handle_error(self, *arguments: Any) -> None:
        pass


class Server:
    """As much of a Weights & Biases server as a run needs to start, log and end, and a switch to fall silent."""

    def __init__(self) -> None:
        self.silent = threading.Event()
        self.history: list[dict[str, Any]] = []
        self.ids: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if server.silent.is_set():
                    time.sleep(60)
                self._reply(json.dumps(server.answer(self.path, asked)).encode())

            def do_PUT(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self._reply(b"")

            def _reply(self, answer: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                pass

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def answer(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("/file_stream"):
            new = (asked.get("files") or {}).get("wandb-history.jsonl", {"offset": 0, "content": []})
            self.history[new["offset"] :] = [json.loads(line) for line in new["content"]] or self.history[
                new["offset"] :
            ]
            return {}
        variables, project = asked["variables"], {"id": "p", "name": "hatlit", "entity": {"id": "e", "name": "me"}}
        if asked["operationName"] == "RunResumeStatus":
            self.ids.append(variables["name"])
            return {"data": {"model": {**project, "bucket": self._stored()} if self.history else None}}
        if asked["operationName"] == "CreateRunFiles":
            files = [{"name": name, "uploadUrl": f"{self.url}/{name}"} for name in variables["files"]]
            return {"data": {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}}
        bucket = {"id": "r", "name": variables.get("name"), "displayName": "a", "config": "{}", "project": project}
        return {"data": {"upsertBucket": {"bucket": bucket, "inserted": not self.history}}}

    def _stored(self) -> dict[str, Any]:
        tail = json.dumps([json.dumps(self.history[-1])])
        lines = {"historyLineCount": len(self.history), "eventsLineCount": 0, "logLineCount": 0}
        texts = {"historyTail": tail, "eventsTail": "[]", "summaryMetrics": "{}", "config": "{}", "tags": []}
        return {"id": "r", "name": self.ids[-1], "displayName": "a", "wandbConfig": '{"t": 1}', **lines, **texts}

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _wandb_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No key, no settings and no folders of the user's; and a wandb that forgets everything afterwards."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for kind in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"WANDB_{kind}_DIR", str(tmp_path / kind.lower()))
    yield
    if sys.modules.get("wandb"):
        sys.modules["wandb"].teardown()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "PATIENCE", 2.0)
    monkeypatch.setattr(tracking, "SHORT_PATIENCE", 0.5)


@pytest.fixture
def offline(tmp_path: Path, said: list[str]) -> WandbRun:
    run = start_wandb("offline", tmp_path / "run", "run-a", {"seed": 3, "hat": {"mixer": {"dim": 32}}}, said.append)
    assert run is not None
    return run


def records(folder: Path) -> list[dict[str, Any]]:
    """Everything in the one run file below a folder, as wandb itself reads it."""
    (path,) = folder.glob("wandb/*run-*/*.wandb")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def of_kind(kind: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record[kind] for record in found if record["type"] == kind]


def history(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record["item"] for record in of_kind("history", found)]


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: value for record in of_kind("summary", found) for name, value in record["update"].items()}


def table(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("wandb/*run-*/files/media/table/*.json")
    content = json.loads(path.read_text())
    assert isinstance(content, dict)
    return content


# Whether there is a run, and of which kind


def test_auto_without_a_key_says_so_in_one_line_and_never_imports_wandb(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert start_wandb("auto", tmp_path, "a", {}, said.append) is None
    assert said == ["Weights & Biases: off (no key configured; --wandb offline logs to the run folder)."]


def test_off_says_nothing(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert start_wandb("off", tmp_path, "a", {}, said.append) is None
    assert said == []


@pytest.mark.parametrize(
    ("wish", "mode"),
    [("online", "online"), ("offline", "offline"), ("dryrun", "offline"), ("disabled", "off"), ("nonsense", "off")],
)
def test_auto_honours_wandb_mode(wish: str, mode: str, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, server: str | None, found: bool
) -> None:
    (tmp_path / "netrc").write_text(f"machine {host}\n  login user\n  password {KEY}\n")
    if server:
        monkeypatch.setenv("WANDB_BASE_URL", server)
    assert tracking._has_key() is found


def test_a_netrc_without_a_machine_of_ours_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(f"default login user password {KEY}\n")
    assert not tracking._has_key()
    (tmp_path / "netrc").write_text("machine\n\n???")
    assert not tracking._has_key()


def test_wandb_login_to_another_server_is_known(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings").write_text("[default]\nbase_url = https://ours.example\n")
    (tmp_path / "netrc").write_text(f"machine ours.example\n  login user\n  password {KEY}\n")
    assert tracking._has_key()


def test_the_key_is_found_where_wandb_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not tracking._has_key()
    with monkeypatch.context() as patched:
        patched.setenv("WANDB_API_KEY", KEY)
        assert tracking._has_key()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings").write_text(f"[default]\napi_key = {KEY}\n")
    assert tracking._has_key()


# Offline


def test_an_offline_run_holds_everything(tmp_path: Path, offline: WandbRun, said: list[str]) -> None:
    offline.log_metrics({"loss/student": 2.0, "attention/dan": 0.25, "epoch": 0.0}, step=3)
    offline.log_metrics({"loss/student": 1.0, "attention/dan": 0.75, "epoch": 1.0}, step=6)
    offline.log_table("selection", [{"id": "dan", "score": 0.5}, {"id": "bob", "why": "useless", "score": None}])
    offline.close({"accuracy": 0.5, "labels_only": {"accuracy": 0.25}, "mixer": None})

    found = records(tmp_path / "run")
    (run,) = of_kind("run", found)
    assert (run["project"], run["run_id"], run["display_name"]) == ("hatlit", "run-a", "run-a")
    assert run["config"]["update"]["seed"] == 3
    assert run["config"]["update"]["hat"] == {"mixer": {"dim": 32}}
    rows = [{name: value for name, value in row.items() if name[0] != "_"} for row in history(found)[:2]]
    assert rows == [
        {"loss/student": 2, "attention/dan": 0.25, "epoch": 0},
        {"loss/student": 1, "attention/dan": 0.75, "epoch": 1},
    ]
    assert of_kind("metric", found)[0]["step_metric"] == "epoch"
    assert table(tmp_path / "run") == {
        "columns": ["id", "score", "why"],
        "data": [["dan", 0.5, None], ["bob", None, "useless"]],
    }
    final = summary(found)
    assert (final["accuracy"], final["labels_only"], final["mixer"]) == (0.5, {"accuracy": 0.25}, None)
    assert of_kind("exit", found)[0].get("exit_code") == 0

    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    assert said == [f"Weights & Biases: offline; `wandb sync {folder}` sends it later."]


def test_a_failed_training_ends_the_run_as_failed_and_a_good_one_leaves_it_open(
    tmp_path: Path, offline: WandbRun
) -> None:
    offline.finalize("success")
    offline.log_metrics({"epoch": 0.0})
    offline.finalize("failed")
    found = records(tmp_path / "run")
    assert len(history(found)) == 1
    assert of_kind("exit", found)[0]["exit_code"] == 1


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


# Online


def test_online_without_a_key_is_offline_in_one_line_and_nobody_is_asked(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal, monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", terminal)
        patched.setattr("builtins.input", lambda *args: pytest.fail("asked"))
        run = start_wandb("online", tmp_path, "run-a", {}, said.append)
    os.close(ours)
    assert run is not None
    run.close({})
    assert len(said) == 1
    assert said[0].startswith("Weights & Biases: offline, since online failed: no key configured; `wandb sync ")


def test_a_malformed_key_is_offline_in_one_line(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "short")
    run = start_wandb("online", tmp_path, "run-a", {}, said.append)
    assert run is not None
    assert len(said) == 1
    assert "since online failed: WANDB_API_KEY invalid" in said[0]


def test_without_a_network_the_run_starts_offline_under_the_same_id(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", NOBODY)
    monkeypatch.setattr(tracking, "PATIENCE", 1.0)
    began = time.perf_counter()
    run = start_wandb("online", tmp_path, "run-a", {}, said.append)
    assert time.perf_counter() - began < NOT_HANGING
    assert run is not None
    assert run.version == "run-a"
    run.close({})
    assert len(said) == 1
    assert said[0].startswith("Weights & Biases: offline, since online failed: ")
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("impatient")
def test_a_resumed_online_run_goes_on_where_it_stopped(
    tmp_path: Path, server: Server, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    for epoch in (0.0, 1.0):
        run = start_wandb("auto", tmp_path, "run-a", {}, said.append)
        assert run is not None
        run.log_metrics({"loss/student": 2 - epoch, "epoch": epoch})
        run.close({"accuracy": 0.5})
    assert server.ids == ["run-a", "run-a"]
    assert [(row["_step"], row["epoch"], row["loss/student"]) for row in server.history] == [(0, 0, 2), (1, 1, 1)]
    assert said == [f"Weights & Biases: {server.url}/me/hatlit/runs/run-a"] * 2


@pytest.mark.usefixtures("impatient")
def test_a_server_that_falls_silent_delays_the_end_only_so_long(
    tmp_path: Path, server: Server, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    run = start_wandb("online", tmp_path, "run-a", {}, said.append)
    assert run is not None
    server.silent.set()
    began = time.perf_counter()
    run.log_metrics({"epoch": 0.0})
    run.log_table("selection", [{"id": "dan"}])
    run.close({"accuracy": 0.5})
    assert time.perf_counter() - began < NOT_HANGING
    assert len(said) == 2
    assert said[1].startswith("Weights & Biases failed (no answer for 0 s) and may be incomplete; `wandb sync ")


@pytest.mark.slow
def test_the_real_patience_ends(
    tmp_path: Path, server: Server, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    server.silent.set()
    began = time.perf_counter()
    run = start_wandb("online", tmp_path, "run-a", {}, said.append)
    assert run is not None
    run.close({})
    assert time.perf_counter() - began < NOT_HANGING
    assert len(said) == 1


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


# A whole training


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four small domains of three classes that differ in frequency."""
    rng = np.random.default_rng(0)
    rows = 240
    y, domain = np.arange(rows) % 3, np.arange(rows) // 60
    waves = np.sin((1 + y)[:, None, None] * np.arange(32) / 3 + rng.normal(size=(rows, 3, 1)))
    x = (waves + 0.3 * rng.normal(size=waves.shape)).astype(np.float32)
    names = {"class_names": np.array(["sit", "walk", "run"]), "domain_names": np.array(["ann", "bob", "cleo", "dan"])}
    np.savez_compressed(tmp_path / "toy.npz", x=x, y=y, domain=domain, sample_rate=20.0, **names)
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "toy.npz"


def test_a_training_logs_what_it_learns_offline(toy: Path, tmp_path: Path) -> None:
    config = TrainConfig(
        data=DataConfig("arrays", str(toy)),
        sources=SourcesConfig(encoders=["cnn_nano"], max_epochs=1),
        num_sources=2,
        trainer=TrainerConfig(max_epochs=2, accelerator="cpu"),
        adapt=AdaptConfig(steps=2),
        hat=HaTConfig(ExpertsConfig(steps=2)),
        out=str(tmp_path / "runs"),
        jobs=1,
        wandb="offline",
    )
    result = train(config, Display(silent=True))
    (folder,) = (tmp_path / "runs").iterdir()
    found = records(folder)

    first, second = history(found)[:2]
    assert (first["epoch"], second["epoch"]) == (0, 1)
    attention = {f"attention/{source}" for source in result["weighed"]}
    learned = {"loss/mixer", "loss/student", "mixer/accuracy", "dictionary/writes", "dictionary/best", "alpha"}
    assert second.keys() >= attention | learned
    assert sum(second[name] for name in attention) == pytest.approx(1)
    header, _, last = (folder / "metrics.csv").read_text().splitlines()
    logged = dict(zip(header.split(","), last.split(","), strict=True))
    assert {name: float(value) for name, value in logged.items()} == pytest.approx(
        {name: value for name, value in second.items() if name[0] != "_"}
    )

    final = summary(found)
    assert {name: final[name] for name in ("accuracy", "labels_only", "mixer", "bytes")} == {
        name: result[name] for name in ("accuracy", "labels_only", "mixer", "bytes")
    }
    assert [row[0] for row in table(folder)["data"]][:2] == result["sources"]
    (run,) = of_kind("run", found)
    assert run["run_id"] == folder.name
    assert run["config"]["update"]["adapt"]["steps"] == 2


@pytest.mark.slow
def test_on_a_terminal_the_command_line_neither_asks_nor_leaves_anything_behind(toy: Path, tmp_path: Path) -> None:
    options = {
        "--data.name": "arrays",
        "--data.root": str(toy),
        "--sources.encoders": "[cnn_nano]",
        "--sources.max_epochs": "1",
        "--num_sources": "2",
        "--trainer.max_epochs": "2",
        "--trainer.accelerator": "cpu",
        "--adapt.steps": "2",
        "--hat.experts.steps": "2",
        "--out": str(tmp_path / "runs"),
        "--jobs": "1",
        "--wandb": "online",
    }
    command = [sys.executable, "-m", "hatlit", "train", *(part for option in options.items() for part in option)]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = read_all(ours)
    assert process.wait(20) == 0, shown
    assert "wandb:" not in shown
    assert shown.count("Weights & Biases") == 1
    running = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
    assert f"--pid {process.pid}" not in running


def read_all(terminal: int) -> str:
    """What a process writes to a terminal until it closes it."""
    shown = b""
    with os.fdopen(terminal, "rb", buffering=0) as stream:
        try:
            while part := stream.read(4096):
                shown += part
        except OSError:  # Linux says EIO where the other side is closed
            pass
    return shown.decode()
