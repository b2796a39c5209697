import math

import pytest
import torch
from torch.nn.functional import one_hot

from hatlit.experiments.measure import quality


def measured(predicted, label, num_classes):
    return quality(one_hot(torch.tensor(predicted), num_classes).float(), torch.tensor(label))


def test_all_right_and_all_wrong():
    right, wrong = measured([0, 1, 2], [0, 1, 2], 3), measured([1, 2, 0], [0, 1, 2], 3)
    assert (right.accuracy, right.balanced_accuracy, right.macro_f1) == (1.0, 1.0, 1.0)
    assert (wrong.accuracy, wrong.balanced_accuracy, wrong.macro_f1) == (0.0, 0.0, 0.0)


def test_imbalanced_classes_by_hand():
    # Class 0: 7 of 8 right; class 1: 1 of 2 right.
    worth = measured([0] * 7 + [1] + [1, 0], [0] * 8 + [1] * 2, 2)
    assert worth.accuracy == pytest.approx(8 / 10)
    assert worth.balanced_accuracy == pytest.approx((7 / 8 + 1 / 2) / 2)
    assert worth.macro_f1 == pytest.approx((2 * 7 / (2 * 7 + 1 + 1) + 2 * 1 / (2 * 1 + 1 + 1)) / 2)


def test_always_the_commonest_class_is_worth_no_more_than_chance():
    worth = measured([0] * 10, [0] * 9 + [1], 2)
    assert worth.accuracy == pytest.approx(0.9)
    assert worth.balanced_accuracy == pytest.approx(0.5)
    assert worth.macro_f1 == pytest.approx((18 / 19 + 0) / 2)


def test_a_class_without_test_samples_does_not_count():
    worth = measured([0, 0, 1, 0], [0, 0, 1, 1], 3)
    assert worth.balanced_accuracy == pytest.approx((1 + 1 / 2) / 2)
    assert worth.macro_f1 == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_predicting_a_class_without_test_samples_is_wrong_once():
    worth = measured([0, 0, 2, 1], [0, 0, 0, 1], 3)
    assert worth.accuracy == pytest.approx(3 / 4)
    assert worth.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2), "the mean over the two classes that were tested"
    assert worth.macro_f1 == pytest.approx((4 / 5 + 1 + 0) / 3), "F1 of the class that was named in vain is 0"


def test_a_single_class():
    worth = measured([0, 0], [0, 0], 1)
    assert (worth.accuracy, worth.balanced_accuracy, worth.macro_f1) == (1.0, 1.0, 1.0)


def test_scores_are_plain_numbers():
    assert all(type(value) is float and math.isfinite(value) for value in vars(measured([0], [0], 2)).values())


def test_doubt_is_paid_in_nats():
    worth = quality(torch.tensor([[0.5, 0.5], [0.9, 0.1]]), torch.tensor([0, 1]))
    assert worth.nll == pytest.approx(-(math.log(0.5) + math.log(0.1)) / 2)
    assert quality(torch.tensor([[1.0, 0.0]]), torch.tensor([1])).nll == pytest.approx(-math.log(1e-6))


def test_who_is_sure_nine_times_in_ten_should_be_right_as_often():
    probabilities = torch.tensor([[0.9, 0.1]] * 10)
    assert quality(probabilities, torch.tensor([0] * 9 + [1])).calibration_error == pytest.approx(0, abs=1e-6)
    assert quality(probabilities, torch.tensor([0] * 5 + [1] * 5)).calibration_error == pytest.approx(0.4)


def test_a_probability_that_rounding_puts_above_one_is_no_logit():
    sure = one_hot(torch.tensor([0, 1, 2, 0]), 3).float()
    rounded = sure * torch.tensor(1 + 1e-6)
    assert rounded.max() > 1
    assert quality(rounded, torch.tensor([0, 1, 2, 1])) == quality(sure, torch.tensor([0, 1, 2, 1]))
    assert quality(rounded, torch.tensor([0, 1, 2, 0])).calibration_error == pytest.approx(0)
