"""The student with every label of the training rows: how far labels alone could take it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from hatlit.datamodules.target.data import TargetRows
from hatlit.methods.base import StudentMethod, TransferTask, register_method


@register_method()
class AllLabels(StudentMethod):
    """Trains the student on the labels of all training rows: an oracle, the ceiling that few labels aim for.

    It takes as many steps as methods that know the labelled few.
    """

    needs_sources: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False  # it has its own
    uses_unlabelled: ClassVar[bool] = False
    is_oracle: ClassVar[bool] = True

    def rows(self, task: TransferTask) -> TargetRows:
        """The training rows with every label known, in as many batches a pass as with the labelled few."""
        target = task.target
        rows = target.rows(self.view, deal_unlabelled=self.uses_unlabelled)
        return replace(rows, label=target.labels_of(target.split.train), paced_by=rows.label)
