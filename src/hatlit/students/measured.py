"""How accurate each skeleton became on real recordings: figures that ship with the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

#: What ``benchmarks/students.py`` writes.
MEASURED = Path(__file__).with_name("measured.json")


class Accuracy(BaseModel):
    """Accuracy of one skeleton as a student, a share of the targets' test parts.

    Attributes:
        mean: over the targets.
        low: lower end of the 95 % interval that resamples whole targets; None with a single target.
        high: upper end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: float = Field(ge=0, le=1)
    low: float | None = Field(default=None, ge=0, le=1)
    high: float | None = Field(default=None, ge=0, le=1)


class MeasuredSet(BaseModel):
    """What the students of one modality reached on its real set.

    Attributes:
        data: name of the set.
        targets: names of the targets, each with one seed.
        labels: how many labels a target had, in words.
        options: what was not as shipped, as on the command line.
        hatlit: version that trained them.
        date: on which, as YYYY-MM-DD.
        command: that did.
        accuracy: by the name of the skeleton.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    targets: tuple[str, ...] = Field(min_length=1)
    labels: str
    options: str = ""
    hatlit: str
    date: str
    command: str
    accuracy: dict[str, Accuracy]


class Measured(BaseModel):
    """All that was measured, by modality."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sets: dict[str, MeasuredSet]


@cache
def measured() -> Measured:
    """Reads what ships with the package."""
    return Measured.model_validate_json(MEASURED.read_text())
