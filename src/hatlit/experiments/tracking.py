"""Where the numbers of a run go while it trains: metrics.csv always, Weights & Biases where it can be had."""

from __future__ import annotations

import csv
import io
import netrc
import os
import threading
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from lightning.pytorch.loggers import Logger

from hatlit.files import write_atomically

#: Longest time (seconds) that Weights & Biases may take to start or to say goodbye.
PATIENCE = 15.0

Say = Callable[[str], None]


class EpochTable(Logger):
    """Keeps one row an epoch in ``metrics.csv``; a resumed run continues the rows it finds.

    Args:
        path: the CSV file.
        say: shows one line to the user.
    """

    def __init__(self, path: Path, say: Say) -> None:
        super().__init__()
        self._path, self._say = path, say
        self._rows = {int(float(row["epoch"])): row for row in _read_rows(path)}
        self._failed = False

    @property
    def name(self) -> str:
        """Lightning wants one."""
        return "metrics"

    @property
    def version(self) -> str:
        """Lightning wants one."""
        return ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Leaves the options to ``config.yaml``."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Writes the row of one epoch, in place of a row of the same epoch; rows of later epochs are forgotten."""
        epoch = int(metrics["epoch"])
        self._rows = {number: row for number, row in self._rows.items() if number < epoch}
        self._rows[epoch] = {"epoch": epoch, **{key: value for key, value in metrics.items() if key != "epoch"}}
        try:
            write_atomically(self._path, _as_csv(list(self._rows.values())))
        except OSError as error:
            if not self._failed:
                self._say(f"metrics.csv cannot be written ({error}); training goes on without it.")
            self._failed = True


class WandbRun(Logger):
    """A run on Weights & Biases whose failures end its logging, never the training.

    Args:
        run: what ``wandb.init`` answered.
        say: shows one line to the user.
    """

    def __init__(self, run: Any, say: Say) -> None:
        super().__init__()
        self._run, self._say = run, say

    @property
    def name(self) -> str:
        """Name of the run."""
        return str(self._run.name) if self._run else ""

    @property
    def version(self) -> str:
        """Id of the run."""
        return str(self._run.id) if self._run else ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Leaves the options to ``start_wandb``."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Logs one row."""
        self._guarded(lambda: self._run.log(metrics))

    def log_table(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Logs a table whose columns are the keys of its rows."""
        import wandb

        columns: list[str | int] = list(rows[0]) if rows else []
        cells = [list(row.values()) for row in rows]
        self._guarded(lambda: self._run.log({name: wandb.Table(columns=columns, data=cells)}))

    def close(self, summary: dict[str, Any]) -> None:
        """Writes the final numbers and ends the run, waiting no longer than ``PATIENCE``."""
        self._guarded(lambda: self._run.summary.update(summary))
        run, self._run = self._run, None
        if run is None:
            return
        goodbye = threading.Thread(target=_quietly, args=(run.finish,), daemon=True)
        goodbye.start()
        goodbye.join(PATIENCE)
        if goodbye.is_alive():
            self._say(f"Weights & Biases did not answer for {PATIENCE:.0f} s; `wandb sync` can send the rest later.")

    def _guarded(self, action: Callable[[], Any]) -> None:
        if self._run is None:
            return
        try:
            action()
        except Exception as error:
            self._say(f"Weights & Biases stopped working ({_first_line(error)}); training goes on without it.")
            self._run = None


def start_wandb(mode: str, folder: Path, name: str, config: dict[str, Any], say: Say) -> WandbRun | None:
    """Opens a run on Weights & Biases, or says in one line why there is none.

    Args:
        mode: auto, online, offline or off.
        folder: where its files go; the run keeps its id when the folder's name does, so that resuming continues it.
        name: of the run.
        config: the options of the run.
        say: shows one line to the user.
    """
    mode = _resolved(mode, say)
    if mode == "off":
        return None
    try:
        return _open(mode, folder, name, config, say)
    except Exception as error:
        if mode == "offline":
            say(f"Weights & Biases is off: {_first_line(error)}")
            return None
        say(f"Weights & Biases cannot be reached ({_first_line(error)}); logging offline instead.")
        return start_wandb("offline", folder, name, config, say)


def _open(mode: str, folder: Path, name: str, config: dict[str, Any], say: Say) -> WandbRun:
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(init_timeout=PATIENCE, silent=True, console="off")
    run = wandb.init(
        project="hatlit",
        dir=str(folder),
        name=name,
        id=name,
        resume="allow",
        config=config,
        mode=mode,  # type: ignore[arg-type]
        settings=settings,
    )
    if not Path(run.dir).resolve().is_relative_to(folder.resolve()):
        say(f"'{folder}' cannot be written; Weights & Biases logs to {run.dir} instead.")
    return WandbRun(run, say)


def _resolved(mode: str, say: Say) -> str:
    if mode != "auto":
        return mode
    asked = os.environ.get("WANDB_MODE")
    if asked in ("online", "offline"):
        return asked
    if asked or not _has_key():
        say("Weights & Biases: off (no key configured; --wandb offline logs to the run folder).")
        return "off"
    return "online"


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _quietly(action: Callable[[], Any]) -> None:
    try:
        action()
    except Exception as error:  # a goodbye that fails has nobody left to tell
        del error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0]


def _read_rows(path: Path) -> list[dict[str, Any]]:
    try:
        return list(csv.DictReader(io.StringIO(path.read_text())))
    except OSError:
        return []


def _as_csv(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
