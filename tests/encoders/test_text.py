"""Every encoder of texts asks for a view that suits it, ignores padding, and learns; what it computes, by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hatlit.encoders.base import InputSpec, build_encoder, suits
from hatlit.encoders.blocks import SIZES
from hatlit.encoders.text import NGRAMS, WORDPIECE, HashedBag, masked_max, masked_mean
from hatlit.errors import InputError

FAMILIES = ("ngrams", "cnn", "transformer")
NAMES = [f"{family}_{size}" for family in FAMILIES for size in SIZES]
HASH = 0x1E3779B97F4A7C15  # spreads small numbers as hashes of words are spread
PIECES = ("[UNK]", *(f"piece{number}" for number in range(1999)))


def spec(length: int = 120, vocabulary: tuple[str, ...] = PIECES) -> InputSpec:
    return InputSpec(modality="text", channels=("utf8",), axes=("byte",), shape=(length,), vocabulary=vocabulary)


def views(encoder: torch.nn.Module, rows: int = 4, seen: int = 12, seed: int = 0, kinds: int = 200) -> Tensor:
    """Random tokens (rows, 1, tokens) of so many kinds, of which the first few are there."""
    view = encoder.input_spec.blank(rows)
    generator = torch.Generator().manual_seed(seed)
    view[..., :seen] = torch.randint(1, kinds, (rows, 1, seen), generator=generator)
    return view


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("vocabulary", [PIECES, ()], ids=["pieces", "bytes"])
def test_asks_for_a_view_and_keeps_it(name: str, vocabulary: tuple[str, ...]) -> None:
    encoder = build_encoder(name, spec(vocabulary=vocabulary))
    assert build_encoder(name, encoder.input_spec).input_spec == encoder.input_spec
    assert encoder(views(encoder)).shape == (4, encoder.feature_dim)


def test_what_each_family_reads() -> None:
    ngrams, cnn = (build_encoder(name, spec()).input_spec for name in ("ngrams_nano", "cnn_nano"))
    assert (ngrams.axes, ngrams.tokenizer, ngrams.shape, ngrams.vocabulary) == (("token",), NGRAMS, (60,), ())
    assert (cnn.axes, cnn.tokenizer, cnn.shape, cnn.vocabulary) == (("token",), WORDPIECE, (40,), PIECES)
    without = build_encoder("cnn_nano", spec(vocabulary=())).input_spec
    assert (without.axes, without.tokenizer, without.shape) == (("byte",), "", (120,))


@pytest.mark.parametrize("name", NAMES)
def test_a_long_text_is_cut_to_a_bounded_view(name: str) -> None:
    for vocabulary in (PIECES, ()):
        assert build_encoder(name, spec(100_000, vocabulary)).input_spec.shape[0] <= 512


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_grow(family: str, num_parameters: Callable[..., int]) -> None:
    counts = [num_parameters(build_encoder(f"{family}_{size}", spec())) for size in SIZES]
    assert counts == sorted(set(counts))
    assert counts[0] < 20_000
    assert counts[-1] < 1_500_000


@pytest.mark.parametrize("name", NAMES)
def test_padding_has_no_say(name: str) -> None:
    short, long = (build_encoder(name, spec(length)) for length in (120, 240))
    long.load_state_dict(short.state_dict())
    view = views(short)
    longer = long.input_spec.blank(len(view))
    longer[..., : view.shape[2]] = view
    torch.testing.assert_close(short(view), long(longer), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_text_has_features_and_finite_gradients(name: str) -> None:
    encoder = build_encoder(name, spec())
    features = encoder(encoder.input_spec.blank(2))
    assert features.isfinite().all()
    (features.sum() + encoder(views(encoder)).sum()).backward()
    assert all(one.grad.isfinite().all() for one in encoder.parameters() if one.grad is not None)


@pytest.mark.parametrize("name", [f"{family}_nano" for family in FAMILIES])
def test_the_order_of_tokens_counts_unless_they_are_a_bag(name: str) -> None:
    encoder = build_encoder(name, spec())
    view = views(encoder, seen=12)
    turned = view.clone()
    turned[..., :12] = view[..., :12].flip(2)
    same = torch.allclose(encoder(view), encoder(turned), rtol=1e-4, atol=1e-6)
    assert same == name.startswith("ngrams")


@pytest.mark.parametrize("name", [f"{family}_nano" for family in FAMILIES])
def test_learns_which_words_stand_for_which_class(name: str, accuracy_after_learning: Callable[..., float]) -> None:
    def texts(seed: int) -> tuple[Tensor, Tensor]:
        view = views(build_encoder(name, spec()), rows=120, seen=10, seed=seed, kinds=20)
        label = torch.arange(len(view)) % 3
        view[:, 0, 4] = 300 + label  # one telling word among nine that tell nothing
        return (view * HASH % 2**62 if name.startswith("ngrams") else view), label

    assert accuracy_after_learning(name, spec(), texts(0), texts(1)) > 0.9


@pytest.mark.parametrize("family", FAMILIES)
def test_refuses_what_is_no_text(family: str) -> None:
    name = f"{family}_nano"
    for wrong in (
        spec().with_(axes=("time",)),
        spec().with_(channels=("one", "two")),
        spec().with_(axes=("token",), tokenizer="another"),
        spec(vocabulary=()).with_(axes=("token",)),
    ):
        with pytest.raises(InputError):
            build_encoder(name, wrong)
        assert not suits(name, wrong)


def test_suits_a_recording_without_a_vocabulary() -> None:
    assert all(suits(name, spec(vocabulary=())) for name in NAMES)


def test_hashed_bag_by_hand() -> None:
    bag = HashedBag(rows=10, width=1, tables=2)
    weight = torch.zeros(21, 1)
    weight[1 + 7], weight[1 + 10 + 4] = 2.0, 3.0  # number 47 has row 7 in the first table and row 4 in the second
    weight[1 + 5], weight[1 + 10 + 0] = 1.0, 10.0  # number 5 has rows 5 and 0
    bag.load_state_dict({"table.weight": weight})
    sums = bag(torch.tensor([[[47, 5, 0, 0]]]))
    alone = bag(torch.tensor([[[47, 0, 0, 0]]]))
    torch.testing.assert_close(sums / sums[0, 0], torch.tensor([[1.0, 13.0 / 3.0]]))
    torch.testing.assert_close(alone / sums, torch.tensor([[2.0, 3.0]]) / torch.tensor([[3.0, 13.0]]) * 2**0.5)
    assert torch.equal(bag(torch.zeros(1, 1, 4, dtype=torch.int64)), torch.zeros(1, 2))


def test_numbers_that_share_a_row_in_one_table_are_told_apart_by_the_other() -> None:
    torch.manual_seed(0)
    bag = HashedBag(rows=10, width=3, tables=2)
    one, other = (bag(torch.tensor([[[number]]]))[0] for number in (47, 57))
    assert torch.equal(one[:3], other[:3])
    assert not torch.allclose(one[3:], other[3:])


def test_masked_mean_and_max_by_hand() -> None:
    states = torch.tensor([[[1.0, -5.0], [3.0, -1.0], [100.0, 100.0]], [[7.0, 7.0]] * 3])
    seen = torch.tensor([[True, True, False], [False, False, False]])
    assert masked_mean(states, seen).tolist() == [[2.0, -3.0], [0.0, 0.0]]
    assert masked_max(states, seen).tolist() == [[3.0, -1.0], [0.0, 0.0]]
