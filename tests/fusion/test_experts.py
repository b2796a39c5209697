import math

import pytest
import torch
import torch.nn.functional as F

from hatlit.config import ExpertsConfig
from hatlit.encoders.base import InputSpec, build_classifier
from hatlit.fusion.experts import train_expert, voices_of_experts
from hatlit.types import UNLABELLED

SPEC = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(32,))


def untrained(seed=0):
    torch.manual_seed(seed)
    return build_classifier("cnn_nano", SPEC, 3)


def few(rows=3):
    view = torch.randn(rows, 3, 32, generator=torch.Generator().manual_seed(1))
    return view, torch.arange(rows) % 3


def test_an_expert_learns_the_labelled_few_and_is_frozen():
    view, label = few()
    expert = train_expert(untrained(), view, label, ExpertsConfig(steps=60), seed=0)
    assert torch.equal(expert(view).argmax(-1), label)
    assert not expert.training
    assert not any(parameter.requires_grad for parameter in expert.parameters())


def test_the_same_seed_gives_the_same_expert_and_another_seed_another():
    experts = [train_expert(untrained(), *few(), ExpertsConfig(steps=3), seed=seed) for seed in (5, 5, 6)]
    weights = [torch.cat([p.flatten() for p in expert.parameters()]) for expert in experts]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_single_labelled_row_is_enough():
    view, label = few(1)
    expert = train_expert(untrained(), view, label, ExpertsConfig(steps=2), seed=0)
    assert torch.isfinite(expert(view)).all()


def says(*columns):
    """What each column says of the rows, by class number, as predictions (rows, N, 3)."""
    return F.one_hot(torch.tensor(columns).T, 3).float()


def unknown(said):
    return torch.full((len(said),), UNLABELLED)


TRUTH = [0, 1, 2] * 4
#: Right on the first nine of twelve rows; another column errs on the last three in another manner.
NEARLY = [*TRUTH[:9], 1, 2, 0]
NEARLY_TOO = [*TRUTH[:9], 2, 0, 1]
ALWAYS_ZERO = [0] * 12


def voices(said, label=None, of_sources=(1.0, 1.0)):
    return voices_of_experts(said, unknown(said) if label is None else label, torch.tensor(of_sources))


def test_experts_that_are_surer_than_sources_and_borne_out_by_them_are_heard_in_full():
    said = says(NEARLY, NEARLY_TOO, TRUTH, TRUTH)
    assert voices(said).tolist() == [1, 1]


def test_experts_that_agree_no_more_than_sources_do_are_not_heard():
    said = says(NEARLY, NEARLY_TOO, NEARLY, NEARLY_TOO)
    assert voices(said).tolist() == [0, 0]


def test_the_voice_grows_with_the_logarithm_of_how_much_surer_experts_are():
    truth, turned, turned_twice = [0, 1, 2] * 8, [1, 2, 0] * 8, [2, 0, 1] * 8
    said = says(truth, [*truth[:15], *turned[15:]], truth, [*truth[:21], *turned_twice[21:]])
    # Every column has each class eight times, so chance is a third. Sources agree on 15 of 24 rows and experts on 21;
    # the second source, which agrees with either expert as far as with the first source, bears them out in full.
    kappa_sources, kappa_experts = ((right / 24 - 1 / 3) / (2 / 3) for right in (15, 21))
    times = kappa_experts / (1 - kappa_experts) / (kappa_sources / (1 - kappa_sources))
    assert 2 < times < 8
    expected = math.log(times / 2) / math.log(8 / 2)
    assert voices(said).tolist() == pytest.approx([expected, expected])


def test_a_single_expert_is_taken_to_be_sure():
    said = says(NEARLY, NEARLY_TOO, NEARLY)
    assert voices(said).tolist() == [1]


def test_the_voice_is_the_ratio_of_agreements_beyond_chance():
    halfway = [*TRUTH[:6], *[1, 2, 0] * 2]  # with either source on 6 or 7.5 of 12 rows on average
    said = says(TRUTH, NEARLY, halfway, halfway)
    # Every column has each class four times, so chance is a third. Sources agree on 9 of 12 rows, an expert with the
    # first source on 6 and with the second on 9, which says the same of the last three rows.
    kappa_sources = (9 / 12 - 1 / 3) / (2 / 3)
    kappa_experts = ((6 / 12 - 1 / 3) / (2 / 3) + (9 / 12 - 1 / 3) / (2 / 3)) / 2
    expected = min(1, kappa_experts / (0.75 * kappa_sources))
    assert voices(said).tolist() == pytest.approx([expected, expected])
    assert 0.9 < expected < 1


def test_labelled_rows_bear_nobody_out():
    said = says(NEARLY, NEARLY_TOO, [*TRUTH[:9], 0, 0, 0], [*TRUTH[:9], 0, 0, 0])
    label = torch.tensor([*TRUTH[:9], UNLABELLED, UNLABELLED, UNLABELLED])
    assert voices(said).min() > 0.9
    assert voices(said, label).max() < 0.5
    assert voices(said, torch.tensor(TRUTH)).min() > 0.9  # where all are labelled, all count


def test_beside_a_single_source_experts_are_one_voice_together():
    said = says(NEARLY, TRUTH, TRUTH)
    assert voices(said, of_sources=[1.0]).tolist() == [0.5, 0.5]


def test_without_experts_there_is_no_voice():
    assert voices(says(NEARLY, ALWAYS_ZERO)).tolist() == []


def test_misled_sources_bear_nobody_out():
    misled, misled_otherwise = [1, 2, 0] * 4, [2, 0, 1] * 4
    experts = [*TRUTH[:6], 1, 2, 0, 1, 2, 0]
    said = says(NEARLY, NEARLY_TOO, misled, misled_otherwise, experts, experts)
    without = voices(said[:, [0, 1, 4, 5]])
    assert voices(said, of_sources=[1.0, 0.5, 0.49, 0.0]).tolist() == without.tolist()
    assert voices(said, of_sources=[1.0, 1.0, 1.0, 1.0]).max() > without.max()


def test_two_sources_are_looked_at_even_if_one_is_hardly_heard():
    said = says(NEARLY, NEARLY_TOO, ALWAYS_ZERO, TRUTH, TRUTH)
    assert voices(said, of_sources=[1.0, 0.2, 0.1]).tolist() == voices(said[:, [0, 1, 3, 4]]).tolist()


def test_sources_that_are_all_heard_alike_all_count():
    said = says(NEARLY, NEARLY_TOO, TRUTH, TRUTH)
    assert voices(said, of_sources=[0.1, 0.1]).tolist() == voices(said).tolist()


def test_sources_that_say_nothing_but_one_class_bear_nobody_out():
    said = says(ALWAYS_ZERO, ALWAYS_ZERO, TRUTH)
    assert torch.isfinite(voices(said)).all()
