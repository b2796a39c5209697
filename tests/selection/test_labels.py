import pytest
import torch

from hatlit.errors import InputError
from hatlit.selection.labels import UNKNOWN, align, to_source_classes, to_target_classes


def test_align_matches_by_name():
    assert align(["run", "sit", "walk"], ["walk", "jump", "run"]) == (2, UNKNOWN, 0)


def test_align_refuses_label_spaces_without_overlap():
    with pytest.raises(InputError, match="do not overlap: the source knows a, b, the target has c"):
        align(["a", "b"], ["c"])


def test_probabilities_of_foreign_classes_are_missing():
    probabilities = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64)
    assert to_target_classes(probabilities, (2, UNKNOWN, 0)).tolist() == [[0.3, 0.0, 0.2]]


def test_labels_of_unknown_classes_are_marked():
    assert to_source_classes(torch.tensor([0, 1, 2, 0]), (2, UNKNOWN, 0)).tolist() == [2, UNKNOWN, 0, 2]
