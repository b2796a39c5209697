"""Turns the student of a run into a file for a device, and checks that the file answers as the student does."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from hatlit.errors import InputError
from hatlit.export.artifact import Artifact, Measures
from hatlit.export.deployed import Deployed, Finished
from hatlit.export.onnx import OnnxModel, require_onnx, to_int8, to_onnx
from hatlit.files import write_atomically
from hatlit.students.budget import cost
from hatlit.students.latency import latency_ms
from hatlit.zoo.weights import decode_weights, encode_weights

Format = Literal["onnx", "torch_export", "safetensors"]

#: Maps input (B, ...) to probabilities (B, classes).
Answers = Callable[[np.ndarray], np.ndarray]

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch_export": ".pt2", "safetensors": ".safetensors"}

#: How far probabilities of a file in float32 may lie from those of the student.
TOLERANCE = 1e-3

#: Samples that the answers are compared on at most, and how many are made up where there are none.
ROWS_CHECKED, ROWS_MADE_UP = 512, 8


@dataclass(frozen=True)
class TestPart:
    """Samples with known classes, to see what an export is worth.

    Attributes:
        samples: (N, channels, *shape) as the graph is given them.
        label: (N,) class numbers, in the student's order.
    """

    samples: Tensor
    label: np.ndarray


def export(
    finished: Finished, to: Format, int8: bool, batch: int | None, test: TestPart | None
) -> tuple[bytes, Artifact]:
    """Makes a file of a student and says what it costs.

    Args:
        finished: the student.
        to: kind of the file.
        int8: whether its numbers have 8 bits; only for ``onnx``.
        batch: rows of the graph's input; None leaves them open.
        test: what the accuracy is measured on, if there is any.

    Returns:
        The file's content, and the JSON that belongs beside it.

    Raises:
        InputError: a library is missing, the encoder does something that cannot be exported, or the file answers
            otherwise than the student.
    """
    deployed, card = finished.deployed, finished.card
    student: Answers = partial(answer, deployed)
    given = deployed.example(ROWS_MADE_UP) if test is None else test.samples[:ROWS_CHECKED]
    rows = given.numpy()
    content, answers = _make(finished, to, batch)
    difference = _difference(answers, student, rows, batch)
    if difference > TOLERANCE:
        raise InputError(
            f"Encoder '{card.encoder}' cannot be exported: probabilities of the {to} file lie up to {difference:.2g} "
            "from the student's; choose another --to."
        )
    if int8:
        content = to_int8(content, inside="/student")
        answers = OnnxModel(content)
        difference = _difference(answers, student, rows, batch)
    one = np.repeat(rows[:1], batch or 1, axis=0)
    costs = cost(deployed.student, deployed.view)
    form = deployed.input_form
    return content, Artifact(
        format=to,
        number_format="int8" if int8 else "float32",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        input_name=deployed.input_name,
        input_type="float32" if deployed.sees_samples else "int64",
        input_shape=(batch or 0, form.num_channels, *form.shape),
        preprocessing="inside" if deployed.sees_samples and to != "safetensors" else "outside",
        recording=finished.recording,
        view=deployed.view,
        encoder=card.encoder,
        class_names=card.class_names,
        domain=card.domain,
        dataset=card.dataset,
        parameters=costs.parameters,
        macs=costs.macs,
        latency_ms=Measures(exported=latency_ms(lambda: answers(one)), student=latency_ms(lambda: student(one))),
        largest_difference=difference,
        accuracy=None
        if test is None
        else Measures(exported=_share(answers, test, batch), student=_share(student, test, None)),
        hatlit_version=version("hatlit"),
    )


def write_export(file: Path, content: bytes, described: Artifact) -> None:
    """Writes an exported student and the JSON beside it.

    Raises:
        InputError: they cannot be written there.
    """
    try:
        write_atomically(file, content)
        described.write(file)
    except OSError as error:
        raise InputError(f"'{file}' cannot be written ({error.strerror}); choose another place.") from error


def in_batches(answers: Answers, rows: np.ndarray, batch: int | None) -> np.ndarray:
    """Probabilities (N, classes) of rows (N, ...), asked for in batches of exactly ``batch``, or of any size up to
    ``ROWS_CHECKED``."""
    size = batch or ROWS_CHECKED
    parts = [rows[first : first + size] for first in range(0, len(rows), size)]
    missing = size - len(parts[-1]) if batch else 0
    parts[-1] = np.concatenate([parts[-1], np.repeat(parts[-1][:1], missing, axis=0)])
    return np.concatenate([answers(np.ascontiguousarray(part)) for part in parts])[: len(rows)]


def _make(finished: Finished, to: Format, batch: int | None) -> tuple[bytes, Answers]:
    deployed, card = finished.deployed, finished.card
    if to == "safetensors":
        content = encode_weights(deployed.student)
        return content, partial(answer, Deployed(decode_weights(content, card), deployed.recorded))
    if to == "onnx":
        require_onnx()
    try:
        if to == "torch_export":
            return _to_program(deployed, batch)
        content = to_onnx(deployed, deployed.example(2), (deployed.input_name, "probabilities"), batch)
        return content, OnnxModel(content)
    except Exception as error:  # an encoder may hold anything, and each exporter fails in a way of its own
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"Encoder '{card.encoder}' cannot be exported to {to}: {why}; choose another --to.") from error


def _to_program(deployed: Deployed, batch: int | None) -> tuple[bytes, Answers]:
    """An archive that ``torch.export.load`` reads, and what it answers."""
    sample = deployed.example(batch or 2)
    open_axes = None if batch else ({0: torch.export.Dim("batch")},)
    with torch.no_grad():
        program = torch.export.export(deployed, (sample,), dynamic_shapes=open_axes)
    archive = io.BytesIO()
    torch.export.save(program, archive)
    return archive.getvalue(), partial(answer, program.module())


@torch.inference_mode()
def answer(model: Callable[[Tensor], Tensor], rows: np.ndarray) -> np.ndarray:
    """What a model that maps input to probabilities says of rows (B, ...)."""
    return model(torch.from_numpy(rows)).numpy()


def _difference(answers: Answers, student: Answers, rows: np.ndarray, batch: int | None) -> float:
    return float(np.abs(in_batches(answers, rows, batch) - in_batches(student, rows, None)).max())


def _share(answers: Answers, test: TestPart, batch: int | None) -> float:
    """The share of the test samples that are classified correctly."""
    return float((in_batches(answers, test.samples.numpy(), batch).argmax(1) == test.label).mean())
