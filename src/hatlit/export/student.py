"""The student of a run: it predicts, says what it cost and who taught it, and goes wherever it is needed."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hatlit.encoders.base import Classifier
from hatlit.errors import InputError
from hatlit.export.artifact import Artifact
from hatlit.export.deployed import read_student, student_folder
from hatlit.export.predict import Predictor
from hatlit.export.write import SUFFIXES, answer, export, write_export
from hatlit.files import read_bounded
from hatlit.zoo.card import Count, invalid

#: What a run says of itself; a saved student keeps a copy.
RESULT = "result.json"


class Student(Predictor):
    """The student of a finished run, ready to predict; ``hatlit.expand`` makes one and ``hatlit.load`` opens one.

    Args:
        folder: a run folder, or one that ``save`` wrote.

    Attributes:
        folder: the same.
        model: the network in eval mode: it maps views to logits, ``predict`` maps what was recorded to classes.
        result: what ``result.json`` holds: scores on the test part, bytes moved, seconds by stage, sources, sizes.

    Raises:
        InputError: there is no student.

    Example:
        >>> student = hatlit.load("students/ann")
        >>> sorted(student.taught_by)
        ['bob', 'cid']
        >>> student.result["bytes"]["total"] > 0
        True
        >>> student.export("ann.safetensors").parameters == student.result["student"]["parameters"]
        True
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._finished = read_student(self.folder)
        deployed, card = self._finished.deployed, self._finished.card
        super().__init__(card.class_names, self._finished.recording, deployed.input_form, partial(answer, deployed))
        self.result = _read_result(self.folder / RESULT)

    @property
    def model(self) -> Classifier:
        """The network."""
        return self._finished.deployed.student

    @property
    def taught_by(self) -> tuple[str, ...]:
        """Ids of the sources that were asked, best first."""
        return tuple(self.result.get("sources", ()))

    def save(self, folder: str | Path) -> Path:
        """Copies the student, and what is known of it, into a new folder, which ``hatlit.load`` opens.

        The folder is a zoo of one source; its ``sources`` may be copied into another zoo of the same kind.

        Raises:
            InputError: something lies there already, or the folder cannot be written.
        """
        folder = Path(folder)
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise InputError(f"There is something at '{folder}' already; give a folder that is new or empty.")
        try:
            shutil.copytree(student_folder(self.folder), folder, dirs_exist_ok=True)
            if self.result:
                (folder / RESULT).write_text(json.dumps(self.result, indent=2) + "\n")
        except OSError as error:
            raise InputError(f"'{folder}' cannot be written ({error.strerror}); choose another folder.") from error
        return folder

    def export(self, file: str | Path, quantize: Literal["int8"] | None = None, batch: int | None = None) -> Artifact:
        """Makes a file for a device, checks that it answers as the student does, and writes the JSON beside it.

        The accuracy on the test part is measured by ``hatlit export``, which reads the data of the run again.

        Args:
            file: its ending says what it becomes: ``.onnx``, ``.pt2`` (torch.export) or ``.safetensors``.
            quantize: whether an onnx file's weights become whole numbers of 8 bits.
            batch: samples that the graph looks at at a time; None leaves it open.

        Returns:
            What the JSON holds: sizes, latency, the largest difference from the student.

        Raises:
            InputError: the ending is another, a library is missing, or the student cannot be exported.
        """
        file = Path(file)
        formats = {suffix: kind for kind, suffix in SUFFIXES.items()}
        if file.suffix not in formats:
            raise InputError(f"'{file}' ends in none of {', '.join(formats)}, which say what it becomes.")
        to = formats[file.suffix]
        if quantize and to != "onnx":
            raise InputError(f"Whole numbers of 8 bits make onnx files, not {to}; leave quantize out.")
        content, described = export(self._finished, to, bool(quantize), batch, test=None)
        write_export(file, content, described)
        return described

    def __repr__(self) -> str:
        return f"Student({str(self.folder)!r})"

    def __str__(self) -> str:
        """What it is, who taught it, what that cost and what it is worth, on a few lines."""
        card = self._finished.card
        lines = [
            f"{card.encoder} for {card.domain}: {card.num_parameters:,} parameters, {card.size_bytes:,} bytes; "
            f"classes {', '.join(self.class_names)}"
        ]
        if self.result:
            moved = self.result["bytes"]
            cost = f"{moved['total']:,} bytes moved, " if moved else ""
            taught = f" by {', '.join(self.taught_by)}" if self.taught_by else ""
            lines.append(
                f"taught{taught} ({self.result['method']}) with {self.result['labels']} labels; "
                f"{cost}{self.result['seconds']['total']:.1f} s"
            )
            count, accuracy = self.result["test_samples"], self.result["accuracy"]
            lines.append(f"accuracy {accuracy:.3f} on {count} test samples" if count else "no samples were held out")
        return "\n".join(lines)


class _Told(BaseModel):
    """What a student tells of its run; the rest of a result is only handed on."""

    model_config = ConfigDict(strict=True, extra="allow")

    class Total(BaseModel):
        total: float = Field(ge=0, le=2**60, allow_inf_nan=False)

    method: str
    labels: Count
    sources: list[str] = []
    bytes: Total | None
    seconds: Total
    test_samples: Count
    accuracy: float | None = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _check_that_what_was_tested_has_a_number(self) -> _Told:
        if self.test_samples and self.accuracy is None:
            raise ValueError("there are test samples and no accuracy")
        return self


def _read_result(path: Path) -> dict[str, Any]:
    """Reads what is known of a run, nothing where nothing was kept."""
    if not path.is_file():
        return {}
    try:
        _Told.model_validate_json(data := read_bounded(path))
        result: dict[str, Any] = json.loads(data)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise invalid(error, f"'{path}'") from error
    return result
