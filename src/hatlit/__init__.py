"""hatlit: expand a fleet of learned models to a new domain.

Select the few sources worth asking, fuse their predictions sample by sample, distil a student that fits the device:

    student = hatlit.expand("zoo", samples, labels={0: "walk", 7: "run"})
    student.predict(samples).labels

docs/python-api.md shows the rest. Each name is imported when it is first used, so that ``import hatlit`` is light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hatlit.api import expand, keep, options_of, prepare
    from hatlit.datamodules.base import register_dataset
    from hatlit.datamodules.target.batches import TargetDataModule
    from hatlit.datamodules.target.own import target_of
    from hatlit.encoders.base import Classifier, InputSpec, register_encoder
    from hatlit.errors import InputError
    from hatlit.export.load import load
    from hatlit.export.predict import Predictions, Predictor
    from hatlit.export.student import Student
    from hatlit.methods.base import SelectedSource, StudentMethod, TransferMethod, TransferTask, register_method
    from hatlit.methods.hat import HaT
    from hatlit.types import UNLABELLED, Batch
    from hatlit.zoo.store import Zoo

    __version__: str

__all__ = [
    "UNLABELLED",
    "Batch",
    "Classifier",
    "HaT",
    "InputError",
    "InputSpec",
    "Predictions",
    "Predictor",
    "SelectedSource",
    "Student",
    "StudentMethod",
    "TargetDataModule",
    "TransferMethod",
    "TransferTask",
    "Zoo",
    "expand",
    "keep",
    "load",
    "options_of",
    "prepare",
    "register_dataset",
    "register_encoder",
    "register_method",
    "target_of",
]

#: The module that each public name comes from.
_HOMES = {
    "hatlit.api": ("expand", "keep", "options_of", "prepare"),
    "hatlit.datamodules.base": ("register_dataset",),
    "hatlit.datamodules.target.batches": ("TargetDataModule",),
    "hatlit.datamodules.target.own": ("target_of",),
    "hatlit.encoders.base": ("Classifier", "InputSpec", "register_encoder"),
    "hatlit.errors": ("InputError",),
    "hatlit.export.load": ("load",),
    "hatlit.export.predict": ("Predictions", "Predictor"),
    "hatlit.export.student": ("Student",),
    "hatlit.methods.base": ("SelectedSource", "StudentMethod", "TransferMethod", "TransferTask", "register_method"),
    "hatlit.methods.hat": ("HaT",),
    "hatlit.types": ("UNLABELLED", "Batch"),
    "hatlit.zoo.store": ("Zoo",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("hatlit")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'hatlit' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
