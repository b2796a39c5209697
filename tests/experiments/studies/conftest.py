"""Made-up rows of ``study.csv`` for studies that are made of runs, and a task that nothing is run for."""

import pytest

from hatlit.config import StudyConfig
from hatlit.experiments.study import StudyTask


@pytest.fixture
def runs():
    """Returns a function that makes rows from accuracies by (method, value); target t0 first, then t1, ..."""

    def make(accuracies, estimates=(), labels=1, **changes):
        return [
            {
                "value": value,
                "method": method,
                "target": f"t{number}",
                "seed": 0,
                "labels": labels,
                "accuracy": accuracy,
                "mixer_estimate": estimates[number] if estimates else None,
                "mixer_truth": accuracy if estimates else None,
                "run": "somewhere",
                "failed": "",
            }
            | changes
            for (method, value), several in accuracies.items()
            for number, accuracy in enumerate(several)
        ]

    return make


@pytest.fixture
def failed(runs):
    """The row of a run that came to nothing."""
    return runs({("hat", "all"): [None]}, labels=None, run=None, failed="No label.")[0]


@pytest.fixture
def task(people, display):
    """Returns a function that makes a study's task on three people."""

    def make(**changes):
        config = StudyConfig(**changes)
        return StudyTask(config, lambda method: config, people, people, people.names, display)

    return make
