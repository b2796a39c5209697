"""A target from arrays in memory: samples of which few have labels, and none is held out for a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import ValidationError
from torch import Tensor

from hatlit.datamodules.base import MODALITIES, Domain
from hatlit.datamodules.split import Split
from hatlit.datamodules.target.data import TargetData
from hatlit.datamodules.text import common_length, pad_texts, recorded_form
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.types import UNLABELLED

#: Samples in memory: (N, channels, *shape), or N texts.
Samples = np.ndarray | Tensor | Sequence[str]

#: The options of data by which a run on samples in memory is known: what is read from a file of arrays has its path.
IN_MEMORY = {"name": "arrays", "root": None}

#: The labelled few: class names by row, or one a row with None where the class is not known.
FewLabels = Mapping[int, str] | Sequence[str | None] | np.ndarray


def target_of(
    samples: Samples,
    labels: FewLabels,
    modality: str = "imu",
    *,
    name: str = "target",
    rate: float | None = None,
    channels: Sequence[str] = (),
    axes: Sequence[str] = (),
) -> TargetData:
    """Makes a target of arrays in memory. Every sample trains; whoever wants to measure holds samples back.

    Args:
        samples: (N, channels, *shape) as recorded, in any number type, or N texts.
        labels: the labelled few, as class names: ``{row: name}``, or N names with None where the class is not known.
            The student knows the classes that occur here, and sources are asked about them by name.
        modality: what the samples are.
        name: of the new domain; a source that was trained on a domain of this name is not asked.
        rate: samples per second (Hz), where time has a meaning.
        channels: names of the channels, by which sources find theirs; without them, the modality's usual ones.
        axes: what the axes behind the channels are; without it, what the modality takes so many axes for.

    Raises:
        InputError: the samples are not laid out so or not finite, a label belongs to no row, or there is none.

    Example:
        >>> import numpy as np
        >>> windows = np.random.default_rng(0).normal(size=(40, 3, 64))
        >>> target = target_of(windows, {0: "walk", 7: "run"}, "imu", rate=50.0, channels=["x", "y", "z"])
        >>> target.class_names, len(target.split.labelled)
        (('run', 'walk'), 2)
    """
    rows, recorded = _recorded(samples, modality, rate, tuple(channels), tuple(axes))
    known = _known(labels, len(rows))
    class_names = tuple(sorted(set(known.values())))
    numbers = np.full(len(rows), UNLABELLED, dtype=np.int64)
    for row, label in known.items():
        numbers[row] = class_names.index(label)
    every = np.arange(len(rows))
    domain = Domain(name, rows, numbers, every, recorded, class_names)
    return TargetData(domain, Split(every, every[:0], np.flatnonzero(numbers != UNLABELLED)))


def _recorded(
    samples: Samples, modality: str, rate: float | None, channels: tuple[str, ...], axes: tuple[str, ...]
) -> tuple[np.ndarray, InputSpec]:
    form = MODALITIES.get(modality)
    if not isinstance(samples, np.ndarray | Tensor) and modality == "text":
        texts = [text.encode() for text in samples]
        samples = pad_texts(texts, common_length(texts))
        return samples, recorded_form(samples.shape[2])
    array = samples.detach().cpu().numpy() if isinstance(samples, Tensor) else np.asarray(samples)
    if array.dtype.kind not in "fiu" or array.ndim < 3 or not array.size:
        raise InputError(
            f"The samples are an array of {array.dtype} and shape {array.shape}; they must be numbers over rows, "
            "channels and at least one more axis."
        )
    with np.errstate(over="ignore"):  # what overflows float32 is as useless as an infinity
        if not np.isfinite(array.astype(np.float32, copy=False)).all():
            raise InputError("The samples hold numbers that are not finite; leave such samples out, or fill them.")
    axes = axes or form.axes_of(array.ndim - 2) or ()
    if axes not in form.layouts or len(axes) != array.ndim - 2:
        known = " or ".join(" x ".join(("rows", "channels", *layout)) for layout in form.layouts)
        raise InputError(f"The samples have shape {array.shape}; {modality} samples are {known}.")
    count = array.shape[1]
    channels = channels or form.usual_channels.get(count) or tuple(f"channel_{number}" for number in range(count))
    if len(channels) != count:
        raise InputError(f"There are {len(channels)} names for the {count} channels of the samples; give each one.")
    try:
        return array, InputSpec(modality=modality, channels=channels, shape=array.shape[2:], axes=axes, rate=rate)
    except ValidationError as error:
        raise InputError(f"No view can be built of the samples ({error.errors()[0]['msg']}).") from error


def _known(labels: FewLabels, count: int) -> dict[int, str]:
    """Class names by row."""
    if not isinstance(labels, Mapping):
        if len(labels) != count:
            raise InputError(f"There are {len(labels)} labels for {count} samples; give each one, None where unknown.")
        labels = {row: label for row, label in enumerate(labels) if label is not None}
    if not labels:
        raise InputError("No sample has a label; label at least one of each class.")
    for row, label in labels.items():
        if not isinstance(label, str) or not label:
            raise InputError(f"The label of row {row} is {label!r}; labels are names of classes, as the sources have.")
        if not 0 <= row < count:
            raise InputError(f"A label belongs to row {row}, but the {count} samples count from 0 to {count - 1}.")
    return {int(row): str(label) for row, label in labels.items()}
