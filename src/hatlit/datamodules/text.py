"""Views and augmentation of texts.

A recorded text is its UTF-8 bytes, and zeros behind it up to the length of the longest. A view shows those bytes, or
the tokens that a tokenizer makes of them; in both 0 is padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hatlit.datamodules.augment import Chance
from hatlit.datamodules.base import MODALITIES, Modality
from hatlit.datamodules.tokenizers import token_numbers, train_pieces
from hatlit.encoders.base import InputSpec
from hatlit.encoders.text import require_text
from hatlit.errors import InputError

CHANNEL = "utf8"

#: Bytes that are kept of a text at the most.
LONGEST = 2048

#: Statistics are computed on this many bytes of a text at the most.
SUMMARY_BYTES = 512

#: Share of the words or tokens that ``augment`` takes out of a view.
DROPPED = 0.1

_SPACE = 32


def view(samples: Tensor, recorded: InputSpec, wanted: InputSpec) -> Tensor:
    """Shows recorded texts the way a model wants to see them.

    Args:
        samples: (B, 1, length) bytes, in any number type.
        recorded: how they were recorded.
        wanted: over bytes, or over the tokens of its tokenizer. What is longer loses its end.

    Returns:
        (B, 1, wanted length) int64: the bytes, or numbers of tokens from 1 on; 0 is padding.

    Raises:
        InputError: the recording or the model does not look at one text over bytes or tokens, nobody knows the
            tokenizer, or a library that it needs is not installed.
    """
    require_text(recorded, "byte")
    (length,) = wanted.shape
    if wanted.axes == ("token",):
        numbers = token_numbers(texts_of(samples), wanted.tokenizer, wanted.vocabulary, length)
        return torch.from_numpy(_pad(numbers, length, np.int64)).unsqueeze(1).to(samples.device)
    require_text(wanted, "byte")
    return F.pad(samples[..., :length].long(), (0, max(0, length - samples.shape[-1])))


def augment(views: Tensor, spec: InputSpec, generator: torch.Generator) -> Tensor:
    """Returns copies of views from which some words are missing; padding stays padding.

    Of tokens each is dropped with probability ``DROPPED``: it becomes padding. Of bytes each word is: its bytes become
    spaces. After Iyyer, Manjunatha, Boyd-Graber and Daumé, "Deep Unordered Composition Rivals Syntactic Methods for
    Text Classification", ACL 2015.

    Args:
        views: (B, 1, length) int64.
        spec: their form.
        generator: the only source of randomness.
    """
    dropped = Chance(views.float(), generator).uniform(0, 1, *views.shape) < DROPPED
    if spec.axes == ("token",):
        return views.masked_fill(dropped, 0)
    letters = views > _SPACE
    starts = letters & ~F.pad(letters[..., :-1], (1, 0))
    word = starts.long().cumsum(2).clamp(min=1) - 1  # each word has the fate that was drawn for its number
    return views.masked_fill(dropped.gather(2, word) & letters, _SPACE)


def fit(samples: np.ndarray, recorded: InputSpec) -> InputSpec:
    """Returns the recorded form with a vocabulary of pieces learned from samples (N, 1, length).

    Without the library ``tokenizers`` there is none, and encoders of pieces read bytes.
    """
    return recorded.with_(vocabulary=train_pieces(texts_of(samples)))


def summary_view(spec: InputSpec) -> InputSpec:
    """The same view of no more than the first ``SUMMARY_BYTES``: enough to tell one domain's manner from another's."""
    return spec.with_(shape=(min(spec.shape[0], SUMMARY_BYTES),))


def texts_of(samples: Tensor | np.ndarray) -> list[bytes]:
    """The texts in samples (N, 1, length), without the padding."""
    rows = np.asarray(samples.cpu() if isinstance(samples, Tensor) else samples).astype(np.uint8)
    return [row.tobytes().rstrip(b"\0") for row in rows]


def pad_texts(texts: Sequence[bytes], length: int) -> np.ndarray:
    """Lays texts out as samples (N, 1, length) uint8.

    What is longer is cut between two characters. A zero within a text, which would end it, becomes a space.
    """
    cut = [_cut(text.replace(b"\0", b" "), length) for text in texts]
    return _pad([np.frombuffer(text, dtype=np.uint8) for text in cut], length, np.uint8)[:, None]


def from_offsets(utf8: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Lays out texts that stand one after another: (N, 1, length) uint8, as long as the longest or ``LONGEST``.

    Args:
        utf8: (bytes,) uint8.
        offsets: (N + 1,) ascending whole numbers: text n is ``utf8[offsets[n]:offsets[n + 1]]``.

    Raises:
        InputError: the offsets do not part the bytes into texts.
    """
    if utf8.ndim != 1 or utf8.dtype != np.uint8:
        raise InputError(f"The bytes of texts are one row of uint8, not {utf8.dtype} of shape {utf8.shape}.")
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or len(offsets) < 2:
        raise InputError("The offsets of texts are whole numbers, one more than there are texts.")
    offsets = offsets.astype(np.int64)
    if offsets[0] != 0 or offsets[-1] != len(utf8) or (np.diff(offsets) < 0).any():
        raise InputError("The offsets of texts must ascend from 0 to the number of bytes.")
    data = utf8.tobytes()
    texts = [data[start:end] for start, end in pairwise(offsets)]
    return pad_texts(texts, common_length(texts))


def groups_of_texts(texts: Sequence[bytes], domain: np.ndarray) -> np.ndarray:
    """Numbers (N,) that equal texts of one domain share, so that no split learns one and tests the other.

    Args:
        texts: N texts.
        domain: (N,) number of the domain of each.
    """
    numbers: dict[tuple[bytes, int], int] = {}
    return np.array([numbers.setdefault(one, len(numbers)) for one in zip(texts, domain.tolist(), strict=True)])


def common_length(texts: Sequence[bytes]) -> int:
    """How long samples must be to hold texts: as long as the longest, in steps of 16, or ``LONGEST``."""
    return min(LONGEST, 16 * max(1, -(-max(map(len, texts), default=0) // 16)))


def recorded_form(length: int) -> InputSpec:
    """How samples (N, 1, length) of texts are laid out."""
    return InputSpec(modality="text", channels=(CHANNEL,), axes=("byte",), shape=(length,))


def _cut(text: bytes, length: int) -> bytes:
    if len(text) > length:
        # The bytes of a character behind its first have the highest bits 10.
        while length and text[length] & 0xC0 == 0x80:
            length -= 1
    return text[:length]


def _pad(rows: Sequence[np.ndarray], length: int, dtype: type) -> np.ndarray:
    padded: np.ndarray = np.zeros((len(rows), length), dtype=dtype)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    return padded


MODALITIES.add(
    "text",
    Modality(
        view=view,
        augment=augment,
        fit=fit,
        layouts=(("byte",),),
        usual_channels={1: (CHANNEL,)},
        summary_view=summary_view,
    ),
)
