"""How well sources foretold the labels, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hatlit.fusion.foresight import SMALLEST, log_likelihood, voices_from
from hatlit.selection.labels import UNKNOWN

ALL_KNOWN = (0, 1)


def test_the_mean_logarithm_of_what_the_right_class_got():
    said = torch.tensor([[0.5, 0.5], [0.2, 0.8]])
    expected = (math.log(0.5) + math.log(0.8)) / 2
    assert log_likelihood(said, torch.tensor([0, 1]), ALL_KNOWN) == pytest.approx(expected)


def test_what_goes_to_classes_that_the_target_lacks_makes_no_difference():
    said = torch.tensor([[0.25, 0.25], [0.05, 0.2]])
    expected = (math.log(0.5) + math.log(0.8)) / 2
    assert log_likelihood(said, torch.tensor([0, 1]), ALL_KNOWN) == pytest.approx(expected)


def test_rows_of_a_class_that_a_source_does_not_know_say_nothing_about_it():
    said = torch.tensor([[0.5, 0.0], [1.0, 0.0]])
    assert log_likelihood(said, torch.tensor([0, 1]), (3, UNKNOWN)) == pytest.approx(0.0)
    assert log_likelihood(said, torch.tensor([1, 1]), (3, UNKNOWN)) == pytest.approx(math.log(SMALLEST))


@pytest.mark.parametrize("broken", [math.nan, math.inf, 0.0])
def test_answers_that_are_none_are_as_bad_as_can_be(broken):
    said = torch.tensor([[0.0, broken]])
    assert log_likelihood(said, torch.tensor([0]), ALL_KNOWN) == pytest.approx(math.log(SMALLEST))


def test_a_voice_is_the_fourth_root_of_the_likelihood_beside_that_of_the_best():
    voices = voices_from(torch.tensor([0.16, 0.01, 0.16]).log())
    torch.testing.assert_close(voices, torch.tensor([1.0, 0.5, 1.0]))


@given(st.lists(st.floats(math.log(SMALLEST), 0.0), min_size=1, max_size=8))
def test_the_best_is_heard_in_full_and_nobody_is_silent(values):
    likelihoods = torch.tensor(values)
    voices = voices_from(likelihoods)
    assert voices.max() == 1
    assert (voices > 0).all()
    assert voices[likelihoods.argsort()].diff().ge(0).all()
