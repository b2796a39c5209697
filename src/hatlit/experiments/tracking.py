"""The numbers of a run on Weights & Biases, where it can be had; nothing that fails there stops a training."""

from __future__ import annotations

import configparser
import hashlib
import netrc
import os
import re
import shlex
import textwrap
import threading
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

#: Seconds that Weights & Biases may take to start, and again to send its last numbers.
PATIENCE = 10.0

#: Seconds that it may take over anything in between.
SHORT_PATIENCE = 4.0

#: The addresses of the public server, for which a key may be stored.
PUBLIC_SERVERS = ("api.wandb.ai", "api.forge.coreweave.com")

#: What ``WANDB_MODE`` may say, in our words; whatever else it says means off.
MODES = {"online": "online", "run": "online", "offline": "offline", "dryrun": "offline"}

Say = Callable[[str], None]


class WandbRun(Logger):
    """A run on Weights & Biases. It may fail or fall silent without stopping the training, or holding it up for long.

    Args:
        run: what ``wandb.init`` answered.
        say: shows one line to the user.
    """

    def __init__(self, run: Any, say: Say) -> None:
        super().__init__()
        self._run, self._say = run, say
        self._has_failed = False

    @property
    def name(self) -> str:
        """Name of the run."""
        return str(self._run.name)

    @property
    def version(self) -> str:
        """Id of the run."""
        return str(self._run.id)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Leaves the options to ``start_wandb``."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Logs one row."""
        self._attempt(lambda: self._run.log(metrics), SHORT_PATIENCE)

    def log_table(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Logs a table whose columns are the keys of its rows."""
        import wandb

        columns = list(dict.fromkeys(key for row in rows for key in row))
        cells = [[row.get(column) for column in columns] for row in rows]

        def log() -> None:
            self._run.log({name: wandb.Table([*columns], cells, allow_mixed_types=True)})

        self._attempt(log, SHORT_PATIENCE)

    def log_files(self, name: str, paths: Sequence[Path]) -> None:
        """Keeps files with the run, as one artifact."""
        import wandb

        def log() -> None:
            artifact = wandb.Artifact(re.sub(r"[^\w.-]", "-", f"{name}-{self.version}")[-128:], type="report")
            for path in paths:
                artifact.add_file(str(path))
            self._run.log_artifact(artifact)

        self._attempt(log, SHORT_PATIENCE)

    def close(self, summary: dict[str, Any]) -> None:
        """Writes the final numbers and ends the run."""
        self._attempt(lambda: self._run.summary.update(summary), SHORT_PATIENCE)
        self._finish(exit_code=0)

    def finalize(self, status: str) -> None:
        """Ends the run as failed where the training failed; a training that went well still has numbers to come."""
        if status == "failed":
            self._finish(exit_code=1)

    def _finish(self, exit_code: int) -> None:
        self._attempt(lambda: self._run.finish(exit_code), PATIENCE + 1)
        if self._has_failed:
            _clear_away()

    def _attempt(self, action: Callable[[], Any], seconds: float) -> None:
        """Does something beside this thread, waits no longer than given, and says so the first time that it fails."""
        faults: list[BaseException] = []
        beside = threading.Thread(target=_note_fault, args=(action, faults), daemon=True)
        beside.start()
        beside.join(seconds)
        if beside.is_alive():
            faults.append(TimeoutError(f"no answer for {seconds:.0f} s"))
        if faults and not self._has_failed:
            self._has_failed = True
            self._say(
                f"Weights & Biases failed ({_in_short(faults[0])}) and may be incomplete; "
                f"{_sync(self._run)} sends what is there."
            )


def start_wandb(
    mode: str, folder: Path, name: str, config: dict[str, Any], say: Say, group: str | None = None
) -> WandbRun | None:
    """Opens a run on Weights & Biases and says in one line where it is, or why there is none.

    Args:
        mode: auto, online, offline or off.
        folder: where its files go.
        name: of the run, from which its id follows, so that a resumed run goes on where it stopped.
        config: the options of the run.
        say: shows one line to the user.
        group: of runs, under which this one is filed.
    """
    mode = _resolved(mode, say)
    if mode == "off":
        return None
    reason = ""
    if mode == "online":
        try:
            return _online(folder, name, config, say, group)
        except Exception as error:
            reason = f", since online failed: {_in_short(error)}"
    try:
        run = _open("offline", folder, name, config, say, group)
    except Exception as error:
        say(f"Weights & Biases: off ({_in_short(error)}).")
        return None
    say(f"Weights & Biases: offline{reason}; {_sync(run)} sends it later.")
    return WandbRun(run, say)


def _resolved(mode: str, say: Say) -> str:
    if mode != "auto":
        return mode
    wish = os.environ.get("WANDB_MODE")
    if wish:
        mode = MODES.get(wish, "off")
        reason = f"WANDB_MODE is {wish}"
    else:
        mode = "online" if _has_key() else "off"
        reason = "no key configured; --wandb offline logs to the run folder"
    if mode == "off":
        say(f"Weights & Biases: off ({reason}).")
    return mode


def _has_key() -> bool:
    """Whether wandb would find a key. It is not imported to ask, and never gets to ask for one on the terminal."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    try:
        stored = _wandb_settings()
        server = os.environ.get("WANDB_BASE_URL") or stored.get("base_url")
        hosts = (urlparse(server).netloc,) if server else PUBLIC_SERVERS
        path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
        return "api_key" in stored or any(host in netrc.netrc(path).hosts for host in hosts)
    except Exception:  # a file that cannot be read holds no key
        return False


def _wandb_settings() -> dict[str, str]:
    """What ``wandb login`` and the like wrote down for this user."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(Path(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb").expanduser() / "settings")
    return dict(parser["default"]) if "default" in parser else {}


def _online(folder: Path, name: str, config: dict[str, Any], say: Say, group: str | None) -> WandbRun:
    if not _has_key():
        raise LookupError("no key configured")
    try:
        run = _open("online", folder, name, config, say, group)
    except Exception:
        _clear_away()  # else what is left of it still holds the name of the run
        raise
    say(f"Weights & Biases: {run.url}")
    return WandbRun(run, say)


def _open(mode: str, folder: Path, name: str, config: dict[str, Any], say: Say, group: str | None) -> Any:
    # wandb reports on itself to its server, and where that does not answer, the process takes 20 s longer to exit.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    settings = wandb.Settings(
        init_timeout=PATIENCE, finish_timeout=PATIENCE, finish_timeout_raises=True, silent=True, console="off"
    )
    wandb.setup(settings)  # else it speaks before it learns that it should be silent
    run = wandb.init(
        project="hatlit",
        dir=str(folder),
        name=name,
        group=group,
        id=_id_of(name, group),
        resume="allow",
        reinit="create_new",
        config=config,
        mode=mode,  # type: ignore[arg-type]
        settings=settings,
    )
    run.define_metric("*", step_metric="epoch")
    if not _folder_of(run).is_relative_to(folder.resolve()):
        say(f"'{folder}' cannot be written; Weights & Biases keeps its files in {_folder_of(run)}")
    return run


def _id_of(name: str, group: str | None) -> str:
    """A name without what the server refuses in an id. Where it is too long, the end counts, which has the hash.

    The same run in another group is another one there, so that no comparison takes a run out of an older one.
    """
    of_group = f"-{hashlib.sha256(group.encode()).hexdigest()[:6]}" if group else ""
    return re.sub(r"[^\w.-]", "-", name + of_group)[-128:]


def _folder_of(run: Any) -> Path:
    return Path(run.dir).resolve().parent


def _sync(run: Any) -> str:
    return f"`wandb sync {shlex.quote(str(_folder_of(run)))}`"


def _clear_away() -> None:
    """Ends wandb's own process after a failure, which wandb would otherwise do, with a traceback, at the very end."""
    import wandb

    _note_fault(wandb.teardown, [])


def _note_fault(action: Callable[[], Any], faults: list[BaseException]) -> None:
    try:
        action()
    except (Exception, SystemExit) as error:
        faults.append(error)


def _in_short(error: BaseException) -> str:
    return textwrap.shorten(str(error).rstrip(".\n") or type(error).__name__, 200)
