"""What happens when strangers fill the zoo? Damages files of every kind, thousands of times, and watches who reads.

    python benchmarks/robustness.py --page docs/robustness.md

Each case is a sound file with one to three changes: values that no card should hold, fields that are gone or twice
there, bytes that flipped, headers that lie. Whoever reads it either takes it for sound, or refuses it with an
``InputError`` of one sentence that names the file. Anything else is a fault: another exception, a sentence that is
none, a case of more than two seconds, a file of the reader's that has changed.
"""

from __future__ import annotations

import json
import os
import platform
import random
import resource
import shlex
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from borders import Border, borders
from hatlit.config.checks import at_least
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.report.document import Table
from hatlit.files import as_json, write_atomically
from hatlit.options import parse

#: Seconds of the processor after which a case hangs, and of a clock after which it is ended.
HANGS, ENDED = 2.0, 20

PAGE = """# What strangers can do

A zoo may be filled by people whom you do not know. This page says what they can do to you, what they cannot, and how
that was tried.

## Promised

- **Nothing of a zoo is run.** Weights are safetensors, everything else is JSON that is parsed strictly; no pickle is
  ever opened, wherever it lies. An encoder is a name that your own registry knows; code comes from what you installed.
- **Nothing leads out of a zoo.** Ids are plain names, and links that lead out of its folder are neither read nor
  written through. Pipes and devices are not opened.
- **A lie about size costs nothing.** A model is outlined without memory and compared with the size of its weights
  before either is read or built. No view holds more than {numbers:,} numbers; none is built that blows up a recording
  beyond reason, in size or in rate. Cards are read up to 16 MiB, tables of the index up to 32 MiB, their statistics up
  to 256 MiB.
- **What is broken is left out by name.** Selection goes on without a source whose card, weights or answers are of no
  use, and says so. A source that answers with numbers that are not finite, on whatever row, is left out as well.
- **Nothing is half written.** Files appear whole or not at all.
- **One sentence.** Bad input ends with exit code 2 and one sentence that names the file, in which nothing steers the
  terminal.

## Not promised

- **What a source says of itself may be false.** Its accuracy, statistics and centroids are believed when candidates
  are ranked; only your own labels tell, and what other sources make of the same samples. A source may have learned to
  answer wrongly on purpose: few labels find one that is often wrong, and no number of them one that is wrong on a
  sample you do not have.
  What such sources did in trials is on [a page of its own](bad-sources.md).
- **Who can write to a zoo can spoil it**: remove sources, hide them with an index that leaves them out, add a million.
  Cards have hashes and no signatures; who wrote one is for the place where the zoo lies to know.
- **A large model is a large model.** A source whose weights really are 4 GB takes them. Limit what is uploaded.
- **Names of models may ask a hub.** `hf:name` in a card makes transformers look for that model's description on the
  Hugging Face hub, or in a folder of that name; no code of it is run. `HF_HUB_OFFLINE=1` keeps it from asking.
- **Plugins and data are yours.** What `--plugin` names is code, and is run. An npz file may say truly that it holds
  more than your memory does.
- **Privacy.** What a card tells about the people behind it, and how noise can blur it, is on [a page of its
  own](privacy.md).

## Tried

Made by

```bash
{command}
```

on {date}, with hatlit {hatlit}, torch {torch} and Python {python}: {cases:,} files, {faults} faults. Each is a sound
file with one to three changes; hashes and sizes that a stranger would set right were set right. "Accepted" means that
what was read is sound in spite of the changes, or that what was changed is not needed: an index that is of no use is
made anew from the cards. Memory is the peak of the whole process over that of one that has read nothing, {base:.0f} MB.
Seconds are those of the processor, which other work on the machine lengthens far less than those of a clock.

{table}

The quick form of the same is in `tests/robustness`, with seeds of its own.
"""


@dataclass
class RobustnessConfig:
    """Damages files and watches who reads them; where no file is asked for, the figures of the last run stay.

    Args:
        cards: mutated cards.
        index: mutated columns and statistics of the index.
        weights: mutated safetensors files.
        beside: mutated files that lie beside a student: zoo.json, recording.json, result.json, an export's JSON.
        npz: mutated npz files.
        yaml: mutated option files.
        seed: of the changes.
        out: JSON file for the figures.
        page: Markdown file for the tables; empty writes none.
    """

    cards: int = 10000
    index: int = 5000
    weights: int = 5000
    beside: int = 2000
    npz: int = 4000
    yaml: int = 1000
    seed: int = 0
    out: str = str(Path(__file__).parent / "results" / "robustness.json")
    page: str = ""

    def __post_init__(self) -> None:
        at_least("", self, cards=0, index=0, weights=0, beside=0, npz=0, yaml=0)


@dataclass
class Tally:
    """What came of the cases of one border."""

    cases: int = 0
    accepted: int = 0
    slowest: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def attack(border: Border, cases: int, seed: int) -> Tally:
    """Damages and reads, again and again."""
    tally, rng = Tally(), random.Random(f"{border.name} {seed}")
    before = signal.signal(signal.SIGALRM, _give_up)
    try:
        for number in range(cases):
            border.damage(rng)
            start = time.process_time()
            fault = _try(border, tally)
            took = time.process_time() - start
            tally.cases, tally.slowest = tally.cases + 1, max(tally.slowest, took)
            fault = fault or (f"took {took:.1f} s" if took > HANGS else "")
            if fault:
                tally.faults.append(f"{border.name} {number}: {fault}")
    finally:
        signal.signal(signal.SIGALRM, before)
    return tally


def _try(border: Border, tally: Tally) -> str:
    signal.alarm(ENDED)
    try:
        border.read()
        tally.accepted += 1
    except InputError as error:
        sentence = str(error)
        tally.refusals[sentence[:60]] += 1
        if not sentence.isprintable() or len(sentence) > 2000 or sentence[-1:] not in (".", "?"):
            return f"no sentence: {sentence[:300]!r}"
        if not any(name in sentence for name in border.named):
            return f"does not name the file: {sentence[:300]!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:500]
    finally:
        signal.alarm(0)
    return ""


def _give_up(*_: Any) -> None:
    raise TimeoutError("hangs")


def peak() -> float:
    """Megabytes that this process had in memory at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(config: RobustnessConfig, display: Display) -> dict[str, Any]:
    """Attacks all borders."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        all_ = borders(Path(folder))
        base = peak()
        for option, border in all_.items():
            if not getattr(config, option):
                continue
            tally = attack(border, getattr(config, option), config.seed)
            found[border.name] = {
                **{"cases": tally.cases, "accepted": tally.accepted, "refused": sum(tally.refusals.values())},
                **{"sentences": len(tally.refusals), "slowest": tally.slowest, "memory": peak() - base},
                "faults": tally.faults,
            }
            display.say(f"{border.name}: {tally.cases} cases, {tally.accepted} accepted, {len(tally.faults)} faults")
            for fault in tally.faults[:10]:
                display.say(f"  {fault}")
    return {"base": base, "borders": found}


def main(words: list[str]) -> None:
    """Runs from the command line."""
    config = parse(RobustnessConfig, "robustness", "Damages files and watches who reads them.", words)
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    before = json.loads(Path(config.out).read_text())["borders"] if Path(config.out).is_file() else {}
    summary = run(config, Display())
    summary["borders"] = before | summary["borders"]
    write_atomically(Path(config.out), as_json(summary))
    if config.page:
        write_atomically(Path(config.page), page_of(summary, words))


def page_of(summary: dict[str, Any], words: list[str]) -> str:
    """The page."""
    rows = [
        {
            "what": name,
            **{what: f"{one[what]:,}" for what in ("cases", "accepted", "refused")},
            "faults": str(len(one["faults"])),
            "slowest (s)": "< 2" if one["slowest"] is None else f"{one['slowest']:.2f}",
            "memory so far (MB)": f"{one['memory']:.0f}",
        }
        for name, one in summary["borders"].items()
    ]
    return PAGE.format(
        command=shlex.join(["python", "benchmarks/robustness.py", *words]),
        date=datetime.now(UTC).date(),
        hatlit=version("hatlit"),
        torch=torch.__version__.split("+")[0],
        python=platform.python_version(),
        cases=sum(one["cases"] for one in summary["borders"].values()),
        faults=sum(len(one["faults"]) for one in summary["borders"].values()) or "no",
        base=summary["base"],
        numbers=2**24,
        table=Table(rows).markdown(),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
