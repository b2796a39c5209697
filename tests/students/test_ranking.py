"""A ranking without training: what the score counts, and that it depends on nothing but the seed."""

import pytest
import torch
from torch import nn

from hatlit.encoders.base import ENCODERS, InputSpec, register_encoder
from hatlit.students.ranking import rank, shared_directions

SPEC = InputSpec(modality="imu", channels=("x", "y"), shape=(8,))


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orthogonal(rows, width):
    """Columns without mean that are orthogonal to one another, each of variance one."""
    columns = random(rows, width)
    return torch.linalg.qr(columns - columns.mean(0))[0] * rows**0.5


@pytest.mark.parametrize("shared", [1, 3, 6])
def test_directions_that_are_shared_equally_are_counted(shared):
    columns = orthogonal(50, 16)
    features, of_sources = columns[:, :8], torch.cat([columns[:, 8 - shared : 8], columns[:, 10:]], dim=1)
    assert shared_directions(features, of_sources) == pytest.approx(shared)
    assert shared_directions(5 * features + 3, 0.1 * of_sources - 1) == pytest.approx(shared)


def test_the_score_is_the_participation_ratio_of_the_covariance():
    features, of_sources = random(30, 4), random(30, 6, seed=1)
    covariance = torch.corrcoef(torch.cat([features, of_sources], dim=1).T)[:4, 4:] * of_sources.std(0, correction=0)
    sizes = torch.linalg.eigvalsh(covariance @ covariance.T).sqrt()
    assert shared_directions(features, of_sources) == pytest.approx(float(sizes.sum() ** 2 / sizes.square().sum()))


def test_features_that_tell_nothing_share_nothing():
    assert shared_directions(torch.ones(20, 3), random(20, 4)) == 0
    assert shared_directions(torch.full((20, 3), torch.nan), random(20, 4)) == 0
    assert shared_directions(random(20, 3), torch.ones(20, 4)) == 0


class Average(nn.Module):
    """Hands out the mean of each channel, whatever its initial weights."""

    def __init__(self, input_spec):
        super().__init__()
        self.input_spec, self.feature_dim = input_spec, 2
        self.scale = nn.Parameter(torch.rand(1) + 1)

    def forward(self, view):
        return self.scale * view.mean(-1)


class Blind(Average):
    """Hands out the same for every sample."""

    def forward(self, view):
        return self.scale * torch.ones(len(view), 2)


@pytest.fixture
def registered(monkeypatch):
    """Two encoders from outside, gone after the test."""
    monkeypatch.setattr(ENCODERS, "_entries", {(entry.modality, entry.name): entry for entry in ENCODERS})
    for name, one in (("average", Average), ("blind", Blind)):
        register_encoder("imu", name=name)(one)


def test_what_shares_more_goes_first_and_of_equals_the_cheaper(registered):
    views = random(40, 2, 8).float()
    heard = [views.mean(-1), torch.cat([views.mean(-1)] * 3, dim=1)]
    asked = []

    def look(spec):
        asked.append(spec)
        return views

    torch.manual_seed(7)
    before = torch.get_rng_state()
    ranking = rank(["blind", "average"], SPEC, 2, look, heard, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert [(one.name, one.parameters) for one in ranking] == [("average", 7), ("blind", 7)]
    assert 1 < ranking[0].score <= 2 and ranking[1].score == 0
    assert set(asked) == {SPEC}
    assert rank(["blind", "average"], SPEC, 2, look, heard, seed=0) == ranking
    nothing = [torch.zeros(40, 2)]
    assert [one.name for one in rank(["blind", "average"], SPEC, 2, look, nothing, seed=0)] == ["blind", "average"]


def test_initial_weights_follow_the_seed():
    spec = InputSpec(modality="imu", channels=("x", "y"), shape=(32,))
    views, heard = random(20, 2, 32).float(), [random(20, 5, seed=1)]
    of_seed = [rank(["cnn_nano"], spec, 3, lambda _: views, heard, seed)[0].score for seed in (0, 0, 5)]
    assert of_seed[0] == of_seed[1] != of_seed[2]
