"""The student alone on the labelled few: what every other method must beat."""

from __future__ import annotations

from typing import ClassVar

from hatlit.methods.base import StudentMethod, register_method


@register_method()
class LabelsOnly(StudentMethod):
    """Trains the student on the labelled few and nothing else."""

    needs_sources: ClassVar[bool] = False
    uses_unlabelled: ClassVar[bool] = False
