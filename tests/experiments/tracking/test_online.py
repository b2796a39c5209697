"""Runs that talk to a server: which goes on, falls silent, or is not there."""

from __future__ import annotations

import os
import pty
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hatlit.experiments import tracking
from hatlit.experiments.tracking import start_wandb


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
    tmp_path: Path,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    key: str,
    not_hanging: int,
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(tracking, "PATIENCE", 1.0)
    began = time.perf_counter()
    run = start_wandb("online", tmp_path, "run-a", {}, said.append)
    assert time.perf_counter() - began < not_hanging
    assert run is not None
    assert run.version == "run-a"
    run.close({})
    assert len(said) == 1
    assert said[0].startswith("Weights & Biases: offline, since online failed: ")
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("impatient")
def test_a_resumed_online_run_goes_on_where_it_stopped(
    tmp_path: Path, server: Any, said: list[str], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
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
    tmp_path: Path, server: Any, said: list[str], monkeypatch: pytest.MonkeyPatch, key: str, not_hanging: int
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    run = start_wandb("online", tmp_path, "run-a", {}, said.append)
    assert run is not None
    server.silent.set()
    began = time.perf_counter()
    run.log_metrics({"epoch": 0.0})
    run.log_table("selection", [{"id": "dan"}])
    run.close({"accuracy": 0.5})
    assert time.perf_counter() - began < not_hanging
    assert len(said) == 2
    assert said[1].startswith("Weights & Biases failed (no answer for 0 s) and may be incomplete; `wandb sync ")


@pytest.mark.slow
def test_the_real_patience_ends(
    tmp_path: Path, server: Any, said: list[str], monkeypatch: pytest.MonkeyPatch, key: str, not_hanging: int
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    server.silent.set()
    began = time.perf_counter()
    run = start_wandb("online", tmp_path, "run-a", {}, said.append)
    assert run is not None
    run.close({})
    assert time.perf_counter() - began < not_hanging
    assert len(said) == 1
