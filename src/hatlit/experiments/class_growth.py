"""Classes that a fleet sees first in a later round: who learns them, and whether the classes before are forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from safetensors.torch import load
from torch import Tensor

from hatlit.zoo.card import Card

Row = Mapping[str, Any]


def class_scores(predictions: bytes, class_names: Sequence[str], known: set[str]) -> dict[str, Any]:
    """How a student does on classes that its fleet knew, and on those that it was the first to meet.

    Args:
        predictions: what ``predictions.safetensors`` of its run holds.
        class_names: of the student, in the order of its outputs.
        known: the classes of all sources of the fleet as its round began.

    Returns:
        ``new_classes``: names; ``accuracy_known`` and ``accuracy_new`` on the test samples of either kind, and
        ``fused_known``, what the fused sources have on the first kind; each None where there is no such sample, or
        nothing fused. ``by_class``: by name, how many test samples are right, and how many there are.
    """
    tensors = load(predictions)
    label, right = tensors["label"], tensors["predicted"].argmax(-1) == tensors["label"]
    fused = tensors["fused"].argmax(-1) == label if "fused" in tensors else None
    is_known = label.new_tensor([name in known for name in class_names]).bool()[label]
    return {
        "new_classes": [name for name in class_names if name not in known],
        "accuracy_known": _share(right[is_known]),
        "fused_known": None if fused is None else _share(fused[is_known]),
        "accuracy_new": _share(right[~is_known]),
        "by_class": {
            name: [int(right[label == number].sum()), int((label == number).sum())]
            for number, name in enumerate(class_names)
        },
    }


def growth(rows: Sequence[Row], cards: Mapping[str, Card]) -> dict[str, Any]:
    """What became of classes that were new to the fleet.

    Args:
        rows: of the students that finished, one a target, with their class scores.
        cards: by id, of the fleet after the last round.

    Returns:
        ``classes``: by name of each class that was first seen in a round, that round (``first``), how many sources know
        it at the end (``known_by``), and ``accuracy`` by round; empty where no class was new. ``rounds``: by round,
        accuracy on the classes that the initial fleet knew, over the test samples of all its students
        (``initial_classes``), and over the students who met new classes the means of ``accuracy_known``,
        ``fused_known`` and ``accuracy_new``.
    """
    first: dict[str, int] = {}
    for card in sorted(cards.values(), key=lambda card: card.round):
        for name in card.class_names:
            first.setdefault(name, card.round)
    begin = min((card.round for card in cards.values()), default=0)
    new = {name: number for name, number in first.items() if number > begin}
    if not any(row["new_classes"] for row in rows):
        new = {}
    numbers = sorted({row["round"] for row in rows})
    by_round = {number: [row for row in rows if row["round"] == number] for number in numbers}
    return {
        "classes": {
            name: {
                "first": number,
                "known_by": sum(name in card.class_names for card in cards.values()),
                "accuracy": {str(one): _over(members, [name]) for one, members in by_round.items()},
            }
            for name, number in new.items()
        },
        "rounds": {
            str(number): {
                "initial_classes": _over(members, [name for name in first if name not in new]),
                **{
                    column: _mean([row[column] for row in members if row["new_classes"]])
                    for column in ("accuracy_known", "fused_known", "accuracy_new")
                },
            }
            for number, members in by_round.items()
        },
    }


def growth_tables(found: Mapping[str, Any]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """A row a new class, and a row a round, as the report shows them."""
    classes = [
        {
            "class": name,
            "first seen": f"round {one['first']}",
            "sources that know it": str(one["known_by"]),
            **{f"round {number}": _percent(share) for number, share in one["accuracy"].items()},
        }
        for name, one in found["classes"].items()
    ]
    rounds = [
        {
            "round": number,
            "classes of the initial fleet": _percent(one["initial_classes"]),
            "meeting new ones: known classes": _percent(one["accuracy_known"]),
            "the same, fused sources": _percent(one["fused_known"]),
            "new classes": _percent(one["accuracy_new"]),
        }
        for number, one in found["rounds"].items()
    ]
    return classes, rounds


def _over(rows: Sequence[Row], names: Sequence[str]) -> float | None:
    counts = [row["by_class"][name] for row in rows for name in names if name in row["by_class"]]
    total = sum(count for _, count in counts)
    return sum(right for right, _ in counts) / total if total else None


def _share(right: Tensor) -> float | None:
    return float(right.double().mean()) if len(right) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
