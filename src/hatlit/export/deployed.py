"""A student with all that stands between what a device records and the probabilities of classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from hatlit.datamodules.base import build_view
from hatlit.encoders.base import DISCRETE_AXES, Classifier, InputSpec
from hatlit.errors import InputError
from hatlit.export.artifact import Recording
from hatlit.zoo.card import Card
from hatlit.zoo.store import Zoo


class Deployed(nn.Module):
    """Maps what a device records to probabilities; this is what becomes a graph.

    Numbers of signs (text) are made outside the graph, because no graph can cut a text; it then begins at the view.

    Args:
        student: in eval mode.
        recorded: how the device records samples.
    """

    def __init__(self, student: Classifier, recorded: InputSpec) -> None:
        super().__init__()
        self.student = student.eval()
        self.recorded = recorded

    @property
    def view(self) -> InputSpec:
        """What the student sees."""
        return self.student.input_spec

    @property
    def sees_samples(self) -> bool:
        """Whether the view is built inside."""
        return not set(self.view.axes) & set(DISCRETE_AXES)

    @property
    def input_name(self) -> Literal["samples", "view"]:
        """What its input is called in graphs."""
        return "samples" if self.sees_samples else "view"

    @property
    def input_form(self) -> InputSpec:
        """What it is given: samples as recorded, or views."""
        return self.recorded if self.sees_samples else self.view

    def forward(self, given: Tensor) -> Tensor:
        """Maps samples as recorded (B, channels, *shape) float32, or views of signs (B, 1, length) int64, to
        probabilities (B, classes)."""
        view = build_view(given, self.recorded, self.view) if self.sees_samples else given
        return self.student(view).softmax(-1)

    def prepare(self, samples: Tensor, form: InputSpec | None = None) -> Tensor:
        """Brings samples (B, channels, *shape) to what ``forward`` is given.

        Args:
            samples: of any number type.
            form: how they were recorded, if otherwise than the device does.

        Raises:
            InputError: they lack a channel, or are over other axes.
        """
        form = form or self.recorded
        wanted = self.input_form
        return samples.float() if form == wanted else build_view(samples.float(), form, wanted)

    def example(self, rows: int) -> Tensor:
        """Made-up input (rows, channels, *shape): noise with the mean and spread of the view, or blanks."""
        if not self.sees_samples:
            return self.view.blank(rows)
        scales = dict(zip(self.view.channels, zip(self.view.mean, self.view.std, strict=True), strict=False))
        known = torch.tensor([scales.get(name, (0.0, 1.0)) for name in self.recorded.channels])
        mean, std = known.T.reshape(2, -1, *[1] * len(self.recorded.shape))
        noise = torch.randn(rows, len(known), *self.recorded.shape, generator=torch.Generator().manual_seed(0))
        return mean + std * noise


@dataclass(frozen=True)
class Finished:
    """The student that a run left behind.

    Attributes:
        deployed: ready to predict.
        card: what the student says about itself.
        recording: how its device records samples.
    """

    deployed: Deployed
    card: Card
    recording: Recording


def student_folder(run: Path) -> Path:
    """Where the student of a run folder lies: below it, or there where the folder is a student itself."""
    return run if (run / "zoo.json").is_file() else run / "student"


def read_student(run: Path) -> Finished:
    """Reads the student of a run folder, or the ``student`` folder itself.

    Raises:
        InputError: there is none, the run has not come to its end, or its method leaves no single student.
    """
    folder = student_folder(run)
    if not (folder / "zoo.json").is_file():
        why = "has no student: it is no run folder, has not come to its end, or its method leaves several models"
        raise InputError(f"'{run}' {why}.")
    zoo = Zoo.open(folder)
    cards = zoo.cards()
    if len(cards) != 1:
        raise InputError(f"'{folder}' holds {len(cards)} models; a run leaves one.")
    recording = Recording.read(folder)
    return Finished(Deployed(zoo.load(cards[0].id), recording.spec), cards[0], recording)
