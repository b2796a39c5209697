"""Models of the library ``transformers``, whatever they look at: loaded from a folder or the Hugging Face hub."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError, missing_library

T = TypeVar("T")

#: What a name on the hub never begins with.
_PATH_STARTS = ("/", ".", "~", "\\")

_NO_SAFETENSORS = "it has no weights in safetensors, and pickled ones are never loaded; save_pretrained converts them"
#: What a message of ``transformers`` contains, and what to say instead.
_REASONS = {
    "no file named model.safetensors": _NO_SAFETENSORS,
    "cannot be loaded with `safetensors`": _NO_SAFETENSORS,
    "deserializing": "its weights are damaged",
    "ignore_mismatched_sizes": "its weights have other sizes than its config.json says",
    "custom code": "it needs code of its own, which is never run",
    "couldn't connect": "the hub cannot be reached, and the local cache does not hold it",
}


class TransformerEncoder(nn.Module):
    """Holds a model of ``transformers`` and what ``Encoder`` asks for; ``forward`` is left to the modality.

    The model stays in evaluation mode, in training too: without dropout, random masks or left-out layers, so the
    features of a sample are the same at any time. Gradients flow as usual.

    Args:
        model: what ``load_transformer`` answers with.
        input_spec: the view it expects.
        feature_dim: width of a feature vector.
    """

    def __init__(self, model: nn.Module, input_spec: InputSpec, feature_dim: int) -> None:
        super().__init__()
        self.model = model.eval()
        self.input_spec = input_spec
        self.feature_dim = feature_dim

    def train(self, mode: bool = True) -> TransformerEncoder:
        super().train(mode)
        self.model.eval()
        return self


def use_up(encoder: nn.Module, view: Tensor) -> int:
    """Tries an encoder on a view; parameters that play no part in its features (for masks, say) are frozen.

    Returns:
        The width of its feature vectors.
    """
    features = encoder(view)
    features.sum().backward()
    for parameter in encoder.parameters():
        parameter.requires_grad_(parameter.grad is not None)
        parameter.grad = None
    return int(features.shape[1])


def load_transformer(path_or_id: str, pretrained: bool) -> tuple[nn.Module, Any]:
    """Loads a model in float32. No code and no pickle that lies beside the weights is ever run.

    Args:
        path_or_id: a folder as ``save_pretrained`` writes it, or a name on the hub.
        pretrained: whether the weights are loaded; they are random otherwise.

    Returns:
        The model and its ``transformers`` configuration.

    Raises:
        InputError: there is no such model, it does not come with weights in safetensors, or ``transformers`` cannot
            build it.
    """
    return fetch(path_or_id, partial(_load, pretrained=pretrained))


def fetch(path_or_id: str, load: Callable[[str, bool], T]) -> T:
    """Loads something that a folder or a name on the hub stands for, without a word on the terminal.

    What is on the hub is taken from the local cache where it is complete there, without asking the network.

    Args:
        path_or_id: a folder, or a name on the hub.
        load: does it with ``transformers``; its arguments are the place and whether only local files count.

    Raises:
        InputError: it did not succeed, for whatever reason.
    """
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise missing_library("transformers", "text") from error
    folder = Path(path_or_id).expanduser()
    if path_or_id.startswith(_PATH_STARTS) and not folder.is_dir():
        raise InputError(f"There is no folder '{path_or_id}' to load a model from.")
    with _silence():
        try:
            return load(str(folder), True) if folder.is_dir() else _from_hub(path_or_id, load)
        except Exception as error:  # transformers lets through whatever its parts raise
            raise _fault(path_or_id, folder.is_dir(), error) from error


def _from_hub(name: str, load: Callable[[str, bool], T]) -> T:
    try:
        return load(name, True)
    except OSError:  # something of it is not in the cache
        return load(name, False)


def _load(place: str, offline: bool, pretrained: bool) -> tuple[nn.Module, Any]:
    from transformers import AutoConfig, AutoModel

    # A configuration may name an attention kernel that would be fetched and run as code; "eager" overrules it.
    safe: dict[str, Any] = {"trust_remote_code": False, "attn_implementation": "eager", "dtype": torch.float32}
    config = AutoConfig.from_pretrained(place, trust_remote_code=False, local_files_only=offline)
    if not pretrained:
        return AutoModel.from_config(config, **safe), config
    model, report = AutoModel.from_pretrained(
        place, config=config, use_safetensors=True, local_files_only=offline, output_loading_info=True, **safe
    )
    if len(report["missing_keys"]) > len(model.state_dict()) / 2:
        raise ValueError("its weights belong to another model than its config.json describes")
    return model, config


def _fault(name: str, is_folder: bool, error: Exception) -> InputError:
    said = str(error) or type(error).__name__
    first_sentence = said.strip().partition("\n")[0].partition(". ")[0].rstrip(". ")
    reason = next((ours for theirs, ours in _REASONS.items() if theirs in said), first_sentence)
    start = f"The folder '{name}'" if is_folder else f"'{name}' is no folder, and as a model of the Hugging Face hub it"
    return InputError(f"{start} cannot be loaded: {reason}.")


@contextmanager
def _silence() -> Iterator[None]:
    """Keeps the messages and progress bars of ``transformers`` and of the hub off the terminal."""
    from huggingface_hub.utils import logging as hub
    from transformers.utils import logging as library

    levels, had_bars = (hub.get_verbosity(), library.get_verbosity()), library.is_progress_bar_enabled()
    hub.set_verbosity_error()
    library.set_verbosity_error()
    library.disable_progress_bar()  # those of the hub too
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        hub.set_verbosity(levels[0])
        library.set_verbosity(levels[1])
        if had_bars:
            library.enable_progress_bar()
