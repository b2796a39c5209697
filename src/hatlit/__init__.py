"""hatlit: expand a fleet of learned models to a new domain.

Select the few sources worth asking, fuse their predictions sample by sample, distil a student that fits the device.
``hatlit.load(path).predict(samples)`` asks such a student; it is imported when it is first named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hatlit.export.predict import Predictions, Predictor, load

__all__ = ["Predictions", "Predictor", "load"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hatlit' has no attribute '{name}'")
    from hatlit.export import predict

    return getattr(predict, name)
