"""What one run came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from torch import Tensor

from hatlit.datamodules.base import DomainSet
from hatlit.experiments.environment import versions
from hatlit.experiments.measure import Quality, quality
from hatlit.methods.base import TransferMethod, TransferTask
from hatlit.selection.protocol import Selection
from hatlit.stopwatch import Stopwatch

#: What a result says about quality; each None where the target has no test part.
SCORES = tuple(field.name for field in fields(Quality))

#: What a result says about the view of a student.
SHOWN_OF_A_VIEW = ("modality", "channels", "axes", "shape", "rate", "tokenizer")


@dataclass(frozen=True)
class Outcome:
    """What one method came to on one target.

    Attributes:
        method: trained.
        quality: of its student on the test part, None where the target has none.
        label: (N,) classes of the test samples, None where there are none.
        predicted: (N, K) probabilities that it gives them.
        fused: (N, K) predictions of the mixer, None for methods that have no mixer.
        weights: (N, method.weighed) weights of the mixer, None for methods that have none.
    """

    method: TransferMethod
    quality: Quality | None = None
    label: Tensor | None = None
    predicted: Tensor | None = None
    fused: Tensor | None = None
    weights: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """What ``predictions.safetensors`` holds, sample by sample of the test part."""
        kept = {"label": self.label, "predicted": self.predicted, "fused": self.fused, "weights": self.weights}
        return {name: tensor.contiguous() for name, tensor in kept.items() if tensor is not None}


def result_of(
    data: DomainSet,
    task: TransferTask,
    outcome: Outcome,
    plain: Outcome | None,
    selection: Selection | None,
    clock: Stopwatch,
) -> dict[str, Any]:
    """What ``result.json`` holds.

    Args:
        data: the domains in the student's modality.
        task: what the method was given.
        outcome: what it came to.
        plain: what labels alone came to, None where that was not tried.
        selection: of the sources, None where the method asks none.
        clock: seconds of each stage.
    """
    config, method, models = task.config, outcome.method, outcome.method.models()
    mixer = None
    if outcome.fused is not None and outcome.label is not None:
        mixer = quality(outcome.fused, outcome.label)
    return {
        "method": config.method,
        "target": task.target.domain.name,
        "labels": len(task.target.split.labelled),
        **(asdict(outcome.quality) if outcome.quality else dict.fromkeys(SCORES)),
        "labels_only": asdict(plain.quality) if plain and plain.quality else None,
        "mixer": asdict(mixer) if mixer else None,
        "bytes": selection.traffic.as_dict() if selection else None,
        "seconds": clock.rounded(),
        "modality": config.modality,
        "data": data.name,
        "is_demo": data.is_demo,
        "seed": config.seed,
        "classes": list(task.target.class_names),
        "training_samples": len(task.target.split.train),
        "test_samples": len(task.target.split.test),
        "sources": [source.id for source in task.sources],
        "weighed": list(method.weighed),
        "suspicious": [{"source": source, "reason": reason} for source, reason in method.suspicious().items()],
        "student": {
            "encoder": _encoder_of(task, method),
            "view": method.view.model_dump(mode="json", include=set(SHOWN_OF_A_VIEW)),
            "parameters": sum(parameter.numel() for model in models for parameter in model.parameters()),
            "bytes": sum(value.numel() * value.element_size() for one in models for value in one.state_dict().values()),
        },
        "labels_fingerprint": task.target.labels_fingerprint,
        "versions": versions(),
    }


def _encoder_of(task: TransferTask, method: TransferMethod) -> str:
    """The architecture, or architectures, that predict in the end."""
    if method.leaves == "student":
        return task.student_encoder
    return task.sources[0].encoder if method.leaves == "source" else "+".join(one.encoder for one in task.sources)
