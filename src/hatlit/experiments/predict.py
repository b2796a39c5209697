"""What ``hatlit predict`` does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.export.inputs import endings, inputs_of, read_input
from hatlit.export.load import load
from hatlit.export.predict import Predictor


def predict_files(student: str, inputs: Sequence[str], rate: float | None) -> bool:
    """Prints a JSON line a sample: the file, the row in it, the label and the probability of each class.

    Files that cannot be read are told on standard error, with their number at the end. On a terminal a bar there shows
    how far several files are.

    Args:
        student: a run folder, or an exported file.
        inputs: files, and folders of files.
        rate: samples per second (Hz) of files that do not say.

    Returns:
        Whether any file could be read.

    Raises:
        InputError: there is no such student, or no file that it could be asked about.
    """
    asked = load(student)
    files = [file for path in inputs for file in inputs_of(Path(path), asked.recording)]
    if not files:
        places = ", ".join(f"'{place}'" for place in inputs)
        raise InputError(f"No file of {asked.modality} samples lies in {places}; {endings(asked.recording)}.")
    console = Console(stderr=True, highlight=False)
    shown = console.is_terminal and len(files) > 1
    # The bar takes over what is printed to the terminal, and must not when that goes elsewhere.
    lines_to = None if sys.stdout.isatty() else sys.stdout
    bad = 0
    with Display(console).progress("files", len(files)) if shown else nullcontext(lambda: None) as advance:
        for file in files:
            try:
                for line in _lines(asked, file, rate):
                    print(line, file=lines_to)
            except InputError as error:
                bad += 1
                print(f"hatlit: {error}", file=sys.stderr)
            advance()
    if bad:
        print(f"hatlit: {bad} of {len(files)} files were skipped.", file=sys.stderr)
    return len(files) > bad


def _lines(student: Predictor, file: Path, rate: float | None) -> Iterator[str]:
    samples, form = read_input(file, student.recording, rate)
    found = student.predict(samples, form.rate, form.channels)
    for row, (label, shares) in enumerate(zip(found.labels, found.probabilities.tolist(), strict=True)):
        probabilities = {name: round(share, 6) for name, share in zip(found.class_names, shares, strict=True)}
        yield json.dumps({"input": str(file), "row": row, "label": label, "probabilities": probabilities})
