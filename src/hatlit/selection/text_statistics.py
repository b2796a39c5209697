"""What a domain of texts publishes: its bytes are no measurements, so the statistics of texts are their own."""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hatlit.datamodules.text import texts_of
from hatlit.datamodules.tokenizers import words
from hatlit.encoders.base import InputSpec
from hatlit.selection.statistics import NUM_KERNELS, register_statistics

#: Numbers that each word is counted under one of.
WORD_BINS = 64

EMBEDDING_WIDTH = 8
KERNEL_LENGTHS = (2, 3, 4, 6)  # bytes: pieces of words up to short words

_KINDS = (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"0123456789", b".,;:!?'\"()-", b" \n\t")


@register_statistics("handcrafted", "text")
def handcrafted(samples: Tensor, spec: InputSpec, seed: int) -> Tensor:
    """Length, shares of capitals, digits, punctuation and white space, mean length of a word, and word frequencies.

    Maps bytes (N, 1, length) to (N, 6 + 64). Words are counted in 64 bins, each under a checksum that everyone
    computes alike, as shares of all words of the text.
    """
    rows = [_describe(text) for text in texts_of(samples)]
    return torch.from_numpy(np.stack(rows)).float()


@register_statistics("random_kernels", "text")
def random_kernels(samples: Tensor, spec: InputSpec, seed: int) -> Tensor:
    """Largest answer and share of positive answers of 200 fixed random convolutions over randomly embedded bytes.

    Maps bytes (N, 1, length) to (N, 400): all maxima, then all shares. Every byte gets eight random numbers, the same
    for capitals as for small letters; kernels of two to six bytes answer to parts of words. Padding has no say.
    """
    # numpy promises that RandomState draws the same numbers in every version, which it does not of its Generator.
    random = np.random.RandomState(seed)
    table = random.standard_normal((256, EMBEDDING_WIDTH)).astype(np.float32)
    table[65:91] = table[97:123]
    numbers = samples[:, 0].long()
    embedded = torch.from_numpy(table)[numbers].transpose(1, 2) / math.sqrt(EMBEDDING_WIDTH)
    maxima, shares = [], []
    for length in KERNEL_LENGTHS:
        form = (NUM_KERNELS // len(KERNEL_LENGTHS), EMBEDDING_WIDTH, length)
        kernels = torch.from_numpy(random.standard_normal(form).astype(np.float32)) / math.sqrt(length)
        padded = F.pad(embedded, (0, length - 1))
        answers = F.conv1d(padded, kernels)
        seen = (numbers > 0).unsqueeze(1)
        seen = seen | ~seen.any(2, keepdim=True)  # an empty text answers like one of zeros
        maxima.append(answers.masked_fill(~seen, -torch.inf).amax(2))
        shares.append(((answers > 0) & seen).sum(2) / seen.sum(2))
    return torch.cat([*maxima, *shares], 1)


def _describe(text: bytes) -> np.ndarray:
    found = words(text)
    length = max(1, len(text))
    shares = [sum(text.count(bytes([one])) for one in kind) / length for kind in _KINDS]
    bins = np.bincount([zlib.crc32(word) % WORD_BINS for word in found] or [0], minlength=WORD_BINS)
    word_length = sum(map(len, found)) / max(1, len(found))
    return np.array([math.log1p(len(text)), *shares, word_length, *(bins / max(1, len(found)))])
