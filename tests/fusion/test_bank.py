import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from hatlit.config import CacheConfig
from hatlit.encoders.base import Classifier, InputSpec
from hatlit.errors import InputError
from hatlit.files import cache_folder
from hatlit.fusion.bank import SourceBank
from hatlit.fusion.projection import narrowed

RECORDED = InputSpec(modality="imu", channels=("x", "y"), shape=(8,))
SCALED = InputSpec(modality="imu", channels=("y",), shape=(8,), mean=(0.5,), std=(2.0,))


class Noisy(nn.Module):
    """Two features; dropout would give it away if it were ever put in training mode."""

    def __init__(self, spec):
        super().__init__()
        self.input_spec, self.feature_dim = spec, 2
        self.project = nn.Linear(8 * spec.num_channels, 2)
        self.dropout = nn.Dropout(0.5)
        self.calls = 0

    def forward(self, view):
        self.calls += 1
        return self.dropout(self.project(view.flatten(1)))


def make_sources():
    torch.manual_seed(0)
    return [Classifier(Noisy(RECORDED), 3), Classifier(Noisy(SCALED), 2)]


def samples(rows=10, seed=1):
    return torch.randn(rows, 2, 8, generator=torch.Generator().manual_seed(seed))


def make_bank(sources=None, train_heads=False, fingerprint="rows", cache=None, width=0):
    return SourceBank(
        sources or make_sources(),
        ["first", "second"],
        [("walk", "run", "sit"), ("run", "walk")],
        ("walk", "run"),
        samples(),
        RECORDED,
        fingerprint,
        train_heads,
        cache=cache,
        width=width,
    )


def test_outputs_equal_those_of_the_sources():
    sources = make_sources()
    bank = make_bank(sources)
    rows = torch.tensor([3, 0, 7])
    outputs = bank(rows)
    features, logits = sources[1].both((samples()[:, 1:] - 0.5) / 2)
    standardised = (features - features.mean(0)) / features.std(0, correction=0)
    assert torch.allclose(outputs.features[1], standardised[rows], atol=1e-5)
    assert torch.allclose(outputs.probabilities[:, 1], logits.softmax(-1)[rows][:, [1, 0]], atol=1e-6)


def test_mass_on_foreign_classes_is_missing():
    outputs = make_bank()(torch.arange(10))
    assert (outputs.known_mass[:, 0] < 1).all()
    assert torch.allclose(outputs.known_mass[:, 1], torch.ones(10))


def test_outputs_are_the_same_cached_or_not():
    first, second = make_bank(), make_bank()
    assert len(list((cache_folder() / "outputs").iterdir())) == 2
    rows = torch.arange(10)
    assert torch.equal(first(rows).probabilities, second(rows).probabilities)
    assert all(torch.equal(a, b) for a, b in zip(first(rows).features, second(rows).features, strict=True))


def test_sources_run_once_and_not_at_all_when_cached():
    sources = make_sources()
    bank = make_bank(sources)
    for _ in range(3):
        bank(torch.arange(4))
    assert sources[0].encoder.calls == 1
    make_bank(sources)
    assert sources[0].encoder.calls == 1
    make_bank(sources, fingerprint="others")
    assert sources[0].encoder.calls == 2


def test_half_the_digits_take_half_the_space_and_change_features_by_less_than_a_thousandth():
    rows = torch.arange(10)
    exact = make_bank()(rows)
    first, again = (make_bank(cache=CacheConfig(dtype="float16")) for _ in range(2))
    rounded = first(rows)
    assert torch.equal(rounded.probabilities, exact.probabilities)
    for near, true, read in zip(rounded.features, exact.features, again(rows).features, strict=True):
        assert near.dtype == torch.float32
        assert 0 < (near - true).abs().max() < 1e-3
        assert torch.equal(near, read)
    kept = [load_file(path)["features"] for path in (cache_folder() / "outputs").iterdir()]
    assert sorted(str(features.dtype) for features in kept) == ["torch.float16"] * 2 + ["torch.float32"] * 2
    assert torch.equal(make_bank()(rows).features[0], exact.features[0]), "the exact ones are still there"


def test_wide_features_are_narrowed_alike_when_stored_and_when_asked():
    rows = torch.arange(10)
    whole, narrow, again = make_bank(), make_bank(width=1), make_bank(width=1)
    assert (whole.feature_dims, narrow.feature_dims) == ((2, 2), (1, 1))
    asked = narrow.ask(samples())
    for wide, few, read, fresh in zip(
        whole(rows).features, narrow(rows).features, again(rows).features, asked.features, strict=True
    ):
        assert torch.equal(few, narrowed(wide, 1))
        assert torch.equal(few, read)
        torch.testing.assert_close(few, fresh)
    assert torch.equal(narrow(rows).probabilities, whole(rows).probabilities)


def test_what_is_no_wider_is_stored_once_whatever_the_width():
    for width in (0, 2, 64):
        make_bank(width=width)
    assert len(list((cache_folder() / "outputs").iterdir())) == 2


def test_heads_that_learn_read_features_as_they_are():
    assert make_bank(train_heads=True, width=1).feature_dims == (2, 2)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_features_on_disk_are_those_in_memory(dtype):
    rows = torch.tensor([3, 0, 7])
    mapped = make_bank(train_heads=True, cache=CacheConfig(map_above=0, dtype=dtype))
    held = make_bank(train_heads=True, cache=CacheConfig(dtype=dtype))
    assert (held.get_buffer("features").shape, mapped.get_buffer("features").shape) == ((10, 4), (10, 0))
    for one, other in zip(mapped(rows).features, held(rows).features, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(mapped(rows).probabilities, held(rows).probabilities)


@pytest.mark.parametrize("train_heads", [False, True])
def test_predictions_are_those_that_come_with_features(train_heads, monkeypatch):
    monkeypatch.setattr("hatlit.fusion.bank.ROWS_A_PASS", 4)
    bank, rows = make_bank(train_heads=train_heads), torch.tensor([3, 0, 7, 1, 2, 9])
    predictions = bank.predictions(rows)
    torch.testing.assert_close(predictions, bank(rows).probabilities.detach())
    assert not predictions.requires_grad


def test_some_features_may_be_on_disk_and_others_in_memory():
    class Wide(Noisy):
        def __init__(self, spec):
            super().__init__(spec)
            self.feature_dim, self.project = 3, nn.Linear(8 * spec.num_channels, 3)

    torch.manual_seed(0)
    rows = torch.tensor([3, 0, 7])
    for order in ((Noisy, Wide), (Wide, Noisy)):
        sources = [Classifier(order[0](RECORDED), 3), Classifier(order[1](SCALED), 2)]
        between = 10 * 2.5 * 4 / 1e6  # bytes of ten rows of two features, and of three
        some = make_bank(sources, cache=CacheConfig(map_above=between))
        assert some.get_buffer("features").shape == (10, 2)
        for one, other in zip(some(rows).features, make_bank(sources)(rows).features, strict=True):
            assert torch.equal(one, other)


def test_asking_about_training_rows_gives_what_is_stored():
    bank = make_bank()
    asked, stored = bank.ask(samples()), bank(torch.arange(10))
    assert torch.allclose(asked.probabilities, stored.probabilities, atol=1e-6)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(asked.features, stored.features, strict=True))


def test_sources_are_frozen_and_stay_in_eval_mode():
    sources = make_sources()
    bank = make_bank(sources)
    bank.train()
    assert not any(source.training for source in sources)
    assert not any(parameter.requires_grad for source in sources for parameter in source.parameters())
    assert list(bank.parameters()) == []
    assert bank.state_dict() == {}


def test_a_source_without_a_common_class_is_refused():
    with pytest.raises(InputError, match="do not overlap"):
        SourceBank(make_sources()[:1], ["a"], [("p", "q", "r")], ("walk",), samples(), RECORDED, "rows")


def test_learning_heads_start_at_the_sources_and_are_held_there():
    bank, frozen = make_bank(train_heads=True), make_bank()
    rows = torch.arange(10)
    assert torch.allclose(bank(rows).probabilities, frozen(rows).probabilities, atol=1e-5)
    assert float(bank.distance_to_start().detach()) == 0
    with torch.no_grad():
        bank.heads[0].bias += 1.0
    assert float(bank.distance_to_start().detach()) == pytest.approx(3.0)
    bank(rows).probabilities.square().sum().backward()
    assert all(parameter.grad is not None for parameter in bank.heads.parameters())
    assert set(bank.state_dict()) == {f"heads.{n}.{kind}" for n in (0, 1) for kind in ("weight", "bias")}
