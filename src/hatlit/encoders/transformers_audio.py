"""Any model of the library ``transformers`` that listens, as an encoder of waveforms."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from hatlit.encoders.base import InputSpec, register_family
from hatlit.encoders.blocks import require_axes
from hatlit.encoders.transformers_loading import TransformerEncoder, fetch, load_transformer, use_up
from hatlit.errors import InputError

WAVEFORM_RATE = 16_000.0  # Hz, of what all models of waveforms have heard
_LEVEL = 0.1  # of full scale, root mean square: how loud speech usually is

#: Maps waveforms (B, time) to what a model takes.
Preparation = Callable[[Tensor], Tensor]


class HearingTransformer(TransformerEncoder):
    """A model that listens; its answers are averaged over the time that the sound takes.

    Args:
        model: answers with ``last_hidden_state`` (B, frames, feature_dim) and, where it sums up by itself, with
            ``pooler_output`` (B, feature_dim).
        input_spec: a waveform at the rate of the model.
        prepare: makes what the model takes.
        seconds: of sound that the model always takes, whatever there is; None where it takes what there is.
    """

    def __init__(
        self, model: nn.Module, input_spec: InputSpec, prepare: Preparation, seconds: float | None = None
    ) -> None:
        super().__init__(model, input_spec, feature_dim=1)
        self._prepare, self._seconds = prepare, seconds
        self.feature_dim = use_up(self, input_spec.blank(1))

    def forward(self, view: Tensor) -> Tensor:
        """Maps waveforms (B, channels, time) to features (B, feature_dim); several channels are heard as their mean."""
        answer = self.model(self._prepare(standardise(view.mean(1))))
        pooled = getattr(answer, "pooler_output", None)
        if pooled is not None:
            return pooled
        frames = answer.last_hidden_state
        return frames[:, : self._heard(frames.shape[1])].mean(1)

    def _heard(self, frames: int) -> int:
        """How many of the frames are not padding."""
        rate = self.input_spec.rate
        if self._seconds is None or rate is None:
            return frames
        return min(frames, math.ceil(frames * self.input_spec.shape[0] / (rate * self._seconds)))


@register_family("audio", "hf")
def hf(input_spec: InputSpec, path_or_id: str, pretrained: bool) -> nn.Module:
    """Any model of sound of the library transformers, from a folder or the Hugging Face hub.

    Models of waveforms (wav2vec 2.0, HuBERT, WavLM and their like) and models of spectrograms that come with their
    feature extractor (Whisper's encoder, the Audio Spectrogram Transformer). The view asks for their rate.

    Raises:
        InputError: the model cannot be loaded, is none of sound, or the view is no waveform with a rate.
    """
    require_axes(input_spec, ("time",), 1)
    model, config = load_transformer(path_or_id, pretrained)
    if getattr(model, "main_input_name", "") not in ("input_values", "input_features"):
        raise InputError(f"'{path_or_id}' is no model of sound.")
    if hasattr(config, "inputs_to_logits_ratio") and model.main_input_name == "input_values":
        options: dict[str, Any] = {"prepare": nn.Identity()}
        wanted = at_rate(input_spec, WAVEFORM_RATE)
    else:
        extractor = fetch(path_or_id, _load_extractor)
        options = {"prepare": partial(_spectrograms, extractor), "seconds": getattr(extractor, "chunk_length", None)}
        wanted = at_rate(input_spec, float(extractor.sampling_rate))
    listener = model.get_encoder() if config.is_encoder_decoder else model  # type: ignore[operator]
    try:
        return HearingTransformer(listener, wanted, **options)
    except Exception as error:  # what a model raises at a view that does not suit it is its own affair
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InputError(
            f"The model '{path_or_id}' cannot listen to {wanted.shape[0]} samples at {wanted.rate:g} Hz: {reason}."
        ) from error


def at_rate(spec: InputSpec, rate: float) -> InputSpec:
    """A view of waveforms at another rate that lasts as long.

    Raises:
        InputError: its rate is unknown.
    """
    if spec.rate is None:
        raise InputError("A model of sound needs to know the sampling rate of the recording, and this one has none.")
    return spec.with_(rate=rate, shape=(math.ceil(spec.shape[0] * rate / spec.rate - 1e-6),))


def standardise(waveforms: Tensor) -> Tensor:
    """Gives each waveform (B, time) mean 0 and variance 1; silence stays silence."""
    centred = waveforms - waveforms.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True) + 1e-7).sqrt()


def _load_extractor(place: str, offline: bool) -> Any:
    from transformers import AutoFeatureExtractor

    return AutoFeatureExtractor.from_pretrained(place, trust_remote_code=False, local_files_only=offline)


def _spectrograms(extractor: Any, waveforms: Tensor) -> Tensor:
    """What the extractor that belongs to a model makes of standardised waveforms (B, time)."""
    rows = list((_LEVEL * waveforms.detach()).cpu().numpy())
    made = extractor(rows, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    return made[extractor.model_input_names[0]].to(waveforms)
