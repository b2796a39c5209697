"""What can be named on the command line: data sets, encoders, students, methods."""

from __future__ import annotations

import re

import numpy as np

from hatlit.config import StudentsConfig
from hatlit.datamodules.base import DATASETS
from hatlit.datamodules.datasets.download import DOWNLOADS
from hatlit.datamodules.split import fit_view
from hatlit.encoders.base import ENCODERS, FAMILIES
from hatlit.experiments.display import Display, counted
from hatlit.experiments.fleet import read_domains
from hatlit.students.device import device_view
from hatlit.students.measured import MeasuredSet, measured
from hatlit.students.skeletons import choose_student, skeletons


def list_data(display: Display) -> None:
    """Shows every data set with its licence and where it comes from."""
    display.table(
        "data sets (--data.name)",
        [
            {
                "name": entry.name,
                "modality": entry.modality or "any",
                "what it is": entry.summary,
                "licence": _said(entry.value.__doc__, "Licence"),
                "citation": _said(entry.value.__doc__, "Citation"),
                "--data.download": "yes" if _lasts(entry.name) else "-",
            }
            for entry in DATASETS
        ],
    )


def list_encoders(display: Display) -> None:
    """Shows every encoder."""
    display.table(
        "encoders (--student, --sources.encoders)",
        [
            {"name": name, "modality": one.modality or "any", "what it is": one.summary}
            for registry, form in ((ENCODERS, "{}"), (FAMILIES, "{}:NAME"))
            for one in registry
            for name in [form.format(one.name)]
        ],
    )


def list_students(config: StudentsConfig, display: Display) -> None:
    """Shows every architecture that can be a student of a data set, cheapest first, with what it costs a device, and
    how accurate it became on the real set of the modality, where that was measured.

    Where the device has limits, only those within them are shown; the last is the one that a run would take.

    Raises:
        InputError: the data cannot be read, or no architecture is within the limits.
    """
    data = read_domains(config.modality, config.data, display)
    first, classes = data.domains[0], len(data.class_names)
    view = device_view(fit_view(first, np.arange(len(first))), config.device)
    sizes = " x ".join(f"{size} {axis}" for size, axis in zip(view.shape, view.axes, strict=True))
    seen = f"{counted(view.num_channels, 'channel')} x {sizes}, {classes} classes"
    library = [one for one in skeletons(view, classes) if one.fits(config.device)]
    if not library:
        choose_student(None, view, classes, config.device)  # says why there is none
    reached = measured().sets.get(config.modality)
    display.table(
        f"students (--student) for {data.name}: {seen}",
        [
            {
                "name": name,
                "parameters": f"{cost.parameters:,}",
                "bytes": f"{cost.size_bytes:,}",
                "MACs a sample": f"{cost.macs:,}",
                "ms a sample, here": f"{milliseconds:.2f}",
                f"accuracy on {reached.data}" if reached else "accuracy": _accuracy(name, reached),
            }
            for name, cost, milliseconds in library
        ],
    )
    if reached:
        display.say(_how(reached))


def list_methods(display: Display) -> None:
    """Shows every method."""
    from hatlit.methods.base import METHODS  # loads Lightning, which the other lists do not need

    display.table("methods (--method)", [{"name": one.name, "what it is": one.summary} for one in METHODS])


def _accuracy(name: str, reached: MeasuredSet | None) -> str:
    """What a skeleton reached, in percent; a dash where it was not measured."""
    one = reached.accuracy.get(name) if reached else None
    if one is None:
        return "-"
    ends = "" if one.low is None or one.high is None else f" [{100 * one.low:.1f}, {100 * one.high:.1f}]"
    return f"{100 * one.mean:.1f}{ends}"


def _how(reached: MeasuredSet) -> str:
    """How the accuracies were measured, in a sentence."""
    count = len(reached.targets)
    targets = f"mean and 95 % interval over {count} targets" if count > 1 else "a single target"
    changed = f", {reached.options}" if reached.options else ""
    return (
        f"accuracy: percent of the test part as HaT's student on {reached.data}, {targets}, one seed, labels: "
        f"{reached.labels}{changed}; {reached.command}, hatlit {reached.hatlit}, {reached.date}"
    )


def _lasts(name: str) -> bool:
    """Whether a data set has addresses that last."""
    return name in DOWNLOADS.names() and bool(DOWNLOADS.get(name).parts)


def _said(docstring: str | None, word: str) -> str:
    """The paragraph of a docstring that begins with ``word:``, on one line."""
    found = re.search(rf"{word}:(.*?)(?:\n\s*\n|\n\s*[A-Z]\w+:|\Z)", docstring or "", re.DOTALL)
    return " ".join(found[1].replace("``", "").split()) if found else "-"
