from __future__ import annotations

import json

import pytest

from hatlit.selection.traffic import Traffic


def metered() -> Traffic:
    traffic = Traffic(everything=1000)
    traffic.add("coarse", up=10)
    traffic.add("fine", up=5, down=60)
    traffic.add("fine", down=40, read=70)
    traffic.add("transfer", down=85)
    return traffic


def test_adds_up_by_stage() -> None:
    fine = metered().stages["fine"]
    assert (fine.up, fine.down) == (5, 100)


def test_total_and_share_of_sending_every_model() -> None:
    assert metered().total == 200
    assert metered().against_everything == pytest.approx(0.2)


def test_two_meters_share_nothing() -> None:
    metered()
    assert Traffic(everything=0).total == 0
    assert Traffic(everything=0).against_everything == 0.0


def test_as_dict_is_json() -> None:
    assert json.loads(json.dumps(metered().as_dict())) == {
        "everything": 1000,
        "stages": {
            "coarse": {"up": 10, "down": 0, "read": 0},
            "fine": {"up": 5, "down": 100, "read": 70},
            "transfer": {"up": 0, "down": 85, "read": 0},
        },
        "total": 200,
        "against_everything": 0.2,
    }


def test_unknown_stage_is_our_fault() -> None:
    with pytest.raises(KeyError):
        metered().add("medium", up=1)  # type: ignore[arg-type]
