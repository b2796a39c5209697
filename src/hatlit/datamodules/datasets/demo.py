"""The data set that needs no files."""

from __future__ import annotations

from pathlib import Path

from hatlit.datamodules.base import DomainSet, register_dataset
from hatlit.datamodules.synthetic import ACTIVITIES, build_fleet
from hatlit.errors import InputError


@register_dataset("demo", "imu")
def demo(root: Path | None, modality: str) -> DomainSet:
    """Synthetic: 24 simulated people x 6 activities, accelerometer and gyroscope at 25, 50 or 100 Hz.

    Licence: as the package itself; nothing here was recorded.
    Citation: none; see ``hatlit.datamodules.synthetic`` for the model.

    Raises:
        InputError: a root was given.
    """
    if root is not None:
        raise InputError(
            f"The demo data set is simulated and reads no files; leave out --data.root, or name the data set that lies "
            f"in '{root}' with --data.name."
        )
    return DomainSet("demo", modality, build_fleet(), ACTIVITIES, is_demo=True)
