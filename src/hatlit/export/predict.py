"""Predictions of a student, from a run folder or from a file exported of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hatlit.datamodules.base import build_view
from hatlit.datamodules.text import common_length, pad_texts, recorded_form
from hatlit.encoders.base import InputSpec, build_classifier
from hatlit.errors import InputError
from hatlit.export.artifact import Artifact, Recording
from hatlit.export.deployed import Deployed, read_student
from hatlit.export.onnx import OnnxModel
from hatlit.export.write import in_batches


@dataclass(frozen=True)
class Predictions:
    """What a student says of some samples.

    Attributes:
        class_names: (K,) names of the classes.
        labels: (N,) the most probable class of each sample.
        probabilities: (N, K) float32.
    """

    class_names: tuple[str, ...]
    labels: tuple[str, ...]
    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


class Predictor:
    """A student that is ready to predict; ``hatlit.load`` makes one.

    Args:
        class_names: in the order of the answers.
        recording: how the device of the student records samples.
        input_form: what ``answers`` is given.
        answers: maps input (B, ...) to probabilities (B, K).
        batch: rows that ``answers`` wants at a time; None where any number will do.

    Example:
        >>> student = hatlit.load("runs/hat-demo-demo-01-seed0-4b1c2d3e")
        >>> student.predict(samples).labels
        ('walk', 'sit')
    """

    def __init__(
        self,
        class_names: tuple[str, ...],
        recording: Recording,
        input_form: InputSpec,
        answers: Callable[[np.ndarray], np.ndarray],
        batch: int | None = None,
    ) -> None:
        self.class_names = class_names
        self.recording = recording
        self._input_form = input_form
        self._answers = answers
        self._batch = batch

    @property
    def modality(self) -> str:
        """What the samples are."""
        return self.recording.spec.modality

    def predict(
        self,
        samples: np.ndarray | Tensor | str | Sequence[str],
        rate: float | None = None,
        channels: Sequence[str] = (),
    ) -> Predictions:
        """Says what samples are.

        Args:
            samples: (rows, channels, *shape) as recorded, or a single sample (channels, *shape); a text or a list of
                texts where the modality is text. Another length, size or rate than the student's own is brought to it.
            rate: samples per second (Hz) of these, where it is not that of the student's recordings.
            channels: names of their channels, where they are not those of the student's recordings, in that order.

        Raises:
            InputError: they have other axes, lack a channel, or hold a number that is not finite.
        """
        rows, spec = self._rows(samples)
        form = self._form(rows, spec, rate, channels)
        if form != self._input_form:
            rows = build_view(rows, form, self._input_form)
        probabilities = in_batches(self._answers, rows.numpy(), self._batch) if len(rows) else self._nothing()
        labels = tuple(self.class_names[number] for number in probabilities.argmax(1))
        return Predictions(self.class_names, labels, probabilities)

    def _rows(self, samples: np.ndarray | Tensor | str | Sequence[str]) -> tuple[Tensor, InputSpec]:
        spec = self.recording.spec
        if not isinstance(samples, np.ndarray | Tensor):
            if self.modality != "text":
                raise InputError(f"The student looks at {self.modality} samples, not at texts; give it an array.")
            texts = [one.encode() for one in ([samples] if isinstance(samples, str) else samples)]
            samples = pad_texts(texts, common_length(texts))
            spec = recorded_form(samples.shape[2])
        if isinstance(samples, np.ndarray):  # a copy, because torch has no read-only or foreign numbers
            samples = torch.from_numpy(np.array(samples, dtype=np.float32))
        rows = samples.detach().cpu().float()
        wanted = 2 + len(spec.shape)
        if rows.ndim == wanted - 1:
            rows = rows[None]
        if rows.ndim != wanted:
            axes = " x ".join(("rows", "channels", *spec.axes))
            raise InputError(f"The student looks at samples over {axes}, not at an array of shape {tuple(rows.shape)}.")
        if not rows.isfinite().all():
            raise InputError("The samples hold numbers that are not finite; leave such samples out, or fill them.")
        return rows, spec

    def _form(self, rows: Tensor, spec: InputSpec, rate: float | None, channels: Sequence[str]) -> InputSpec:
        """How the samples were recorded."""
        names = tuple(channels) or spec.channels
        if rows.shape[1] != len(names):
            raise InputError(
                f"The samples have {rows.shape[1]} channels, and {len(names)} are expected: {', '.join(names)}."
            )
        if not all(rows.shape[2:]):
            raise InputError(f"Samples of shape {tuple(rows.shape[1:])} hold nothing.")
        return spec.with_(channels=names, shape=tuple(rows.shape[2:]), rate=rate or spec.rate)

    def _nothing(self) -> np.ndarray:
        return np.empty((0, len(self.class_names)), dtype=np.float32)


def load(path: str | Path) -> Predictor:
    """Makes a student ready to predict.

    Args:
        path: a run folder, or a file that ``hatlit export`` wrote as onnx or safetensors, with the JSON beside it.

    Raises:
        InputError: nothing that predicts lies there, it is damaged, or a library is missing.
    """
    path = Path(path)
    if path.is_dir():
        finished = read_student(path)
        return _predictor(finished.deployed, finished.card.class_names, finished.recording)
    if not path.is_file():
        raise InputError(f"There is no '{path}'; give a run folder or an exported file.")
    described = Artifact.read(path)
    if described.format == "torch_export":
        raise InputError(
            f"'{path}' is an archive of torch.export, which may hold pickles, so hatlit does not open it; "
            "torch.export.load does, or predict from an onnx file."
        )
    if described.format == "safetensors":
        return _predictor(_from_weights(path, described), described.class_names, described.recording)
    form = described.recording.spec if described.input_name == "samples" else described.view
    batch, *_ = described.input_shape
    answers = OnnxModel(path.read_bytes())
    return Predictor(described.class_names, described.recording, form, answers, batch or None)


def _from_weights(path: Path, described: Artifact) -> Deployed:
    from safetensors.torch import load_file

    with torch.random.fork_rng(devices=[]):
        student = build_classifier(described.encoder, described.view, len(described.class_names), pretrained=False)
    student.load_state_dict(load_file(path))
    return Deployed(student, described.recording.spec)


def _predictor(deployed: Deployed, class_names: tuple[str, ...], recording: Recording) -> Predictor:
    @torch.inference_mode()
    def answers(rows: np.ndarray) -> np.ndarray:
        return deployed(torch.from_numpy(rows)).numpy()

    return Predictor(class_names, recording, deployed.input_form, answers)
