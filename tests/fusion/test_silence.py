"""What a source says of classes that it does not know."""

import pytest
import torch

from hatlit.fusion.silence import be_silent


def test_where_all_is_known_nothing_changes():
    said = torch.tensor([[[0.2, 0.5], [0.1, 0.9]]])
    assert be_silent(said, torch.ones(2, 2, dtype=torch.bool)) is said


def test_the_mean_does_not_rule_out_what_one_source_has_never_seen():
    said = torch.tensor([[[0.05, 0.05, 0.9], [0.5, 0.5, 0.0], [0.6, 0.4, 0.0]]], dtype=torch.float64)
    known = torch.tensor([[True, True, True], [True, True, False], [True, True, False]])
    filled = be_silent(said, known)
    assert said.mean(1).argmax(-1).item() != 2 and filled.mean(1).argmax(-1).item() == 2
    assert filled[0, 0].tolist() == pytest.approx([0.05, 0.05, 0.9])
    assert filled[0, 1].tolist() == pytest.approx([0.05, 0.05, 0.9]), "the rest stays divided as it was"
    assert filled[0, 2].tolist() == pytest.approx([0.06, 0.04, 0.9])


def test_of_a_class_that_nobody_knows_nobody_says_never():
    said = torch.tensor([[[0.9, 0.1, 0.0, 0.0], [0.7, 0.3, 0.0, 0.0]]])
    known = torch.tensor([[True, True, False, False]] * 2)
    filled = be_silent(said, known)
    assert filled[0, :, 2:].flatten().tolist() == pytest.approx([0.25] * 4)
    assert filled[0, 0, :2].tolist() == pytest.approx([0.45, 0.05])


def test_who_abstains_goes_on_abstaining_and_what_is_not_finite_is_not_passed_on():
    said = torch.tensor([[[0.1, 0.1, 0.0], [0.2, 0.3, 0.5], [float("nan")] * 3]])
    known = torch.tensor([[True, True, False], [True] * 3, [True] * 3])
    filled = be_silent(said, known)
    assert filled[0].sum(-1).tolist() == pytest.approx([0.2, 1.0, 0.0])
    assert filled[0, 0].tolist() == pytest.approx([0.05, 0.05, 0.1])


def test_sources_without_any_class_in_common_complete_one_another():
    generator = torch.Generator().manual_seed(0)
    said = torch.rand(50, 3, 6, generator=generator)
    known = torch.zeros(3, 6, dtype=torch.bool)
    for number in range(3):
        known[number, 2 * number : 2 * number + 2] = True
    said = said * known
    said = said / said.sum(-1, keepdim=True)
    filled = be_silent(said, known)
    assert (filled >= 0).all()
    torch.testing.assert_close(filled.sum(-1), torch.ones(50, 3))
