"""Makes the accuracies that ``hatlit students`` shows: every skeleton as the student of HaT on a real set.

    python benchmarks/students.py

One label a class (text: ten), one seed, a few targets; all else as shipped, save the limit of steps where a set is
large, which is kept with the figures. Real recordings are looked for where ``benchmarks/results.py`` looks. Runs are
kept in --out, so an interrupted call goes on, and a modality that was not asked for keeps its figures.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from hatlit.config import CompareConfig, DataConfig, Names, names
from hatlit.datamodules.split import fit_view
from hatlit.errors import InputError
from hatlit.experiments.compare import compare
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import read_domains
from hatlit.files import write_atomically
from hatlit.options import parse
from hatlit.students.measured import MEASURED, Accuracy, Measured, MeasuredSet
from hatlit.students.skeletons import skeletons
from results import DATA


@dataclass(frozen=True)
class Plan:
    """How the students of one modality are measured.

    Attributes:
        file: npz file of real recordings below the data folder.
        targets: how many, evenly spread over the set.
        per_class: labels a class.
        more: options that are not as shipped.
    """

    file: str
    targets: int = 3
    per_class: int = 1
    more: tuple[str, ...] = ()


#: By modality. Targets are fewer and steps limited where a run takes minutes.
PLANS = {
    "imu": Plan("imu-spar.npz"),
    "radar": Plan("radar-uwb.npz"),
    "skeleton": Plan("multimodal-utd.npz"),
    "image": Plan("image-digits5.npz", targets=1, more=("--trainer.max_steps", "200")),
    "audio": Plan("audio-fsdd.npz", targets=1, more=("--trainer.max_steps", "150")),
    "depth": Plan("depth-utd.npz", targets=1, more=("--trainer.max_steps", "150")),
    "text": Plan("text-mdsd.npz", targets=1, per_class=10, more=("--trainer.max_steps", "150")),
}


@dataclass
class StudentsBenchmarkConfig:
    """Trains every skeleton of each modality on its real set.

    Args:
        modalities: which; those whose recordings are not there are left out.
        out: folder that keeps the runs.
        page: JSON file for the figures.
    """

    modalities: Names = field(default_factory=lambda: list(PLANS))
    out: str = "runs/students"
    page: str = str(MEASURED)

    def __post_init__(self) -> None:
        self.modalities = names(self.modalities)
        unknown = sorted(set(self.modalities) - set(PLANS))
        if unknown:
            raise InputError(f"--modalities knows {', '.join(PLANS)}, not {unknown[0]}.")


def main(words: list[str]) -> int:
    """Measures, and writes the figures after each modality."""
    display = Display()
    try:
        config = parse(StudentsBenchmarkConfig, "students", "Makes the accuracies of hatlit students.", words)
        page = Path(config.page)
        known = Measured.model_validate_json(page.read_text()).sets if page.is_file() else {}
        command = shlex.join(["python", "benchmarks/students.py", *words])
        for modality in config.modalities:
            if not (DATA / PLANS[modality].file).is_file():
                display.say(f"{modality} is left out: there is no {DATA / PLANS[modality].file}")
                continue
            known |= {modality: measure(modality, command, config, display)}
            write_atomically(page, Measured(sets=known).model_dump_json(indent=2, exclude_none=True) + "\n")
            display.say(f"{modality}: wrote {page}")
    except InputError as error:
        print(f"students: {error}", file=sys.stderr)
        return 2
    return 0


def measure(modality: str, command: str, config: StudentsBenchmarkConfig, display: Display) -> MeasuredSet:
    """The accuracy of every skeleton of a modality, cheapest first."""
    plan = PLANS[modality]
    file = DATA / plan.file
    data = read_domains(modality, DataConfig(name="arrays", root=str(file)), display)
    first = data.domains[0]
    library = skeletons(fit_view(first, np.arange(len(first))), len(data.class_names))
    accuracy: dict[str, Accuracy] = {}
    for one in library:
        summary = summary_of(modality, one.name, Path(config.out) / modality / one.name)
        found = summary["methods"]["hat"]["accuracy"]
        ends = {end: round(found[end], 4) for end in ("low", "high")} if plan.targets > 1 else {}
        accuracy[one.name] = Accuracy(mean=round(found["mean"], 4), **ends)
        display.say(f"{modality}: {one.name} reached {100 * found['mean']:.1f} %")
    return MeasuredSet(
        data=file.stem,
        targets=tuple(summary["targets"]),
        labels=summary["labels"],
        options=shlex.join(plan.more),
        hatlit=version("hatlit"),
        date=str(datetime.now(UTC).date()),
        command=command,
        accuracy=accuracy,
    )


def summary_of(modality: str, skeleton: str, out: Path) -> dict[str, Any]:
    """One student on all targets of its plan: what a comparison of a single method says."""
    plan = PLANS[modality]
    words: Sequence[str] = [
        *("--modality", modality, "--data.name", "arrays", "--data.root", str(DATA / plan.file)),
        *("--labels.per_class", str(plan.per_class), "--targets", str(plan.targets), "--seeds", "1"),
        *("--methods", "hat", "--student", skeleton, "--jobs", "1", "--out", str(out), *plan.more),
    ]
    return compare({"hat": parse(CompareConfig, "compare", "", words, method="hat")}, Display(silent=True), words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
