"""Any text model of the library ``transformers`` as an encoder."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from hatlit.encoders.base import InputSpec, register_family
from hatlit.encoders.text import as_tokens, masked_mean
from hatlit.encoders.transformers_loading import TransformerEncoder, fetch, load_transformer
from hatlit.errors import InputError

FAMILY = "hf"

#: Tokens that a model reads of a text at the most, where it could read more.
MOST_TOKENS = 256

# Models that count positions from behind the padding's number (RoBERTa) have two less than they say.
_SPARE_POSITIONS = 2


@register_family("text", FAMILY)
def hf(input_spec: InputSpec, model: str, pretrained: bool) -> TextTransformer:
    """Any text model of transformers, by folder or name on the Hugging Face hub: the mean of its last hidden states.

    The mean is over the tokens of the text, as in Reimers and Gurevych, "Sentence-BERT", arXiv 1908.10084. What the
    tokenizer reads is part of the model, so its folder must hold the tokenizer's files.

    Args:
        input_spec: the view that is there to be seen.
        model: a folder as ``save_pretrained`` writes it, or a name on the hub.
        pretrained: whether the weights are loaded; they are random otherwise.

    Raises:
        InputError: the library is not installed, there is no such model, it cannot read texts, or the view shows
            neither bytes nor this model's tokens.
    """
    network, config = load_transformer(model, pretrained)
    spec = _tokens_of(input_spec, model, config)
    if len(load_tokenizer(model)) > getattr(config, "vocab_size", 0):
        raise InputError(f"The model '{model}' does not know all tokens of its tokenizer; it cannot read texts.")
    try:
        return TextTransformer(network, spec)
    except Exception as error:  # what a model raises that is not for texts is its own affair
        raise InputError(f"The model '{model}' cannot be asked for the features of a text: {error}") from error


class TextTransformer(TransformerEncoder):
    """A transformers model without its head; fulfils ``Encoder``.

    Args:
        model: answers token numbers and an attention mask with ``last_hidden_state`` (B, tokens, feature_dim).
        input_spec: tokens one higher than the model counts them; 0 is padding.
    """

    def __init__(self, model: nn.Module, input_spec: InputSpec) -> None:
        reader = model.get_encoder() if model.config.is_encoder_decoder else model  # type: ignore[operator, union-attr]
        unused = getattr(reader, "pooler", None)
        if isinstance(unused, nn.Module):
            unused.requires_grad_(False)
        super().__init__(reader, input_spec, feature_dim=1)
        with torch.no_grad():
            self.feature_dim = self(input_spec.blank(1)).shape[1]

    def forward(self, view: Tensor) -> Tensor:
        """Maps views (B, 1, tokens) to features (B, feature_dim)."""
        numbers = view[:, 0]
        seen = numbers > 0
        states = self.model(input_ids=(numbers - 1).clamp(min=0), attention_mask=seen.long()).last_hidden_state
        return masked_mean(states, seen)


@lru_cache(maxsize=8)
def load_tokenizer(path_or_id: str) -> Any:
    """Loads the tokenizer of a transformers model. No code that lies beside it is ever run.

    Raises:
        InputError: there is none, or the library is not installed.
    """
    tokenizer = fetch(path_or_id, _load_tokenizer)
    if len(tokenizer) <= len(tokenizer.all_special_ids):  # what is made up where the files are missing
        raise InputError(f"'{path_or_id}' comes without a tokenizer; save it beside the model with save_pretrained.")
    return tokenizer


def _load_tokenizer(place: str, offline: bool) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(place, trust_remote_code=False, local_files_only=offline)


def _tokens_of(input_spec: InputSpec, model: str, config: Any) -> InputSpec:
    tokenizer = f"{FAMILY}:{model}"
    if input_spec.axes == ("token",) and input_spec.tokenizer == tokenizer and input_spec.num_channels == 1:
        return input_spec
    if len(tokenizer) > 256:
        raise InputError(f"The name '{model}' is longer than a card can hold; give a shorter path.")
    positions = getattr(config, "max_position_embeddings", None) or MOST_TOKENS + _SPARE_POSITIONS
    readable = max(1, min(MOST_TOKENS, positions - _SPARE_POSITIONS))
    return as_tokens(input_spec, tokenizer, min(readable, -(-input_spec.shape[0] // 2))).with_(vocabulary=())
