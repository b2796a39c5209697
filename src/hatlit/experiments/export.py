"""What ``hatlit export`` does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hatlit.config import ExportConfig
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.export.artifact import Artifact
from hatlit.export.deployed import Finished, read_student
from hatlit.export.write import SUFFIXES, TestPart, export, write_export


def export_run(run: str, config: ExportConfig, display: Display) -> Path:
    """Turns the student of a run into a file for a device, writes the JSON beside it, and says what it costs.

    Args:
        run: the run folder.
        config: the options.
        display: speaks to the user.

    Returns:
        The file.

    Raises:
        InputError: the run has no student, a library is missing, the student cannot be exported, or the file cannot be
            written.
    """
    finished = read_student(Path(run))
    test = _test_part(Path(run), finished, display)
    batch = None if config.batch == "dynamic" else int(config.batch)
    content, described = export(finished, config.to, bool(config.quantize), batch, test)
    name = f"student{'-int8' if config.quantize else ''}{SUFFIXES[config.to]}"
    file = Path(config.out) if config.out else Path(run) / "export" / name
    write_export(file, content, described)
    display.table(f"{finished.card.encoder} of {finished.card.domain}", _rows(described, finished, batch))
    display.say(f"probabilities lie at most {described.largest_difference:.1g} from the student's")
    display.say(f"{file} and {Artifact.path_of(file).name} are written")
    return file


def _rows(described: Artifact, finished: Finished, batch: int | None) -> list[dict[str, str]]:
    costs = {"parameters": f"{described.parameters:,}", "MACs a sample": f"{described.macs:,}"}
    sizes = {"student": finished.card.size_bytes, "exported": described.size_bytes}
    names = {"student": "PyTorch student", "exported": f"{described.format}, {described.number_format}"}
    rows = []
    for which, name in names.items():
        accuracy = "-" if described.accuracy is None else f"{getattr(described.accuracy, which):.3f}"
        row = {"model": name, "bytes": f"{sizes[which]:,}", **costs}
        latency = f"{getattr(described.latency_ms, which):.2f}"
        rows.append({**row, f"ms at batch {batch or 1}": latency, "accuracy on the test part": accuracy})
    return rows


def _test_part(run: Path, finished: Finished, display: Display) -> TestPart | None:
    """The target's test part, where its data can still be read and are those that the student learned from."""
    try:
        test = _read_again(run, finished)
    except (InputError, OSError, KeyError, AssertionError) as error:
        display.say(f"no accuracy: the target's data cannot be read again ({str(error).rstrip('.')})")
        return None
    if test is None:
        display.say("no accuracy: the target has no labelled sample to be measured by")
    return test


def _read_again(run: Path, finished: Finished) -> TestPart | None:
    """Reads the target of a run as training did; None where it has no test part.

    Raises:
        InputError: the options or the data are not there any more, or have changed.
    """
    from hatlit.experiments.reopen import reopen  # loads Lightning, which exporting does not need

    target = reopen(run).target
    if target.class_names != finished.card.class_names:
        raise InputError("their classes are not those of the student")
    domain, rows = target.recording(finished.recording.spec.modality), target.split.test
    if not len(rows):
        return None
    samples = finished.deployed.prepare(domain.tensor(rows), domain.recorded)
    return TestPart(samples, np.searchsorted(target.classes, domain.labels[rows]))
