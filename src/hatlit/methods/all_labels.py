"""The student with every label of the training rows: how far labels alone could take it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from hatlit.datamodules.target.data import TargetRows
from hatlit.methods.base import StudentMethod, TransferTask, register_method


@register_method()
class AllLabels(StudentMethod):
    """Trains the student on the labels of all training rows: an oracle, the ceiling that few labels aim for."""

    needs_sources: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False  # it has its own
    uses_unlabelled: ClassVar[bool] = False
    is_oracle: ClassVar[bool] = True

    def rows(self, task: TransferTask) -> TargetRows:
        """The training rows with every label known."""
        target = task.target
        rows = target.rows(self.view, deal_unlabelled=self.uses_unlabelled)
        return replace(rows, label=target.labels_of(target.split.train))
