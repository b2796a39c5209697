import math

import pytest
import torch
from hypothesis import given
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import floats
from torch import nn

from hatlit.config import AdaptConfig
from hatlit.encoders.base import Classifier, InputSpec
from hatlit.fusion.adapt import Unlabelled, adapt, frequencies_among, indecision, moving_parameters, pull_to_start

SPEC = InputSpec(modality="imu", channels=("x", "y"), shape=(8,))


class TwoBlocks(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4), nn.Tanh())
        self.feature_dim, self.input_spec = 4, SPEC


def make(seed=0):
    torch.manual_seed(seed)
    return Classifier(TwoBlocks(), 3).eval()


def few(rows=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 2, 8, generator=generator), torch.arange(rows) % 3


def moved(before, after):
    return {name for name, value in before.state_dict().items() if not torch.equal(value, after.state_dict()[name])}


@pytest.mark.parametrize(
    ("part", "names"),
    [
        (
            "all",
            {"encoder.1.weight", "encoder.1.bias", "encoder.3.weight", "encoder.3.bias", "head.weight", "head.bias"},
        ),
        ("last_block", {"encoder.3.weight", "encoder.3.bias", "head.weight", "head.bias"}),
        ("head", {"head.weight", "head.bias"}),
    ],
)
def test_only_the_named_part_moves(part, names):
    source = make()
    adapted = adapt(source, *few(), AdaptConfig(part=part, steps=3, learning_rate=0.01), seed=0)
    assert moved(source, adapted) == names


def test_source_stays_as_it_is_and_the_copy_is_frozen():
    source = make()
    before = {name: value.clone() for name, value in source.state_dict().items()}
    adapted = adapt(source, *few(), AdaptConfig(steps=5), seed=0)
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in before.items())
    assert not adapted.training
    assert not any(parameter.requires_grad for parameter in adapted.parameters())


def test_adaptation_learns_the_labelled_few():
    view, label = few()
    adapted = adapt(make(), view, label, AdaptConfig(steps=200, learning_rate=0.02), seed=0)
    assert (adapted(view).argmax(-1) == label).all()


def test_no_steps_or_no_known_label_changes_nothing():
    source, (view, label) = make(), few()
    assert not moved(source, adapt(source, view, label, AdaptConfig(steps=0), seed=0))
    assert not moved(source, adapt(source, view, torch.full_like(label, -1), AdaptConfig(steps=5), seed=0))


def test_rows_of_unknown_classes_have_no_say():
    source, (view, label) = make(), few()
    known = adapt(source, view[:3], label[:3], AdaptConfig(steps=4), seed=0)
    masked = torch.cat([label[:3], torch.full((3,), -1)])
    assert not moved(known, adapt(source, view, masked, AdaptConfig(steps=4), seed=0))


def test_same_seed_same_weights_and_the_pull_holds_back():
    source = make()
    free = adapt(source, *few(100), AdaptConfig(steps=20, learning_rate=0.01), seed=3)
    again = adapt(source, *few(100), AdaptConfig(steps=20, learning_rate=0.01), seed=3)
    held = adapt(source, *few(100), AdaptConfig(steps=20, learning_rate=0.01, pull=10.0), seed=3)
    assert not moved(free, again)

    def distance(adapted):
        return sum(
            float((a - b).detach().square().sum())
            for a, b in zip(adapted.parameters(), source.parameters(), strict=True)
        )

    assert distance(held) < 0.2 * distance(free)


def test_pull_by_hand():
    now = [nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor(3.0))]
    assert float(pull_to_start(now, [torch.tensor([0.0, 0.0]), torch.tensor(1.0)]).detach()) == 1 + 4 + 4


def test_an_encoder_without_blocks_leaves_the_head_to_move():
    source = make()
    source.encoder = nn.Flatten()
    assert moving_parameters(source, "last_block") == list(source.head.parameters())


def test_the_blocks_of_a_wrapped_model_are_those_of_the_model():
    source = make()
    source.encoder = nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))
    last = source.encoder[0][2]
    assert moving_parameters(source, "last_block") == [*last.parameters(), *source.head.parameters()]


def test_batch_norm_keeps_what_it_knew_of_the_whole_domain():
    source = make()
    source.encoder = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(few()[0].flatten(1).shape[1]))
    source.encoder.feature_dim = few()[0].flatten(1).shape[1]
    source.encoder.input_spec = SPEC
    source.head = nn.Linear(source.encoder.feature_dim, source.head.out_features)
    adapted = adapt(source, *few(), AdaptConfig(steps=3), seed=0)
    assert torch.equal(adapted.encoder[1].running_mean, source.encoder[1].running_mean)
    assert not torch.equal(adapted.encoder[1].weight, source.encoder[1].weight)


def test_dropout_depends_on_the_seed_alone_and_leaves_the_global_random_numbers_as_they_were():
    source = make()
    source.encoder.insert(3, nn.Dropout(0.5))
    adapted = []
    for state in (1, 2):
        torch.manual_seed(state)
        adapted.append(adapt(source, *few(), AdaptConfig(steps=3, learning_rate=0.01), seed=0))
    assert not moved(*adapted)
    drawn = torch.rand(1)
    torch.manual_seed(2)
    assert torch.equal(drawn, torch.rand(1))


CERTAIN, OTHERWISE, EVEN = [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]
HALF = torch.tensor([0.5, 0.5], dtype=torch.float64)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([EVEN, EVEN], math.log(2)),
        ([CERTAIN, CERTAIN], math.log(2)),
        ([CERTAIN, OTHERWISE], 0.0),
        # Half a log 2, and KL of three quarters and a quarter to halves.
        ([CERTAIN, EVEN], 0.5 * math.log(2) + 0.75 * math.log(1.5) + 0.25 * math.log(0.5)),
    ],
)
def test_indecision_by_hand(said, expected):
    logits = torch.tensor(said, dtype=torch.float64).clamp_min(1e-12).log()
    assert indecision(logits, HALF).item() == pytest.approx(expected, abs=1e-6)


def test_indecision_is_zero_where_classes_are_said_as_often_as_they_should_be():
    logits = torch.tensor([CERTAIN, CERTAIN, CERTAIN, OTHERWISE], dtype=torch.float64).clamp_min(1e-12).log()
    unbalanced = torch.tensor([0.75, 0.25], dtype=torch.float64)
    assert indecision(logits, unbalanced).item() == pytest.approx(0, abs=1e-6)
    assert indecision(logits, HALF) > 0.1


@given(arrays(float, (5, 3), elements=floats(-8, 8)), arrays(float, 3, elements=floats(0.1, 1)))
def test_indecision_is_never_negative(logits, weights):
    assert indecision(torch.tensor(logits), torch.tensor(weights / weights.sum())) >= -1e-9


def test_frequencies_among_the_labelled_count_each_class_once_more():
    label = torch.tensor([4, 4, 4, 0, 7])
    expected = torch.tensor([2, 4, 1]) / 7
    torch.testing.assert_close(frequencies_among(label, torch.tensor([0, 4, 5])), expected)


def others(classes=(0, 1, 2)):
    return Unlabelled(few(40, seed=2)[0], torch.tensor(classes))


def test_unlabelled_rows_make_a_source_decide():
    view, label = few()
    config = AdaptConfig(steps=100, learning_rate=0.01, indecision=1.0)
    alone = adapt(make(), view, label, config, seed=0)
    together = adapt(make(), view, label, config, seed=0, unlabelled=others())
    with torch.no_grad():
        third = torch.full((3,), 1 / 3)
        assert indecision(together(others().view), third) < indecision(alone(others().view), third) - 0.1
        assert torch.equal(together(view).argmax(-1), label)


def test_a_source_says_a_class_as_often_as_it_is_among_the_labelled():
    config = AdaptConfig(steps=100, learning_rate=0.01, indecision=1.0)
    view, _ = few(12)
    said = []
    for count in (2, 10):
        label = torch.tensor([0] * count + [1] * (12 - count))
        adapted = adapt(make(), view, label, config, seed=0, unlabelled=others((0, 1)))
        with torch.no_grad():
            said.append(adapted(others().view)[:, :2].softmax(-1).mean(0)[0])
    assert said[0] < 0.4 < 0.6 < said[1]


def test_without_weight_unlabelled_rows_are_not_looked_at():
    config = AdaptConfig(steps=5, indecision=0.0)
    assert not moved(adapt(make(), *few(), config, seed=0), adapt(make(), *few(), config, seed=0, unlabelled=others()))


def test_classes_that_the_target_lacks_need_not_be_said():
    view, label = few()
    two = label < 2

    def third_class(indecision, classes):
        config = AdaptConfig(part="head", steps=1, learning_rate=0.01, indecision=indecision)
        adapted = adapt(make(), view[two], label[two], config, seed=0, unlabelled=others(classes))
        return adapted.head.weight[2]

    torch.testing.assert_close(third_class(1e3, (0, 1)), third_class(0.0, (0, 1)))
    assert (third_class(1e3, (0, 1, 2)) - third_class(0.0, (0, 1, 2))).abs().max() > 1e-3


def test_without_labels_the_other_rows_alone_are_learned_from():
    source = make()
    nothing, no_label = few()[0][:0], torch.zeros(0, dtype=torch.long)
    others = Unlabelled(few(rows=40, seed=3)[0], torch.arange(3))
    even = torch.full((3,), 1 / 3)
    config = AdaptConfig(steps=30, learning_rate=0.01)
    adapted = adapt(source, nothing, no_label, config, 0, others)
    assert indecision(adapted(others.view), even) < 0.8 * indecision(source(others.view), even)
    still = adapt(source, nothing, no_label, AdaptConfig(steps=30, indecision=0.0), 0, others)
    assert not moved(source, still)
