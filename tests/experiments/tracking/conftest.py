"""A Weights & Biases of the tests' own: no user's key, a server of a few lines, and runs that can be read again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hatlit.experiments import tracking
from hatlit.experiments.tracking import WandbRun, start_wandb


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


class Logged:
    """Everything in the one run file below a folder, as wandb itself reads it."""

    def __init__(self, folder: Path) -> None:
        (path,) = folder.glob("wandb/*run-*/*.wandb")
        command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        self._folder, self._records = folder, [json.loads(line) for line in lines]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [record[kind] for record in self._records if record["type"] == kind]

    @property
    def history(self) -> list[dict[str, Any]]:
        return [record["item"] for record in self.of_kind("history")]

    @property
    def summary(self) -> dict[str, Any]:
        return {name: value for record in self.of_kind("summary") for name, value in record["update"].items()}

    @property
    def table(self) -> dict[str, Any]:
        (path,) = self._folder.glob("wandb/*run-*/files/media/table/*.json")
        content = json.loads(path.read_text())
        assert isinstance(content, dict)
        return content


@pytest.fixture
def logged() -> Callable[[Path], Logged]:
    return Logged


@pytest.fixture
def key() -> str:
    """One that looks like a key of wandb's."""
    return "a" * 40


@pytest.fixture
def not_hanging() -> int:
    """Seconds within which anything that is bounded is over, however busy the machine; unbounded, wandb takes 100."""
    return 60


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
