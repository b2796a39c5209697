import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hatlit.fusion.mixer import (
    CrossAttentionMixer,
    attention_logits,
    attention_weights,
    conditional,
    divergence_from_prior,
    fuse,
    log_prior,
    mixer_loss,
    prior_weights,
)


def inputs(rows=5, sources=3, classes=4, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    student = torch.randn(rows, 6, generator=generator, dtype=dtype)
    features = [torch.randn(rows, 3 + number, generator=generator, dtype=dtype) for number in range(sources)]
    probabilities = torch.rand(rows, sources, classes, generator=generator, dtype=dtype)
    probabilities = probabilities / probabilities.sum(-1, keepdim=True)
    return student, features, probabilities


def make_mixer(features, heads=2, seed=0):
    torch.manual_seed(seed)
    return CrossAttentionMixer(6, [z.shape[-1] for z in features], dim=8, heads=heads).double()


def test_logits_are_scaled_dot_products():
    query = torch.tensor([[[1.0, 2.0, 0.0, 1.0]]])
    keys = torch.tensor([[[[2.0, 1.0, 5.0, 0.0]], [[0.0, 0.0, 1.0, 4.0]]]])
    assert attention_logits(query, keys).tolist() == [[[(2 + 2) / 2, 4 / 2]]]


def test_weights_are_a_softmax_of_logits_plus_log_mass():
    logits = torch.tensor([[[0.0, math.log(3.0)]]], dtype=torch.float64)
    everything_known = attention_weights(logits, torch.ones(1, 2, dtype=torch.float64))
    assert everything_known[0].tolist() == pytest.approx([0.25, 0.75])
    half_abstained = attention_weights(logits, torch.tensor([[1.0, 1 / 3]], dtype=torch.float64))
    assert half_abstained[0].tolist() == pytest.approx([0.5, 0.5])


def test_weights_are_the_mean_over_heads():
    logits = torch.tensor([[[0.0, math.log(3.0)], [0.0, 0.0]]], dtype=torch.float64)
    weights = attention_weights(logits, torch.ones(1, 2, dtype=torch.float64))
    assert weights[0].tolist() == pytest.approx([0.375, 0.625])


def test_fused_prediction_is_the_weighted_mean():
    probabilities = torch.tensor([[[0.5, 0.5], [0.1, 0.9]]], dtype=torch.float64)
    fused = fuse(torch.tensor([[0.25, 0.75]], dtype=torch.float64), probabilities)
    assert fused[0].tolist() == pytest.approx([0.2, 0.8])


def test_fused_prediction_takes_an_abstaining_source_over_the_classes_it_knows():
    probabilities = torch.tensor([[[0.2, 0.2], [0.1, 0.9]]], dtype=torch.float64)
    fused = fuse(torch.tensor([[0.5, 0.5]], dtype=torch.float64), probabilities)
    assert fused[0].tolist() == pytest.approx([0.3, 0.7])


def test_a_source_that_knows_nothing_of_a_sample_gives_a_uniform_answer_and_hardly_counts():
    probabilities = torch.tensor([[[0.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)
    weights = attention_weights(torch.zeros(1, 1, 2, dtype=torch.float64), probabilities.sum(-1))
    assert weights[0, 0] < 1e-5
    assert fuse(weights, probabilities)[0].tolist() == pytest.approx([0.0, 1.0], abs=1e-5)


def test_loss_is_the_negative_logarithm_of_the_right_class():
    fused = torch.tensor([[0.25, 0.75], [0.5, 0.5]], dtype=torch.float64)
    assert mixer_loss(fused, torch.tensor([1, 0])).tolist() == pytest.approx([-math.log(0.75), -math.log(0.5)])


def test_divergence_from_an_even_prior():
    weights = torch.tensor([[0.5, 0.5], [0.25, 0.75]], dtype=torch.float64)
    by_hand = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert divergence_from_prior(weights, log_prior(torch.ones_like(weights))).tolist() == pytest.approx([0.0, by_hand])


def test_divergence_from_a_prior_that_does_not_sum_to_one():
    weights = torch.tensor([[0.25, 0.75], [0.5, 0.5]], dtype=torch.float64)
    prior = torch.tensor([[0.1, 0.3], [0.2, 0.6]], dtype=torch.float64)
    by_hand = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert divergence_from_prior(weights, log_prior(prior)).tolist() == pytest.approx([0.0, by_hand])


def test_a_prior_alone_gives_weights_in_its_own_proportions():
    prior = torch.tensor([[0.2, 0.6], [3.0, 1.0]], dtype=torch.float64)
    assert prior_weights(prior).tolist() == [pytest.approx([0.25, 0.75]), pytest.approx([0.75, 0.25])]


def test_conditional_predictions_sum_to_one_and_are_uniform_where_nothing_is_known():
    probabilities = torch.tensor([[[0.1, 0.3], [0.0, 0.0]]], dtype=torch.float64)
    assert conditional(probabilities)[0].tolist() == [pytest.approx([0.25, 0.75]), [0.5, 0.5]]


def test_first_weights_are_close_to_uniform():
    student, features, _ = inputs(sources=4)
    weights = make_mixer(features)(student, features, log_prior(torch.ones(5, 4, dtype=torch.float64)))
    assert torch.allclose(weights, torch.full_like(weights, 0.25), atol=0.05)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), sources=st.integers(1, 6), heads=st.sampled_from([1, 2, 4]))
def test_weights_and_fused_predictions_are_distributions(seed, sources, heads):
    student, features, probabilities = inputs(sources=sources, seed=seed)
    mixer = make_mixer(features, heads, seed)
    weights = mixer(student * 50, features, log_prior(probabilities.sum(-1)))
    assert torch.allclose(weights.sum(-1), torch.ones(5, dtype=torch.float64))
    assert torch.allclose(fuse(weights, probabilities).sum(-1), torch.ones(5, dtype=torch.float64))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), order=st.permutations(range(4)))
def test_permuting_the_sources_permutes_the_weights_and_leaves_the_fused_prediction(seed, order):
    student, features, probabilities = inputs(sources=4, seed=seed)
    mixer = make_mixer(features, seed=seed)
    torch.nn.init.normal_(mixer.query.weight)
    weights = mixer(student, features, log_prior(probabilities.sum(-1)))
    permuted = CrossAttentionMixer(6, [features[n].shape[-1] for n in order], dim=8, heads=2).double()
    permuted.query = mixer.query
    permuted.keys = torch.nn.ModuleList(mixer.keys[n] for n in order)
    again = permuted(student, [features[n] for n in order], log_prior(probabilities[:, list(order)].sum(-1)))
    assert torch.allclose(again, weights[:, list(order)])
    assert torch.allclose(fuse(again, probabilities[:, list(order)]), fuse(weights, probabilities))


def test_keys_computed_together_are_those_of_each_source_by_itself():
    generator = torch.Generator().manual_seed(2)
    widths = (3, 3, 5, 3, 4)
    student, prior = torch.randn(5, 6, generator=generator).double(), torch.rand(5, 5, generator=generator).double()
    features = [torch.randn(5, width, generator=generator).double() for width in widths]
    mixer = make_mixer(features)
    torch.nn.init.normal_(mixer.query.weight)
    query = mixer.query(torch.nn.functional.layer_norm(student, (6,)))
    keys = torch.stack([key(z) for key, z in zip(mixer.keys, features, strict=True)], dim=1)
    logits = attention_logits(query.unflatten(-1, (2, 4)), keys.unflatten(-1, (2, 4)))
    torch.testing.assert_close(mixer(student, features, log_prior(prior)), attention_weights(logits, prior))


def test_gradient_reaches_every_parameter():
    student, features, probabilities = inputs()
    mixer = make_mixer(features)
    weights = mixer(student, features, log_prior(probabilities.sum(-1)))
    mixer_loss(fuse(weights, probabilities), torch.tensor([0, 1, 2, 3, 0])).mean().backward()
    for name, parameter in mixer.named_parameters():
        if name.startswith("keys") and name.endswith("bias"):
            continue  # checked below: what all keys share cancels in the softmax, what differs does not
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert all(key.bias.grad is not None for key in mixer.keys)
    assert sum(float(key.bias.grad.abs().sum()) for key in mixer.keys) > 0


def test_mixer_learns_which_source_to_trust():
    generator = torch.Generator().manual_seed(1)
    label = torch.randint(0, 4, (64,), generator=generator)
    right = torch.nn.functional.one_hot(label, 4).float()
    first_is_right = torch.rand(64, generator=generator) > 0.5
    wrong = right.roll(1, -1)
    probabilities = torch.stack(
        [torch.where(first_is_right[:, None], right, wrong), torch.where(first_is_right[:, None], wrong, right)], dim=1
    )
    student = torch.randn(64, 6, generator=generator)
    student[:, 0] = first_is_right.float() * 4 - 2
    features = [torch.randn(64, 3, generator=generator) for _ in range(2)]
    mixer = CrossAttentionMixer(6, [3, 3], dim=8, heads=1)
    optimizer = torch.optim.Adam(mixer.parameters(), lr=0.05)
    for _ in range(150):
        weights = mixer(student, features, log_prior(probabilities.sum(-1)))
        loss = mixer_loss(fuse(weights, probabilities), label).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    fused = fuse(mixer(student, features, log_prior(probabilities.sum(-1))), probabilities)
    assert (fused.argmax(-1) == label).float().mean() > 0.95
