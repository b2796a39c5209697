"""What is left of a command that is killed at any moment? Kills small jobs with SIGKILL until they come to their end.

    python benchmarks/interruptions.py --kills 60 --page docs/interruptions.md

Each kind of job is done once without interruption, and then again and again: from nothing, killed with all its
processes at a moment drawn at random, and the same command once more, until one comes to its end. That must then have
left what the uninterrupted one left. Jobs are forked from this process, which has imported everything, so that most
moments are moments of work; the workers of --jobs 2 are processes of their own and import anew.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import os
import platform
import random
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors import safe_open

import hatlit.experiments.compare
import hatlit.experiments.expand  # noqa: F401 - imported here, so that no fork has to
from hatlit.cli import main as hatlit_main
from hatlit.config import Names, names
from hatlit.config.checks import at_least
from hatlit.errors import InputError
from hatlit.experiments.display import Display, counted
from hatlit.experiments.report.document import Table
from hatlit.files import as_json, write_atomically
from hatlit.options import parse
from hatlit.zoo.store import Zoo

#: On the page, what follows is written by this program.
HEADING = "## Tried"

#: Seconds after which a command hangs.
PATIENCE = 300.0

#: Seconds after the first file of the cache within which its writing is interrupted.
WRITING = 0.1

SMALL = "--data.name arrays --data.root people.npz --sources.encoders cnn_nano --sources.max_epochs 4"
QUICK = (
    f"{SMALL} --trainer.max_epochs 12 --trainer.augment true --trainer.checkpoint_seconds 0 --adapt.steps 4 "
    "--hat.experts.steps 2"
)

#: By kind, the command and its share of the kills; it makes ``out``, and may use the zoos below.
COMMANDS = {
    "zoo build": (f"zoo build {SMALL} --jobs 1 --out out", 3),
    "training": (f"train {QUICK} --target person-0 --jobs 1 --wandb off --out out", 4),
    "cache writing": (f"train {QUICK} --target person-1 --zoo zoo --jobs 1 --wandb off --out out", 3),
    "comparison": (f"compare {QUICK} --targets 2 --seeds 1 --methods hat --zoo zoo --jobs 2 --wandb off --out out", 1),
    "expansion": (f"expand {QUICK} --zoo few --join 2 --rounds 1 --compare_labels_only false --jobs 2 --out out", 1),
}

#: Zoos that are there when a job begins, and how they are made.
ZOOS = {"zoo": "", "few": " --leave_out person-0,person-1"}

#: Columns of ``results.csv`` that a clock or the memory of the machine decides.
MEASURED = ("preparation_seconds", "training_seconds", "peak_memory_bytes")


@dataclass
class InterruptionsConfig:
    """Kills small jobs and looks at what is left.

    Args:
        kills: how many.
        kinds: which jobs share the kills.
        seed: of the moments.
        out: JSON file for the counts, which keeps those of kinds that are left out this time.
        page: Markdown page whose last section is written; empty only prints.
    """

    kills: int = 60
    kinds: Names = "all"
    seed: int = 0
    out: str = "benchmarks/results/interruptions.json"
    page: str = ""

    def __post_init__(self) -> None:
        at_least("", self, kills=1)
        self.kinds = list(COMMANDS) if self.kinds == "all" else names(self.kinds)
        unknown = sorted(set(self.kinds) - set(COMMANDS))
        if unknown:
            raise InputError(f"There is no job '{unknown[0]}'; there are {', '.join(COMMANDS)}.")


@dataclass
class Tally:
    """What came of one kind of job.

    Attributes:
        kills: commands that were killed.
        continued: commands that went on where a killed one had been.
        ended: of those, the ones that came to their end.
        identical: of those, the ones that left the models of the uninterrupted command, bit for bit.
        partial: beginnings of files, under temporary names, that kills left; the next command should remove them.
        leftover: of those, the ones that were still there in the end.
        broken: files under their final names that were not whole, after a kill or in the end.
        twice: rows of a table of results that were there twice, or were not those of the uninterrupted command.
        other: anything else that was wrong, in words.
    """

    kills: int = 0
    continued: int = 0
    ended: int = 0
    identical: int = 0
    partial: int = 0
    leftover: int = 0
    broken: int = 0
    twice: int = 0
    other: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether everything is as promised."""
        return not (self.leftover or self.broken or self.twice or self.other) and self.identical == self.ended


def make_people(path: Path) -> None:
    """Writes four people who move slowly, fast or not at all, 60 windows each."""
    rng = np.random.default_rng(0)
    label = np.tile(np.arange(3), 80)
    rate = np.array([1.0, 2.5, 0.0])[label] * rng.normal(1, 0.05, 240)
    wave = np.sin(2 * np.pi * (rate[:, None] * np.arange(32) / 16 + rng.random((240, 1))))[:, None]
    samples = wave * (1 + 0.4 * rng.normal(size=(240, 3, 1))) + 0.3 * rng.normal(size=(240, 3, 32))
    np.savez(
        path,
        x=samples.astype(np.float32),
        y=label,
        domain=np.repeat(np.arange(4), 60),
        class_names=np.array(["slow", "fast", "still"]),
        domain_names=np.array([f"person-{person}" for person in range(4)]),
        sample_rate=np.array(16.0),
        channel_names=np.array(["acc_x", "acc_y", "acc_z"]),
    )


def start(words: Sequence[str], place: Path) -> int:
    """Forks a process that does one command in ``place``, in a process group of its own; returns its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        os.chdir(place)
        os.environ |= {"HATLIT_CACHE": str(place / "cache"), "TMPDIR": str(place / "tmp")}
        tempfile.tempdir = None
        log = os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = hatlit_main(list(words))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    finally:
        os._exit(1)


def outcome(pid: int, until: Callable[[], bool]) -> int | None:
    """Waits for a command; kills it, with all that it has started, as soon as ``until`` says so, and returns None."""
    began = time.monotonic()
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if until() or time.monotonic() - began > PATIENCE:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(0.001)


def moment(kind: str, place: Path, seconds: float, rng: random.Random) -> Callable[[], bool]:
    """Draws when to kill: some time within ``seconds``, or shortly after the first file of the cache is begun."""
    began = time.monotonic()
    if kind != "cache writing":
        drawn = began + rng.uniform(0, seconds)
        return lambda: time.monotonic() >= drawn
    cache, wait = place / "cache", rng.uniform(0, WRITING)
    before = sum(1 for _ in cache.rglob("*"))
    seen: list[float] = []

    def due() -> bool:
        if not seen and sum(1 for _ in cache.rglob("*")) > before:
            seen.append(time.monotonic())
        return bool(seen) and time.monotonic() - seen[0] >= wait

    return due


def files_of(place: Path) -> list[Path]:
    """All files that a job has written."""
    return sorted(path for top in ("out", "cache", "tmp") for path in (place / top).rglob("*") if path.is_file())


def is_partial(path: Path) -> bool:
    """Whether a name is that of a file that is being written."""
    return path.suffix in (".partial", ".tmp") or path.parent.name == "tmp"


def is_whole(path: Path) -> bool:
    """Whether a file is what its name says, from beginning to end."""
    try:
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".yaml":
            yaml.safe_load(path.read_text())
        elif path.suffix == ".csv":
            text = path.read_text()
            rows = list(csv.reader(text.splitlines()))
            return text.endswith("\n") and len({len(row) for row in rows}) == 1
        elif path.suffix == ".safetensors":
            with safe_open(path, "pt") as opened:
                return all(opened.get_tensor(name) is not None for name in opened.keys())  # noqa: SIM118 - no mapping
        elif path.suffix == ".ckpt":
            torch.load(path, weights_only=True)
        elif path.suffix == ".png":
            return path.read_bytes()[-8:-4] == b"IEND"
        elif path.suffix == ".html":
            return path.read_text().rstrip().endswith("</html>")
    except Exception:  # whatever a reader says of half a file
        return False
    return True


def models_of(place: Path) -> dict[str, str]:
    """By path, a hash of every model in what a command leaves."""
    paths = (place / "out").rglob("model.safetensors")
    return {str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}


def rows_of(place: Path) -> list[tuple[str, ...]]:
    """The rows of every table that a command leaves, without what a clock decides."""
    rows = []
    for path in sorted((place / "out").rglob("*.csv")):
        for row in csv.DictReader(path.read_text().splitlines()):
            known = (f"{name}={value}" for name, value in row.items() if name not in MEASURED)
            rows.append((str(path.relative_to(place)), *known))
    return rows


def names_of(place: Path) -> set[str]:
    """What files a command leaves; those of an index have names of their own each time."""
    return {str(path.relative_to(place)) for path in files_of(place) if path.parent.name != "index"}


def compare_ends(place: Path, whole: Path, tally: Tally) -> None:
    """Compares what is left in the end with what the uninterrupted command left."""
    tally.ended += 1
    tally.identical += models_of(place) == models_of(whole)
    rows, wanted = rows_of(place), rows_of(whole)
    tally.twice += len(rows) - len(set(rows)) + len(set(rows) ^ set(wanted))
    left = [path for path in files_of(place) if is_partial(path)]
    tally.leftover += len(left)
    odd = (names_of(place) ^ names_of(whole)) - {str(path.relative_to(place)) for path in left}
    tally.other += [f"{name} is there in one case only" for name in sorted(odd)]
    for zoo in {path.parent for path in (place / "out").rglob("zoo.json")}:
        tally.other += [fault for _, fault in Zoo.open(zoo).verify() if fault]


def new_place(root: Path, name: str) -> Path:
    """A folder with what a command starts from."""
    place = root / name
    (place / "tmp").mkdir(parents=True)
    (place / "people.npz").symlink_to(root / "people.npz")
    for zoo in ZOOS:
        (place / zoo).symlink_to(root / zoo)
    return place


def make_zoo(root: Path, zoo: str) -> None:
    """Makes a zoo that jobs use."""
    place = new_place(root, f"making-{zoo}")
    if outcome(start(shlex.split(COMMANDS["zoo build"][0] + ZOOS[zoo]), place), lambda: False) != 0:
        raise RuntimeError((place / "log").read_text())
    (place / "out").rename(root / zoo)


def interrupt(kind: str, kills: int, root: Path, seed: int) -> Tally:
    """Does one kind of job without interruption, and then with so many kills."""
    words, tally, rng = shlex.split(COMMANDS[kind][0]), Tally(), random.Random(f"{kind} {seed}")
    name = kind.replace(" ", "-")
    whole = new_place(root, f"{name}-whole")
    began = time.monotonic()
    if outcome(start(words, whole), lambda: False) != 0:
        raise RuntimeError(f"{kind}: {(whole / 'log').read_text()}")
    seconds = time.monotonic() - began
    attempts = itertools.count()
    while tally.kills < kills:
        place, code, killed = new_place(root, f"{name}-{next(attempts)}"), None, False
        while code is None:
            may_kill = tally.kills < kills
            tally.continued += killed
            pid = start(words, place)
            code = outcome(pid, moment(kind, place, seconds, rng) if may_kill else lambda: False)
            if code is None and not may_kill:
                tally.other.append("a command hung")
                return tally
            if code is None:
                killed, tally.kills = True, tally.kills + 1
                tally.partial += sum(map(is_partial, files_of(place)))
            tally.broken += sum(not is_whole(path) for path in files_of(place) if not is_partial(path))
        if code:
            tally.other.append(f"exit code {code}: {(place / 'log').read_text()[-300:]}")
        else:
            compare_ends(place, whole, tally)
    return tally


def section(tallies: dict[str, Tally]) -> str:
    """The last section of the page."""
    rows = [
        {
            "killed during": kind,
            "kills": str(one.kills),
            "went on": str(one.continued),
            "came to an end": str(one.ended),
            "same models": str(one.identical),
            "half-written": str(one.broken),
            "beginnings left": f"{one.partial}, {one.leftover} in the end",
            "rows wrong or twice": str(one.twice),
        }
        for kind, one in tallies.items()
    ]
    kills = sum(one.kills for one in tallies.values())
    faulty = [kind for kind, one in tallies.items() if not one.is_sound]
    found = f"Not as promised: {', '.join(faulty)}." if faulty else "All that was counted is as promised."
    said = [f"- {kind}: {line}" for kind, one in tallies.items() for line in one.other]
    said += [f"- Not counted yet: {kind}." for kind in COMMANDS if kind not in tallies]
    return f"""{HEADING}

```bash
python benchmarks/interruptions.py --page docs/interruptions.md
```

killed small jobs {counted(kills, "time")} with SIGKILL, all their processes at once, at moments drawn at random over
their whole length, and those of cache writing within {1000 * WRITING:.0f} ms of the first file in the cache. The same
command was then given again, and killed again, until it came to its end. {found}

{Table(rows).markdown()}

"Same models" counts the ends whose every student and source is that of an uninterrupted command, bit for bit.
"Half-written" are files under their final names that are not whole; all were opened, after each kill and in the end.
"Beginnings" have temporary names. Rows are those of every table but for what a clock decides. Measured on
{datetime.now(UTC).date()} on a CPU, with hatlit {version("hatlit")}, torch {torch.__version__.split("+")[0]} and Python
{platform.python_version()}; `--kinds comparison --kills 20` does more of one kind.
{chr(10).join(["", *said, ""]) if said else ""}"""


def main(words: Sequence[str]) -> int:
    """Prints what was found, writes the page, and returns 1 where something was not as promised."""
    display = Display()
    try:
        config = parse(InterruptionsConfig, "interruptions", "What is left of a command that is killed?", list(words))
    except InputError as error:
        print(f"interruptions: {error}", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    shares = {kind: COMMANDS[kind][1] for kind in config.kinds}
    out = Path(config.out)
    counts = json.loads(out.read_text()) if out.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_people(root / "people.npz")
        for zoo in ZOOS:
            if any(f"--zoo {zoo} " in COMMANDS[kind][0] for kind in config.kinds):
                make_zoo(root, zoo)
        for kind, share in display.track(shares.items(), "kinds of job"):
            kills = max(1, round(config.kills * share / sum(shares.values())))
            counts[kind] = asdict(interrupt(kind, kills, root, config.seed))
            display.json({kind: counts[kind]})
            write_atomically(out, as_json(counts))
    tallies = {kind: Tally(**counts[kind]) for kind in COMMANDS if kind in counts}
    if config.page:
        page = Path(config.page)
        write_atomically(page, page.read_text().partition(HEADING)[0] + section(tallies))
    return 0 if all(tallies[kind].is_sound for kind in config.kinds) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
