"""Encoders of texts: hashed n-grams, convolutions and self-attention over the pieces of words.

None of them looks at padding, the number 0: what follows the end of a text, or was dropped from it, changes nothing but
by its absence.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hatlit.encoders.base import InputSpec, register_encoder
from hatlit.encoders.blocks import SIZES, Blocks, require_axes
from hatlit.encoders.series import Attention, sinusoids
from hatlit.errors import InputError

#: Tokenizers: numbers of words and of pairs of neighbouring words; numbers of pieces of words.
NGRAMS = "ngrams"
WORDPIECE = "wordpiece"

#: N-grams that the encoders of n-grams read of a text at the most: about 250 words.
MOST_NGRAMS = 512

#: Different values of a byte; 0 is padding.
_BYTES = 255
#: Rows, width and number of the tables of hashed n-grams.
_BAGS = {"nano": (2048, 2, 4), "tiny": (8192, 4, 2), "small": (8192, 8, 4), "base": (32768, 8, 4)}
#: What is looked up in a table is multiplied by this. An optimizer that takes steps of one size, as Adam does, then
#: learns a word in the few steps that a small domain allows.
_GAIN = 15.0
#: Standard deviation of a new table. What it draws for rare tokens is noise that training hardly touches.
_SPREAD = 0.005


@register_encoder("text", sizes=SIZES)
def ngrams(input_spec: InputSpec, size: str) -> nn.Module:
    """Sum of the embeddings of all words and pairs of words, hashed: the cheapest, the best with few texts.

    After Joulin, Grave, Bojanowski and Mikolov, "Bag of Tricks for Efficient Text Classification", arXiv 1607.01759.
    Needs no vocabulary. Nothing stands between its table and the head, so its features are few: 8, in the larger sizes
    32. The tiny size has 65,000 parameters.

    Raises:
        InputError: the view shows neither bytes nor n-grams.
    """
    rows, width, tables = _BAGS[size]
    spec = _tokens_of(input_spec, NGRAMS, bytes_a_token=2, most=MOST_NGRAMS)
    spec = spec.with_(vocabulary=())
    return Blocks(spec, width * tables, HashedBag(rows, width, tables))


@register_encoder("text", sizes=SIZES)
def cnn(input_spec: InputSpec, size: str) -> nn.Module:
    """Convolutions over pieces of words, then the mean and the maximum over the text.

    After Kim, "Convolutional Neural Networks for Sentence Classification", arXiv 1408.5882. Where the view brings no
    vocabulary it reads bytes.

    Raises:
        InputError: the view shows neither bytes nor pieces.
    """
    widths = {"nano": (8, 16), "tiny": (16, 32), "small": (64, 96, 96), "base": (192, 320, 320)}[size]
    spec = _pieces_of(input_spec, most=192)
    convolutions = [_Convolution(*step) for step in pairwise(widths)]
    return OverTokens(spec, 2 * widths[-1], _Embedding(spec, widths[0], widths[0]), *convolutions)


@register_encoder("text", sizes=SIZES)
def transformer(input_spec: InputSpec, size: str) -> nn.Module:
    """Self-attention between pieces of words, pre-norm, then the mean and the maximum over the text.

    After Vaswani et al., "Attention Is All You Need", arXiv 1706.03762, with a table narrower than the layers (Lan et
    al., "ALBERT", arXiv 1909.11942). Where the view brings no vocabulary it reads bytes.

    Raises:
        InputError: the view shows neither bytes nor pieces.
    """
    narrow, width, depth = {"nano": (8, 16, 1), "tiny": (16, 32, 1), "small": (48, 64, 2), "base": (128, 160, 4)}[size]
    spec = _pieces_of(input_spec, most=128)
    layers = [Attention(width, heads=2) for _ in range(depth)]
    return OverTokens(spec, 2 * width, _Embedding(spec, narrow, width, placed=True), *layers)


class OverTokens(Blocks):
    """Blocks in a row that turn views (B, 1, tokens) into features: the mean and the maximum over what is no padding.

    The first block embeds numbers (B, tokens); each other one maps states (B, tokens, width), and which of them are no
    padding (B, tokens), to states.
    """

    def forward(self, view: Tensor) -> Tensor:
        """Maps views (B, 1, tokens) to features (B, 2 * width)."""
        embed, *blocks = self
        numbers = view[:, 0]
        seen = numbers > 0
        states = embed(numbers)
        for block in blocks:
            states = block(states, seen)
        return torch.cat([masked_mean(states, seen), masked_max(states, seen)], dim=1)


class HashedBag(nn.Module):
    """Adds up the embeddings of all hashes in a view (B, 1, tokens), 0 being padding: (B, width * tables).

    Each hash has a row in each of several tables; two hashes that share one of them hardly ever share the others
    (Svenstrup, Hansen and Winther, "Hash Embeddings for Efficient Word Representations", arXiv 1709.03933). The sum is
    divided by the root of how many there are, so that short and long texts vary alike.

    Args:
        rows: of each table.
        width: of each table.
        tables: how many.
    """

    step: Tensor

    def __init__(self, rows: int, width: int, tables: int) -> None:
        super().__init__()
        self.rows = rows
        self.table = nn.Embedding(1 + rows * tables, width, padding_idx=0)
        _set_out(self.table)
        # Computed anew, so it is no part of the weights that a zoo stores.
        self.register_buffer("step", torch.tensor([rows**number for number in range(tables)]), persistent=False)

    def forward(self, view: Tensor) -> Tensor:
        numbers = view[:, 0, :, None]
        seen = (numbers > 0).long()
        first = 1 + self.rows * torch.arange(len(self.step), device=view.device)
        places = (numbers // self.step % self.rows + first) * seen  # (B, tokens, tables)
        return _GAIN * self.table(places).sum(1).flatten(1) / seen.sum((1, 2))[:, None].clamp(min=1).sqrt()


class _Embedding(nn.Module):
    """Looks numbers (B, tokens) up in a table and widens what it finds: (B, tokens, width)."""

    def __init__(self, spec: InputSpec, narrow: int, width: int, placed: bool = False) -> None:
        super().__init__()
        self.table = nn.Embedding(1 + (len(spec.vocabulary) or _BYTES), narrow, padding_idx=0)
        _set_out(self.table)
        self.widen = nn.Linear(narrow, width) if width != narrow else nn.Identity()
        position = _GAIN * _SPREAD * sinusoids(spec.shape[0], width) if placed else torch.zeros(1)
        self.register_buffer("position", position, persistent=False)

    def forward(self, numbers: Tensor) -> Tensor:
        return self.widen(_GAIN * self.table(numbers)) + self.position


class _Convolution(nn.Module):
    """A convolution over three neighbours and GELU; padding counts as nothing. (B, tokens, width) in and out."""

    def __init__(self, width: int, wanted: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, wanted, kernel_size=3, padding=1)

    def forward(self, states: Tensor, seen: Tensor) -> Tensor:
        there = (states * seen.unsqueeze(2)).transpose(1, 2)
        return F.gelu(self.convolution(there)).transpose(1, 2)


def masked_mean(states: Tensor, seen: Tensor) -> Tensor:
    """Mean (B, width) over those of the states (B, tokens, width) that are ``seen`` (B, tokens); 0 where none is."""
    weights = seen.to(states)
    return torch.einsum("btw,bt->bw", states, weights) / weights.sum(1, keepdim=True).clamp(min=1)


def masked_max(states: Tensor, seen: Tensor) -> Tensor:
    """Maximum (B, width) over those of the states (B, tokens, width) that are ``seen`` (B, tokens); 0 where none is."""
    largest = states.masked_fill(~seen.unsqueeze(2), -torch.inf).amax(1)
    return largest.masked_fill(~seen.any(1, keepdim=True), 0.0)


def _set_out(table: nn.Embedding) -> None:
    with torch.no_grad():
        table.weight.normal_(std=_SPREAD)[0] = 0.0


def _pieces_of(input_spec: InputSpec, most: int) -> InputSpec:
    """The view in which an encoder of pieces sees a text: its pieces, or its bytes where there is no vocabulary."""
    if input_spec.vocabulary:
        return _tokens_of(input_spec, WORDPIECE, bytes_a_token=3, most=most)
    require_text(input_spec, "byte")
    return input_spec.with_(shape=(min(input_spec.shape[0], 2 * most),))


def _tokens_of(input_spec: InputSpec, tokenizer: str, bytes_a_token: int, most: int) -> InputSpec:
    """The view in which an encoder sees a text as tokens of some kind; the view itself if it is of that kind."""
    if input_spec.axes == ("token",) and input_spec.tokenizer == tokenizer and input_spec.num_channels == 1:
        return input_spec
    return as_tokens(input_spec, tokenizer, min(most, -(-input_spec.shape[0] // bytes_a_token)))


def as_tokens(input_spec: InputSpec, tokenizer: str, num_tokens: int) -> InputSpec:
    """The view that shows as tokens what ``input_spec`` shows as bytes.

    Raises:
        InputError: it does not show bytes.
    """
    require_text(input_spec, "byte")
    return input_spec.with_(axes=("token",), tokenizer=tokenizer, shape=(num_tokens,))


def require_text(input_spec: InputSpec, axis: str) -> None:
    """Refuses a view that does not show one text over an axis.

    Raises:
        InputError: it has other axes, or several channels.
    """
    require_axes(input_spec, (axis,), 1)
    if input_spec.num_channels != 1:
        raise InputError(f"A text has one channel, not {input_spec.num_channels}.")
