"""Predictions of a student, whatever answers for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hatlit.datamodules.base import build_view
from hatlit.datamodules.text import common_length, pad_texts, recorded_form
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError, on_one_line
from hatlit.export.artifact import Recording
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
        >>> student = hatlit.load("students/ann")
        >>> found = student.predict(samples[:5])
        >>> len(found.labels), found.class_names, found.probabilities.shape
        (5, ('fast', 'slow', 'still'), (5, 3))
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
                f"The samples have {rows.shape[1]} channels, and {len(names)} are expected: "
                f"{on_one_line(', '.join(names))}."
            )
        if not all(rows.shape[2:]):
            raise InputError(f"Samples of shape {tuple(rows.shape[1:])} hold nothing.")
        return spec.with_(channels=names, shape=tuple(rows.shape[2:]), rate=rate or spec.rate)

    def _nothing(self) -> np.ndarray:
        return np.empty((0, len(self.class_names)), dtype=np.float32)
