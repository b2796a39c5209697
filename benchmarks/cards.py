"""How long does it take to open a zoo, to compare a target with all of its cards, and to add one, as the zoo grows?

    python benchmarks/cards.py --page docs/cards.md

Cards are drawn at random, with the statistics of an IMU zoo. Each size has a process of its own, whose peak memory is
what the table says. Beside the similarities stands the exact index of faiss, which takes turns with ours; `pip install
-e ".[bench]"` brings it, and without it its columns are empty. The zoo is made in TMPDIR: a million sources are a
million folders, for which a file system in memory is the quickest (it takes about 10 GB).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from hatlit.config import Names, names
from hatlit.config.checks import at_least
from hatlit.encoders.base import InputSpec, build_classifier
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.report.document import Table as Rows
from hatlit.files import as_json, write_atomically
from hatlit.options import parse
from hatlit.selection.coarse import coarse
from hatlit.selection.similarity import Scale
from hatlit.selection.statistics import Profile
from hatlit.zoo.card import Statistic, StatisticsSpec, Training, ZooInfo
from hatlit.zoo.folder import Stamp, open_folder
from hatlit.zoo.segments import LARGEST, append
from hatlit.zoo.store import Zoo
from hatlit.zoo.table import Kind, StatisticArrays, Table

SPEC = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(96,), rate=32.0)
WIDTHS = {"handcrafted": 42, "random_kernels": 400}
INFO = ZooInfo(modality="imu", statistics=StatisticsSpec(names=tuple(WIDTHS), view=SPEC, seed=0))
SIMILARITIES = ("cosine", "euclidean", "jaccard", "rbf_mmd")

#: Which index of faiss does what which similarity does.
RIVALS = {"cosine": "IndexFlatIP", "euclidean": "IndexFlatL2"}

#: With more cards than this, filling an index of faiss needs more memory than many machines have: a copy as float64.
MOST_FOR_RIVALS = 100_000

#: Share of the sources that the coarse stage keeps here.
KEEP = 0.01

PAGE = """# Many cards

Selection starts from what sources say about themselves, so a zoo must open, compare and grow without looking at every
card. Made by

```bash
{command}
```

on {date}, with hatlit {hatlit}, numpy {numpy} and Python {python}, one thread, on {cores} cores whose load was {load}
when it ended. Seconds are those of the processor, which other work on the machine lengthens far less than those of a
clock (the JSON file has both); waiting for the disk is not in them. Cards are drawn at random with the statistics of an
IMU zoo, {numbers} numbers each. Medians of {repeats}; memory is the peak of a process that opens, reads and compares,
of which {base} MB, more with more cards, are there before the zoo is opened.

{table}

- **open** lists the sources and reads the columns of the index, no card. Card files are stand-ins here, a few bytes
  long: opening looks at their size and time alone.
- **read** fetches the statistics that the target asks for. They are not kept: the next target reads them again.
- **cosine** to **rbf_mmd** score every source and rank them. The statistics are scaled over the zoo each time, since
  which sources count depends on the target.
- **add** is a whole `Zoo.add`: weights, card, and what the index says about it. Now and then small parts of the index
  become a larger one; the slowest add of {adds} is beside the median.
- **growth** is the exponent of a power of the number of cards, fitted to the column: 1 is proportional, 0 is constant.

## Next to faiss

The exact indexes of faiss-cpu find the nearest of vectors that were put in before. Scaling them and putting them in is
"fill"; "search" is all that remains where vectors and scale stay the same. Ours does both at once, and without a copy.
Where a dash stands, faiss was not tried: filling takes a copy as float64, more memory than many machines have.

{rivals}

## What the index is made of

Every card that is added is a small segment of its own: its columns as strict JSON, its statistics as safetensors, under
a name that no other writer uses and that holds the hashes of both. As soon as there are sixteen segments of one size
they become one of the next, until it has 4,096 cards. So a card is written at most four times however many follow, no
writer can lose what another wrote, and a killed writer leaves either a whole segment or none. Cards are checked
strictly when they enter, and once more when a candidate's card is used; then its hash must be that in the index. More
about where a zoo can be and who may write to it is on [its page](zoo.md).

The fine stage loads the encoder of every candidate: `--selection.keep 0.001` keeps a hundred of a hundred thousand
sources instead of the usual 30 %.
"""


@dataclass
class CardsConfig:
    """Times a zoo of many cards.

    Args:
        sizes: numbers of cards; a million takes 5 GB of memory.
        repeats: how often everything is timed, in turns.
        adds: sources that are added.
        out: JSON file for the figures.
        page: Markdown file for the tables; empty writes none.
        measure: folder of a zoo that this process measures; what the benchmark starts for each size.
    """

    sizes: Names = "1000,10000,100000"
    repeats: int = 5
    adds: int = 33
    out: str = str(Path(__file__).parent / "results" / "cards.json")
    page: str = ""
    measure: str = ""

    def __post_init__(self) -> None:
        self.sizes = names(self.sizes)
        at_least("", self, repeats=1, adds=1)
        if not all(size.isdigit() and int(size) >= 100 for size in self.sizes):
            raise InputError("--sizes wants numbers of cards, 100 or more each.")


def fill(url: str, count: int) -> None:
    """Makes a zoo of ``count`` cards, whose index is true and whose files are stand-ins."""
    Zoo.create(url, INFO)
    folder, rng = open_folder(url), np.random.default_rng(0)
    kinds = (Kind(class_names=("sit", "walk", "run"), input_spec=SPEC),)
    for start in range(0, count, LARGEST):
        ids = tuple(f"user-{number:07d}" for number in range(start, min(count, start + LARGEST)))
        stamps = []
        for source in ids:
            card = Path(url, "sources", source, "card.json")
            card.parent.mkdir(parents=True)
            card.write_text(source)
            facts = card.stat()
            stamps.append(Stamp(facts.st_size, facts.st_mtime_ns))
        hashes = tuple(hashlib.sha256(source.encode()).hexdigest() for source in ids)
        same = {"datasets": "demo", "encoders": "cnn_tiny", "kind": 0, "accuracies": 0.9, "num_samples": 400}
        same |= {"rounds": 0, "size_bytes": 94_000}
        columns: dict[str, Any] = {name: (value,) * len(ids) for name, value in same.items()}
        table = Table(
            widths=WIDTHS,
            kinds=kinds,
            ids=ids,
            domains=ids,
            stamps=tuple(stamps),
            sha256=hashes,
            card_sha256=hashes,
            **columns,
        )
        arrays = {
            name: StatisticArrays(
                rng.standard_normal((len(ids), width), dtype=np.float32),
                rng.random((len(ids), width), dtype=np.float32),
            )
            for name, width in WIDTHS.items()
        }
        append(folder, table, arrays)


@dataclass(frozen=True)
class Taken:
    """What something took, in seconds of the processor and of a clock."""

    cpu: float
    clock: float


def timed(do: Callable[[], Any]) -> Taken:
    """Does something."""
    clock, cpu = time.perf_counter(), time.process_time()
    do()
    return Taken(time.process_time() - cpu, time.perf_counter() - clock)


def peak() -> int:
    """Bytes that this process had in memory at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(url: str, config: CardsConfig) -> dict[str, Any]:
    """Times everything at one size, in a process of its own."""
    taken: dict[str, list[Taken]] = {}

    def note(name: str, do: Callable[[], Any]) -> None:
        taken.setdefault(name, []).append(timed(do))

    base = peak()
    for _ in range(config.repeats):
        note("open", lambda: Zoo.open(url).index())
    index = Zoo.open(url).index()
    rows = list(range(1, len(index.ids)))  # the target's own source is left out
    for _ in range(config.repeats):
        note("read", lambda: index.statistics("random_kernels", rows))
    sources = Profile(*index.statistics("random_kernels", rows))
    own = Profile(*(pair[0] for pair in index.statistics("random_kernels", [0])))
    for similarity in SIMILARITIES:
        note(similarity, lambda name=similarity: coarse(own, sources, name, KEEP, 5))  # type: ignore[misc]
    memory = peak()
    rivals = Rivals(own, sources)
    for _ in range(config.repeats - 1):
        for similarity in SIMILARITIES:
            note(similarity, lambda name=similarity: coarse(own, sources, name, KEEP, 5))  # type: ignore[misc]
            rivals.take_turn(similarity, note)
    add(url, config.adds, note)
    return {
        "base": base,
        "peak": memory,
        "slowest_add": max(one.cpu for one in taken["add"]),
        **{name: median(one.cpu for one in all_) for name, all_ in taken.items()},
        "clock": {name: median(one.clock for one in all_) for name, all_ in taken.items()},
    }


def add(url: str, count: int, note: Callable[[str, Callable[[], Any]], None]) -> None:
    """Adds sources to a zoo."""
    zoo, rng = Zoo.open(url), np.random.default_rng(1)
    model = build_classifier("cnn_tiny", SPEC, 3)
    for number in range(count):
        statistics = {
            name: Statistic.of(rng.standard_normal(width), rng.random(width)) for name, width in WIDTHS.items()
        }
        note(
            "add",
            lambda name=f"new-{number}", statistics=statistics: zoo.add(  # type: ignore[misc]
                name,
                model,
                domain=name,
                dataset="demo",
                encoder="cnn_tiny",
                class_names=("sit", "walk", "run"),
                statistics=statistics,
                centroids=(tuple(rng.random(model.feature_dim).tolist()),) * 3,
                accuracy=0.9,
                num_samples=400,
                training=Training(max_epochs=1, seed=0, labels=400),
            ),
        )


class Rivals:
    """The exact indexes of faiss, if it is there."""

    def __init__(self, own: Profile, sources: Profile) -> None:
        self.faiss: Any = None
        try:
            import faiss
        except ImportError:
            return
        self.faiss, self.own, self.sources = faiss, own, sources
        faiss.omp_set_num_threads(1)
        self.kept = max(5, int(KEEP * len(sources.mean)))

    def take_turn(self, similarity: str, note: Callable[[str, Callable[[], Any]], None]) -> None:
        """Times filling the index that does the same, and searching it."""
        if self.faiss is None or similarity not in RIVALS or len(self.sources.mean) > MOST_FOR_RIVALS:
            return
        made: list[tuple[Any, np.ndarray]] = []
        note(f"fill {similarity}", lambda: made.append(self._fill(similarity)))
        (index, wanted), kept = made[0], self.kept
        note(f"search {similarity}", lambda: index.search(wanted, kept))

    def _fill(self, similarity: str) -> tuple[Any, np.ndarray]:
        both = [np.concatenate([one.mean, one.spread], axis=-1) for one in (self.sources, self.own)]
        scale = Scale.of(self.sources)
        rows, wanted = (((one - scale.centre) * scale.inverse).astype(np.float32) for one in both)
        wanted = wanted[None]
        if similarity == "cosine":
            self.faiss.normalize_L2(rows)
            self.faiss.normalize_L2(wanted)
        index = getattr(self.faiss, RIVALS[similarity])(rows.shape[1])
        index.add(rows)
        return index, wanted


def growth(sizes: list[int], column: list[float]) -> str:
    """The exponent of a power of the size, fitted to a column."""
    return f"{np.polyfit(np.log(sizes), np.log(column), 1)[0]:.2f}" if len(sizes) > 1 else "-"


def tables_of(summary: dict[str, Any]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """The two tables of the page."""
    by_size = {int(size): one for size, one in summary["sizes"].items()}
    sizes, ones = list(by_size), list(by_size.values())
    columns = ("open", "read", *SIMILARITIES, "add")
    rows = [
        {
            "cards": f"{size:,}",
            **{f"{name} (s)": f"{one[name]:.3f}" for name in columns},
            "slowest add (s)": f"{one['slowest_add']:.3f}",
            "memory (MB)": f"{one['peak'] / 1e6:.0f}",
        }
        for size, one in by_size.items()
    ]
    last = {f"{name} (s)": growth(sizes, [one[name] for one in ones]) for name in columns}
    rows.append({"cards": "growth", **last, "slowest add (s)": "", "memory (MB)": ""})
    rivals = [
        {
            "cards": f"{size:,}",
            "similarity": f"{name} ({index})",
            "ours (s)": f"{one[name]:.3f}",
            "faiss: fill (s)": f"{one[f'fill {name}']:.3f}" if f"fill {name}" in one else "-",
            "faiss: search (s)": f"{one[f'search {name}']:.3f}" if f"search {name}" in one else "-",
        }
        for size, one in by_size.items()
        for name, index in RIVALS.items()
    ]
    return rows, rivals


def run(config: CardsConfig, display: Display) -> dict[str, Any]:
    """Makes a zoo of each size and has a process measure it."""
    measured = {}
    for size in config.sizes:
        with tempfile.TemporaryDirectory() as folder:
            fill(f"{folder}/zoo", int(size))
            words = ["--measure", f"{folder}/zoo", "--repeats", str(config.repeats), "--adds", str(config.adds)]
            command = [sys.executable, __file__, *words]
            one_thread = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=one_thread)
            measured[size] = json.loads(done.stdout)
        display.say(f"{size} cards are measured")
    return {
        "sizes": measured,
        "repeats": config.repeats,
        "adds": config.adds,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "date": str(datetime.now(UTC).date()),
        "python": platform.python_version(),
        **{library: _version(library) for library in ("hatlit", "numpy", "faiss-cpu")},
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def page_of(summary: dict[str, Any], words: list[str]) -> str:
    """The page as Markdown."""
    rows, rivals = tables_of(summary)
    before = [one["base"] / 1e6 for one in summary["sizes"].values()]
    where = [f"TMPDIR={os.environ['TMPDIR']}"] if "TMPDIR" in os.environ else []
    return PAGE.format(
        **{name: summary[name] for name in ("date", "hatlit", "numpy", "python", "cores", "repeats", "adds")},
        command=shlex.join([*where, "python", "benchmarks/cards.py", *words]),
        load=f"{summary['load']:.1f}",
        numbers=2 * sum(WIDTHS.values()),
        base=f"{min(before):.0f} to {max(before):.0f}",
        table=Rows(rows).markdown(),
        rivals=Rows(rivals).markdown(),
    )


def main(words: list[str]) -> int:
    """Prints the figures, and writes them and the page."""
    display = Display()
    try:
        config = parse(CardsConfig, "cards", "How fast is a zoo of many cards?", words)
    except InputError as error:
        print(f"cards: {error}", file=sys.stderr)
        return 2
    if config.measure:
        print(json.dumps(measure(config.measure, config)))
        return 0
    summary = run(config, display)
    if summary["faiss-cpu"] == "not installed":
        display.say('faiss is left out (not installed); pip install -e ".[bench]" brings it')
    rows, rivals = tables_of(summary)
    display.table("a zoo of many cards", rows)
    display.table("next to faiss", rivals)
    write_atomically(Path(config.out), as_json(summary))
    if config.page:
        write_atomically(Path(config.page), page_of(summary, words))
    display.say(f"wrote {config.out}{f' and {config.page}' if config.page else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
