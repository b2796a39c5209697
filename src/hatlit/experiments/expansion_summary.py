"""What the rounds of an expansion say together: accuracy, inheritance of errors, traffic, and who is asked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hatlit.experiments.display import counted, human_bytes
from hatlit.experiments.study_runs import in_points, verdict
from hatlit.experiments.summary import interval, percent
from hatlit.zoo.card import Card

Row = Mapping[str, Any]


def depths(cards: Mapping[str, Card]) -> dict[str, int]:
    """How many students lie between each source and the sources that had all labels, by the longest line.

    Args:
        cards: by id; a parent that is not among them counts as one that had all labels.
    """
    found: dict[str, int] = {}
    for name, card in sorted(cards.items(), key=lambda item: item[1].round):  # parents joined before their students
        found[name] = 1 + max((found.get(parent, 0) for parent in card.parents), default=0) if card.round else 0
    return found


def summarise(rows: Sequence[Row], cards: Mapping[str, Card]) -> dict[str, Any]:
    """Describes an expansion.

    Args:
        rows: one a target, as in ``results.csv``.
        cards: by id, of the fleet after the last round.

    Returns:
        ``rounds``: one entry a round, with the fleet that it began with, what its students came to, and bytes.
        ``propagation``: accuracy by depth of ancestry, and of students with and without students among their sources,
        where there were students to choose from. ``sources``: by id, what each is and how often it was asked, the most
        asked first.
    """
    finished = [row for row in rows if not row["failed"]]
    numbers = list(dict.fromkeys(row["round"] for row in rows))
    could = [row for row in finished if row["offered_students"]]
    by_depth = {depth: [row for row in finished if row["depth"] == depth] for depth in _values(finished, "depth")}
    return {
        "rounds": [_round(number, [row for row in rows if row["round"] == number]) for number in numbers],
        "all": _described(finished),
        "propagation": {
            "by_depth": {str(depth): _described(members) for depth, members in by_depth.items()},
            "without_students": _described([row for row in could if not row["students_among_sources"]]),
            "with_students": _described([row for row in could if row["students_among_sources"]]),
        },
        "sources": _sources(finished, cards, numbers[-1]),
    }


def finding(summary: Mapping[str, Any]) -> str:
    """What the rounds say, in a paragraph."""
    everyone = summary["all"]
    words = [f"{counted(everyone['n'], 'student')} joined, with an accuracy of {percent(everyone['accuracy'])} %."]
    if everyone["ahead"]:
        words.append(f"They are {verdict(everyone['ahead'])} labels_only ({in_points(everyone['ahead'])}).")
    without, having = (summary["propagation"][name] for name in ("without_students", "with_students"))
    if without and having:
        words.append(
            f"Where there were students to choose from, those taught by students among others have "
            f"{percent(having['accuracy'])} % ({having['n']}), those taught by initial sources alone "
            f"{percent(without['accuracy'])} % ({without['n']})."
        )
    elif having:
        words.append("Wherever there were students to choose from, some were chosen.")
    moved, everything = (sum(one[name] for one in summary["rounds"]) for name in ("bytes", "bytes_of_everything"))
    if everything:
        words.append(
            f"Selection moved {human_bytes(moved)}, {moved / everything:.0%} of what sending every model would take."
        )
    return " ".join(words)


def round_table(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    """The closing table: a row a round."""
    learns = any(one["pairs_learned_from"] for one in summary["rounds"])
    return [
        {
            "round": str(one["round"]),
            "fleet (students)": f"{one['offered_sources']} ({one['offered_students']})",
            "joined": f"{one['n']} of {one['n'] + one['failed']}",
            "accuracy": percent(one["accuracy"]),
            "labels_only": percent(one["labels_only"]) if one["labels_only"] else "-",
            "ahead by": percent(one["ahead"]) if one["ahead"] else "-",
            "students asked": f"{one['share_of_students_asked']:.0%}",
            **({"pairs learned from": str(one["pairs_learned_from"])} if learns else {}),
            "moved": human_bytes(one["bytes"]),
            "every model": human_bytes(one["bytes_of_everything"]),
        }
        for one in summary["rounds"]
    ]


def _round(number: int, rows: Sequence[Row]) -> dict[str, Any]:
    finished = [row for row in rows if not row["failed"]]
    described = _described(finished)
    assert described, "no round is over without a student"
    asked = sum(len(row["sources"]) for row in finished)
    return {
        "round": number,
        "offered_sources": rows[0]["offered_sources"],
        "offered_students": rows[0]["offered_students"],
        "failed": len(rows) - len(finished),
        **described,
        "share_of_students_asked": sum(row["students_among_sources"] for row in finished) / asked if asked else 0.0,
        "pairs_learned_from": max(row["pairs_learned_from"] for row in finished),
        "bytes": sum(row["bytes"] for row in finished),
        "bytes_of_everything": sum(row["bytes_of_everything"] for row in finished),
    }


def _described(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Means with 95 % intervals over targets; None where there is no row."""
    if not rows:
        return None
    pairs = [row for row in rows if row["labels_only"] is not None]
    alone, named = [row["labels_only"] for row in pairs], [row["target"] for row in pairs]
    return {
        "n": len(rows),
        "accuracy": interval([row["accuracy"] for row in rows], [row["target"] for row in rows]),
        "labels_only": interval(alone, named) if pairs else None,
        "ahead": interval([row["accuracy"] - row["labels_only"] for row in pairs], named) if pairs else None,
    }


def _sources(finished: Sequence[Row], cards: Mapping[str, Card], last: int) -> dict[str, Any]:
    times = Counter(source for row in finished for source in row["sources"])
    depth = depths(cards)
    known = {
        name: {
            "domain": card.domain,
            "round": card.round,
            "depth": depth[name],
            "accuracy": card.accuracy,
            "size_bytes": card.size_bytes,
            "asked": times[name],
            "offered": sum(row["round"] > card.round for row in finished),
        }
        for name, card in cards.items()
        if card.round <= last  # the same fleet may have grown further when more rounds were asked for
    }
    return dict(sorted(known.items(), key=lambda item: (-item[1]["asked"], item[1]["round"], item[0])))


def _values(rows: Sequence[Row], column: str) -> list[Any]:
    return sorted({row[column] for row in rows})
