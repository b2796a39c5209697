"""From the mixer's accuracy to the injection weight alpha."""

from __future__ import annotations

from collections.abc import Callable

from hatlit.registry import Registry

#: An entry: (accuracy of the mixer in [0, 1], number of classes) to alpha in [0, 1].
Schedule = Callable[[float, int], float]

SCHEDULES: Registry[Schedule] = Registry(
    "injection schedule", home="hatlit.injection.schedule", group="hatlit.schedules"
)


@SCHEDULES.register()
def accuracy(mixer_accuracy: float, num_classes: int) -> float:
    """alpha = A: the injection weight is the mixer's accuracy (HaT)."""
    return mixer_accuracy


@SCHEDULES.register()
def above_chance(mixer_accuracy: float, num_classes: int) -> float:
    """alpha = (A − 1/K) / (1 − 1/K), not below zero: a mixer that guesses teaches nothing."""
    chance = 1 / num_classes
    return max(0.0, (mixer_accuracy - chance) / (1 - chance)) if num_classes > 1 else mixer_accuracy


@SCHEDULES.register()
def full(mixer_accuracy: float, num_classes: int) -> float:
    """alpha = 1 from the first write on."""
    return 1.0
