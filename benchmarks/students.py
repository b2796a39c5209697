"""Makes the accuracies that ``hatlit students`` shows: every skeleton as the student of HaT on a real set.

    python benchmarks/students.py

One label a class (text: ten), one seed, a few targets; all else as shipped, save the limit of steps where a set is
large, which is kept with the figures. Real recordings are looked for where ``benchmarks/results.py`` looks. Figures are
written as they come and those of the same version, set, targets, labels and options stay, so an interrupted call goes
on; a modality that was not asked for keeps its figures. To measure anew, name another --page.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from hatlit.config import CompareConfig, DataConfig, Names, TrainConfig, names
from hatlit.datamodules.split import fit_view
from hatlit.errors import InputError
from hatlit.experiments.compare import choose_targets, labels_of
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import read_domains
from hatlit.experiments.summary import interval
from hatlit.experiments.train import train
from hatlit.files import write_atomically
from hatlit.options import parse
from hatlit.students.measured import MEASURED, Accuracy, Measured, MeasuredSet
from hatlit.students.skeletons import skeletons
from sections import DATA


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
    targets: int = 1
    per_class: int = 1
    more: tuple[str, ...] = ()


#: By modality. There is one target and steps are limited where a run takes minutes.
PLANS = {
    "imu": Plan("imu-spar.npz", targets=2),
    "radar": Plan("radar-uwb.npz", targets=2),
    "skeleton": Plan("multimodal-utd.npz"),
    "image": Plan("image-digits5.npz", more=("--trainer.max_steps", "200")),
    "audio": Plan("audio-fsdd.npz", more=("--trainer.max_steps", "150")),
    "depth": Plan("depth-utd.npz", more=("--trainer.max_steps", "150")),
    "text": Plan("text-mdsd.npz", per_class=10, more=("--trainer.max_steps", "150")),
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
    """Measures, and writes the figures after each skeleton."""
    display = Display()
    try:
        config = parse(StudentsBenchmarkConfig, "students", "Makes the accuracies of hatlit students.", words)
        command = shlex.join(["python", "benchmarks/students.py", *words])
        for modality in config.modalities:
            if (DATA / PLANS[modality].file).is_file():
                measure(modality, command, config, display)
            else:
                display.say(f"{modality} is left out: there is no {DATA / PLANS[modality].file}")
    except InputError as error:
        print(f"students: {error}", file=sys.stderr)
        return 2
    return 0


def measure(modality: str, command: str, config: StudentsBenchmarkConfig, display: Display) -> None:
    """Trains every skeleton of a modality, cheapest first, and writes what it reached."""
    plan = PLANS[modality]
    file = DATA / plan.file
    data = read_domains(modality, DataConfig(name="arrays", root=str(file)), display)
    targets = choose_targets(data, CompareConfig(targets=str(plan.targets)))
    first = data.domains[0]
    page = Path(config.page)
    of_set = MeasuredSet(
        data=file.stem,
        targets=tuple(targets),
        labels=labels_of(run_of(modality, "", targets[0], config)),
        options=shlex.join(plan.more),
        hatlit=version("hatlit"),
        date=str(datetime.now(UTC).date()),
        command=command,
        accuracy={},
    )
    accuracy = measured_before(page, modality, of_set)
    for one in skeletons(fit_view(first, np.arange(len(first))), len(data.class_names)):
        if one.name in accuracy:
            continue
        runs = [run_of(modality, one.name, target, config) for target in targets]
        reached = [train(run, Display(silent=True), one_of_many=True)["accuracy"] for run in runs]
        found = {end: round(value, 4) for end, value in interval(reached, targets).items() if value is not None}
        accuracy[one.name] = Accuracy(**found)
        display.say(f"{modality}: {one.name} reached {100 * found['mean']:.1f} %")
        keep(page, modality, of_set.model_copy(update={"accuracy": accuracy}))


def measured_before(page: Path, modality: str, of_set: MeasuredSet) -> dict[str, Accuracy]:
    """What stands on the page, where it was measured under the same conditions."""
    before = read_page(page).get(modality)
    beside = {"date", "command", "accuracy"}
    if before is None or before.model_dump(exclude=beside) != of_set.model_dump(exclude=beside):
        return {}
    return dict(before.accuracy)


def run_of(modality: str, skeleton: str, target: str, config: StudentsBenchmarkConfig) -> TrainConfig:
    """The options of one run."""
    plan = PLANS[modality]
    words = [
        *("--modality", modality, "--data.name", "arrays", "--data.root", str(DATA / plan.file)),
        *("--labels.per_class", str(plan.per_class), "--target", target, "--student", skeleton),
        *("--jobs", "1", "--wandb", "off", "--out", config.out, *plan.more),
    ]
    return parse(TrainConfig, "train", "", words)


def read_page(page: Path) -> dict[str, MeasuredSet]:
    """The figures of each modality on the page, none where there is no page."""
    return Measured.model_validate_json(page.read_text()).sets if page.is_file() else {}


def keep(page: Path, modality: str, one: MeasuredSet) -> None:
    """Puts the figures of one modality in the place of older ones."""
    whole = Measured(sets=read_page(page) | {modality: one})
    write_atomically(page, whole.model_dump_json(indent=2, exclude_none=True) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
