import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from hatlit.fusion.consensus import HALF_SURE, TOLD_APART, Consensus, certainty, entropy, find_consensus
from hatlit.types import UNLABELLED


def voices(accuracies, rows=400, classes=4, seed=0):
    """Sources that are right as often as told, each independent of the others; what they say, and the truth."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(classes, (rows,), generator=generator)
    said = []
    for accuracy in accuracies:
        other = (truth + torch.randint(1, classes, (rows,), generator=generator)) % classes
        right = torch.rand(rows, generator=generator) < accuracy
        said.append(F.one_hot(torch.where(right, truth, other), classes).float())
    return torch.stack(said, dim=1), truth


def nothing_known(rows):
    return torch.full((rows,), UNLABELLED)


def share(believed, truth):
    return float((believed.argmax(-1) == truth).float().mean())


def test_what_is_believed_follows_from_the_error_rates_by_bayes():
    errors = torch.tensor([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]], dtype=torch.float64)
    consensus = Consensus(errors, torch.tensor([0.25, 0.75], dtype=torch.float64))
    said = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)  # the first says 0, the second says 1
    zero, one = 0.25 * 0.9 * 0.4, 0.75 * 0.3 * 0.8
    assert consensus(said)[0].tolist() == pytest.approx([zero / (zero + one), one / (zero + one)])
    assert consensus.agreement(said)[0].tolist() == pytest.approx(consensus(said)[0].tolist())


def test_reliable_sources_are_told_from_others_without_a_label():
    said, truth = voices([0.95, 0.9, 0.5, 0.4, 0.3])
    consensus = find_consensus(said, nothing_known(len(truth)))
    found = consensus.errors.diagonal(dim1=1, dim2=2).mean(1)
    assert found.tolist() == pytest.approx([0.95, 0.9, 0.5, 0.4, 0.3], abs=0.08)
    assert share(consensus(said), truth) > share(said.mean(1), truth) + 0.05


def test_two_that_agree_outweigh_three_that_do_not():
    said, truth = voices([0.97, 0.97, 0.4, 0.4, 0.4])
    agreement = find_consensus(said, nothing_known(len(truth))).agreement(said).mean(0)
    assert agreement[:2].min() > 2 * agreement[2:].max()


def test_a_voice_of_a_half_counts_half_as_much_and_none_not_at_all():
    errors = torch.tensor([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]], dtype=torch.float64)
    said = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)
    even = torch.tensor([0.5, 0.5], dtype=torch.float64)
    half = Consensus(errors, even, torch.tensor([1.0, 0.5]))
    zero, one = 0.9 * 0.4**0.5, 0.3 * 0.8**0.5
    believed = [zero / (zero + one), one / (zero + one)]
    assert half(said)[0].tolist() == pytest.approx(believed)
    assert half.agreement(said)[0].tolist() == pytest.approx([believed[0], 0.5 * believed[1]])
    assert Consensus(errors, even, torch.tensor([1.0, 0.0]))(said)[0].tolist() == pytest.approx([0.75, 0.25])


def test_two_with_no_voice_change_nothing_for_the_others():
    said, truth = voices([0.97, 0.97, 0.7, 0.6, 0.6])
    alone = find_consensus(said[:, 2:], nothing_known(len(truth)))
    beside = find_consensus(said, nothing_known(len(truth)), torch.tensor([0.0, 0, 1, 1, 1]))
    torch.testing.assert_close(beside.errors[2:], alone.errors)
    torch.testing.assert_close(beside(said), alone(said[:, 2:]))


def test_certainty_falls_from_one_to_a_half_at_a_tenth_of_the_usual_entropy():
    usual = torch.tensor(math.log(2) / HALF_SURE)
    said = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
    assert entropy(said)[0].tolist() == pytest.approx([0.0, math.log(2)])
    assert certainty(said, usual)[0].tolist() == pytest.approx([1.0, 0.5])
    assert certainty(said, torch.tensor(math.inf))[0].tolist() == [1.0, 1.0]
    assert certainty(said, torch.tensor(0.0))[0, 0] == 1.0


def test_a_source_that_is_half_as_sure_counts_half_as_much():
    errors = torch.tensor([[[0.9, 0.1], [0.3, 0.7]], [[0.6, 0.4], [0.2, 0.8]]], dtype=torch.float64)
    even = torch.tensor([0.5, 0.5], dtype=torch.float64)
    said = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]], dtype=torch.float64)
    plain, heedful = (Consensus(errors, even, usual_entropy=usual) for usual in (math.inf, math.log(2) / HALF_SURE))
    believed = plain(said)[0, 0].item()
    assert plain.agreement(said)[0].tolist() == pytest.approx([believed, 0.5])
    assert heedful.agreement(said)[0].tolist() == pytest.approx([believed, 0.25])
    torch.testing.assert_close(heedful(said), plain(said))  # an answer that says nothing is no evidence anyway


def test_one_that_is_sure_outweighs_two_that_waver():
    said, truth = voices([0.95, 0.95, 0.95], rows=300)
    misled = said[:, 1:].roll(1, dims=-1) * 0.6 + 0.4 / 4  # both call each class by the name of the next, not surely
    said = torch.cat([said[:, :1], misled], dim=1)
    assert share(find_consensus(said, nothing_known(300))(said), truth) < 0.1
    assert share(find_consensus(said, nothing_known(300), discount_unsure=True)(said), truth) > 0.9


def test_where_all_are_certain_nobody_is_discounted():
    said, _ = voices([0.9, 0.7, 0.4], rows=50)
    one, other = (find_consensus(said, nothing_known(50), discount_unsure=discount) for discount in (False, True))
    torch.testing.assert_close(one.agreement(said), other.agreement(said))


def test_labels_count_as_the_truth():
    said, truth = voices([0.8, 0.8, 0.8], rows=200)
    swapped = said[..., [1, 0, 2, 3]]  # all of them call the first class the second, and the other way round
    blind = find_consensus(swapped, nothing_known(len(truth)))
    told = find_consensus(swapped, torch.where(torch.arange(200) < 100, truth, UNLABELLED))
    assert share(blind(swapped)[100:], truth[100:]) < 0.7 < 0.8 < share(told(swapped)[100:], truth[100:])


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 12),
    sources=st.integers(1, 4),
    classes=st.integers(1, 5),
    seed=st.integers(0, 9999),
    labelled=st.booleans(),
    discount=st.booleans(),
)
def test_tables_and_beliefs_are_distributions_whatever_is_said(rows, sources, classes, seed, labelled, discount):
    generator = torch.Generator().manual_seed(seed)
    said = torch.rand(rows, sources, classes, generator=generator)
    said = said / said.sum(-1, keepdim=True)
    label = torch.randint(classes, (rows,), generator=generator) if labelled else nothing_known(rows)
    consensus = find_consensus(said, label, discount_unsure=discount)
    for distribution in (consensus.errors, consensus.frequencies, consensus(said)):
        assert torch.isfinite(distribution).all()
        torch.testing.assert_close(distribution.sum(-1), torch.ones_like(distribution.sum(-1)))
    assert ((consensus.agreement(said) >= 0) & (consensus.agreement(said) <= 1 + 1e-6)).all()


def test_the_order_of_the_sources_does_not_matter():
    said, _ = voices([0.9, 0.7, 0.4], rows=50)
    order = torch.tensor([2, 0, 1])
    one, other = (find_consensus(part, nothing_known(50)) for part in (said, said[:, order]))
    torch.testing.assert_close(one(said), other(said[:, order]))
    torch.testing.assert_close(one.errors[order], other.errors)


def test_one_rate_for_all_wrong_answers_stands_for_a_table_of_equal_ones():
    right = torch.tensor([[0.9, 0.6, 0.7], [0.5, 0.8, 0.4]], dtype=torch.float64)
    table = torch.where(torch.eye(3, dtype=torch.bool), right[:, :, None], (1 - right[:, :, None]) / 2)
    said = torch.rand(5, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    frequencies = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    for voices in (None, torch.tensor([1.0, 0.3])):
        believed = Consensus(table, frequencies, voices)(said)
        torch.testing.assert_close(Consensus(right, frequencies, voices)(said), believed)


def test_many_classes_take_one_number_each_and_reliable_sources_are_still_found():
    classes = TOLD_APART + 20
    said, truth = voices([0.9, 0.8, 0.5, 0.3], rows=6 * classes, classes=classes)
    consensus = find_consensus(said, nothing_known(len(truth)))
    assert consensus.errors.shape == (4, classes)
    assert ((consensus.errors >= 0) & (consensus.errors <= 1)).all()
    assert consensus.errors.mean(1).tolist() == pytest.approx([0.9, 0.8, 0.5, 0.3], abs=0.12)
    assert share(consensus(said), truth) > share(said.mean(1), truth)


def test_with_as_many_classes_as_are_told_apart_the_table_is_whole():
    said, truth = voices([0.9, 0.8], rows=TOLD_APART, classes=TOLD_APART)
    assert find_consensus(said, nothing_known(len(truth))).errors.shape == (2, TOLD_APART, TOLD_APART)


def test_heads_that_learn_leave_no_graph_in_the_error_rates():
    said = torch.rand(6, 2, 3, requires_grad=True).softmax(-1)
    assert not find_consensus(said, torch.tensor([0, 1, 2, -1, -1, -1])).errors.requires_grad
