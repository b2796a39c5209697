"""The README beside a finished student: what whoever is offered the model should know, in the form of the hubs.

It says what ``result.json``, ``selection.json`` and the card of the student say, and nothing else. Names come from
other people, so each stands in a code span, where no markup, link or mention works.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hatlit.encoders.base import InputSpec
from hatlit.export.deployed import Finished, read_student
from hatlit.files import write_atomically
from hatlit.students.budget import cost

#: Where hubs look for it.
FILE = "README.md"

#: Classes that are listed by name.
MAX_CLASSES = 100

_SCORES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "nll": "NLL (nats)",
    "calibration_error": "calibration error",
}


def write_model_card(folder: Path, result: Mapping[str, Any], selection: Mapping[str, Any]) -> None:
    """Writes the model card of a student into its folder; see ``model_card``."""
    write_atomically(folder / FILE, model_card(read_student(folder), result, selection))


def model_card(finished: Finished, result: Mapping[str, Any], selection: Mapping[str, Any]) -> str:
    """Says what a student is, who taught it and what it is worth, in markdown.

    It begins with the front matter of the Hugging Face hub, in which whoever publishes it names the licence.

    Args:
        finished: the student.
        result: what ``result.json`` holds; empty where a Trainer of somebody's own has trained it.
        selection: what ``selection.json`` holds; empty where nothing was selected.
    """
    card = finished.card
    parts = [
        _front_matter(finished, result),
        f"# {code(card.encoder)} for {code(card.domain)}",
        _what(finished, result),
        *_use(finished),
        *_origin(finished, result),
        *_sources(finished, selection),
        *_numbers(finished, result),
        *_size(finished),
        *_limits(finished, result),
        f"Written by hatlit {code(card.hatlit_version)}.",
    ]
    return "\n\n".join(parts) + "\n"


def code(text: str) -> str:
    """A code span that shows a text as it is, on one line, whatever is in it; it may stand in a table."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text).strip() or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}".replace("|", "\\|")


def _front_matter(finished: Finished, result: Mapping[str, Any]) -> str:
    card = finished.card
    tags = ["hatlit", card.modality, *([str(result["method"])] if result else [])]
    fields = {"library_name": "hatlit", "tags": tags, "datasets": [card.dataset]}
    return f"---\n{yaml.safe_dump(fields, sort_keys=False)}# license: for you to choose\n---"


def _what(finished: Finished, result: Mapping[str, Any]) -> str:
    card = finished.card
    shown = ", ".join(map(code, card.class_names[:MAX_CLASSES]))
    more = len(card.class_names) - MAX_CLASSES
    sentences = [
        f"A student for the domain {code(card.domain)} of the data set {code(card.dataset)}.",
        f"It tells {len(card.class_names)} classes of {code(card.modality)} samples apart: {shown}"
        + (f", and {more:,} more." if more > 0 else "."),
    ]
    if result.get("is_demo"):
        sentences.append("**The data are simulated: nothing about real people or places follows from its numbers.**")
    return "\n".join(sentences)


def _use(finished: Finished) -> list[str]:
    return [
        "## How to load it",
        '```python\nimport hatlit\n\nstudent = hatlit.load("folder of this file")\n'
        "print(student.predict(samples).labels)\n```",
        f"`samples` are as its device records them: {_form(finished.recording.spec)}.",
    ]


def _form(spec: InputSpec) -> str:
    if spec.modality == "text":
        return "N strings"
    shape = ", ".join(["N", str(spec.num_channels), *map(str, spec.shape)])
    axes = " x ".join(map(code, spec.axes))
    channels = ", ".join(map(code, spec.channels[:MAX_CLASSES]))
    rate = f", {spec.rate:g} Hz" if spec.rate else ""
    return f"({shape}), channels {channels}, then {axes}{rate}"


def _origin(finished: Finished, result: Mapping[str, Any]) -> list[str]:
    card = finished.card
    rows = {"domain": code(card.domain), "data set": code(card.dataset), "labels": f"{card.training.labels:,}"}
    if result:
        rows |= {
            "training samples": f"{result['training_samples']:,}, those without a label included",
            "test samples": f"{result['test_samples']:,}",
            "method": code(result["method"]),
            "seed": str(result["seed"]),
        }
    return ["## Data and labels", _table(("", ""), rows.items())]


def _sources(finished: Finished, selection: Mapping[str, Any]) -> list[str]:
    chosen = [verdict for verdict in selection.get("sources", ()) if verdict["selected"]]
    if not chosen:
        parents = ", ".join(map(code, finished.card.parents))
        return ["## Sources", f"Taught by {parents}." if parents else "It learned from the labels alone."]
    header = ("source", "encoder", "likeness", "fine score", "accuracy on the labelled")
    scores = ("coarse_score", "fine_score", "accuracy")
    rows = [(code(one["id"]), code(one["encoder"]), *(_number(one[score]) for score in scores)) for one in chosen]
    return ["## Sources", f"Chosen of {len(selection['sources']):,}, best first:", _table(header, rows)]


def _numbers(finished: Finished, result: Mapping[str, Any]) -> list[str]:
    heading = "## Numbers"
    if finished.card.accuracy is None:
        return [heading, "No sample was held out, so none of its answers was checked."]
    if not result:
        return [heading, f"Accuracy {finished.card.accuracy:.3f} on the test part of its domain."]
    rows = [("this student", *(_number(result[key]) for key in _SCORES))]
    if result["labels_only"]:
        rows.append(("labels alone", *(_number(result["labels_only"][key]) for key in _SCORES)))
    count, domain = result["test_samples"], code(finished.card.domain)
    where = f"On {count:,} test samples of {domain}, which took no part in training:"
    return [heading, where, _table(("", *_SCORES.values()), rows)]


def _size(finished: Finished) -> list[str]:
    spent = cost(finished.deployed.student, finished.deployed.view)
    rows = {
        "parameters": f"{spent.parameters:,}",
        "bytes of weights": f"{spent.size_bytes:,}",
        "multiply-accumulates a sample": f"{spent.macs:,}",
    }
    return ["## Size", _table(("", ""), rows.items())]


def _limits(finished: Finished, result: Mapping[str, Any]) -> list[str]:
    card = finished.card
    tested = card.accuracy is not None
    lines = [
        f"- Not tested on any domain but {code(card.domain)}." if tested else "- Not tested on anything.",
        "- Not tested as an exported or quantised file.",
        f"- Every sample gets one of the {len(card.class_names)} classes, also one that belongs to none of them.",
    ]
    if result and tested:
        lines.insert(1, f"- Tested with one seed, on {result['test_samples']:,} samples of one split.")
    return ["## Limits", "\n".join(lines)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
