"""A finished run, made up."""

import pytest

from hatlit.selection.protocol import Selection
from hatlit.selection.traffic import Traffic
from hatlit.selection.verdict import Verdict


@pytest.fixture
def result():
    """What ``result.json`` holds, with numbers that occur nowhere else."""
    return {
        "method": "hat",
        "target": "ann",
        "labels": 3,
        "accuracy": 0.8125,
        "balanced_accuracy": 0.7517,
        "macro_f1": 0.7291,
        "labels_only": {"accuracy": 0.5128, "balanced_accuracy": 0.4931, "macro_f1": 0.4753},
        "mixer": {"accuracy": 0.9012, "balanced_accuracy": 0.8821, "macro_f1": 0.8713},
        "bytes": {
            "everything": 5_400_000,
            "stages": {
                "coarse": {"up": 3200, "down": 0, "read": 5100},
                "fine": {"up": 0, "down": 876_500, "read": 901_000},
                "transfer": {"up": 0, "down": 0, "read": 0},
            },
            "total": 879_700,
            "against_everything": 0.163,
        },
        "seconds": {"data": 1.23, "hat: training": 45.67, "total": 46.9},
        "modality": "imu",
        "data": "spar",
        "is_demo": False,
        "seed": 17,
        "classes": ["slow", "fast", "still"],
        "training_samples": 421,
        "test_samples": 187,
        "sources": ["bob", "cid"],
        "weighed": ["bob", "cid"],
        "student": {"encoder": "cnn_nano", "parameters": 12_345, "bytes": 49_380},
        "labels_fingerprint": "0123456789abcdef" * 4,
        "versions": {"hatlit": "0.1.0", "torch": "2.9.0"},
    }


@pytest.fixture
def selection():
    verdicts = [
        Verdict("bob", "Bob", "cnn_nano", 50_000, -0.1, 0.91, 1.0, True, "selected: rank 1 of 3 by accuracy"),
        Verdict("cid", "Cid", "tcn_nano", 60_000, -0.2, 0.73, 0.66, True, "selected: rank 2 of 3 by accuracy"),
        Verdict("dot", "Dot", "cnn_nano", 50_000, -0.3, None, 0.0, False, "dropped by the fine stage: no finite score"),
        Verdict("eve", "Eve", "cnn_nano", 50_000, -0.4, None, None, False, "dropped by the coarse stage"),
        Verdict("ann", "ann", "cnn_nano", 50_000, reason="dropped: trained on the target itself"),
    ]
    return Selection(verdicts, [], [], Traffic(everything=5_400_000))


@pytest.fixture
def alone(result):
    """The result of a method that asks no sources."""
    nothing = {"labels_only": None, "mixer": None, "bytes": None, "sources": [], "weighed": []}
    return {**result, "method": "labels_only", **nothing}
