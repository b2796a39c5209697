import torch

from hatlit.methods.base import METHODS
from hatlit.methods.labels_only import LabelsOnly
from hatlit.types import UNLABELLED, Batch


def test_needs_no_sources():
    assert METHODS.get("labels_only") is LabelsOnly
    assert not LabelsOnly.needs_sources


def test_unlabelled_rows_have_no_say(task):
    method = LabelsOnly.build(task("labels_only"))
    rows = task("labels_only").target.rows(method.student.input_spec)
    index = torch.cat([rows.labelled, torch.tensor([0, 1, 2, 3])])
    label = rows.label[index]
    label[len(rows.labelled) :] = UNLABELLED
    with_others = Batch(index, rows.source, rows.target[index], label)
    alone = Batch(rows.labelled, rows.source, rows.target[rows.labelled], rows.label[rows.labelled])
    losses = [float(method.losses(batch)["student"].detach()) for batch in (with_others, alone)]
    assert abs(losses[0] - losses[1]) < 1e-6
