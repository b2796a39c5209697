"""report.html and report.md of an expansion: how the fleet grew, what students of students are worth, at what price."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hatlit.experiments.class_growth import growth_tables
from hatlit.experiments.display import counted, human_bytes
from hatlit.experiments.expansion_summary import round_table
from hatlit.experiments.report.document import (
    Block,
    Code,
    Heading,
    Notice,
    Paragraph,
    Table,
    write_document,
)
from hatlit.experiments.report.expansion_figures import (
    GROUPS,
    inheritance_picture,
    propagation_picture,
    reuse_picture,
    rounds_picture,
    traffic_picture,
)
from hatlit.experiments.report.html import DEMO, NOTHING
from hatlit.experiments.summary import percent

#: Sources that the table of reuse names at most; ``expansion.json`` has all.
MAX_SOURCES = 20

HOW_TO_READ = (
    "Accuracies are percentages, means over the students of a round; brackets hold 95 % intervals that resample them. "
    "The fleet is what the round began with; its students are sources from the next round on. Moved is what selection "
    "sent to and from all devices of the round, every model what it would have taken to send them all sources."
)

HOW_CLASSES_ARE_COUNTED = (
    "The first table has the accuracy on the test samples of each new class, by round; the second that on all classes "
    "that the initial fleet knew, and for students who were the first to meet a class the accuracy on the classes that "
    "their sources knew, beside that of the fused sources on the same samples: what was there before the head grew."
)

HOW_STUDENTS_ARE_RANKED = (
    "The score was worked out before anything was trained; higher is better. Whether it ranks the students as training "
    "would is what `hatlit study skeletons` measures, on these data if asked (docs/studies.md)."
)

Rows = Sequence[Mapping[str, Any]]


def write_expansion(folder: Path, summary: Mapping[str, Any], rows: Rows) -> None:
    """Writes ``report.html``, ``report.md`` and the pictures of both into the folder of an expansion.

    Args:
        folder: of the expansion.
        summary: what ``expansion.json`` holds.
        rows: what ``results.csv`` holds, a row a target.
    """
    blocks = list(_blocks(summary, [row for row in rows if not row["failed"]], [row for row in rows if row["failed"]]))
    rounds = counted(len(summary["rounds"]), "round")
    title = f"{summary['data']}: {counted(summary['all']['n'], 'domain')} joined in {rounds}"
    write_document(folder, title, blocks)


def _blocks(summary: Mapping[str, Any], finished: Rows, failed: Rows) -> Iterator[Block]:
    if summary["is_demo"]:
        yield Notice(DEMO)
    yield Heading("What was run")
    yield Code(summary["command"])
    yield Table(_settings(summary))
    yield Heading("Finding")
    yield Paragraph(summary["finding"])
    yield Heading("Rounds")
    yield Table(round_table(summary))
    yield Paragraph(HOW_TO_READ)
    if failed:
        yield Heading("Failed runs")
        yield Table([{key: str(row[key]) for key in ("round", "target", "failed")} for row in failed])
    yield rounds_picture(summary)
    yield Heading("Do errors of students spread?")
    yield Table(_groups(summary["propagation"]))
    yield propagation_picture(summary)
    yield inheritance_picture(summary, finished)
    if summary["growth"]["classes"]:
        classes, rounds = growth_tables(summary["growth"])
        yield Heading("Classes seen first in a later round")
        yield Table(classes)
        yield Table(rounds)
        yield Paragraph(HOW_CLASSES_ARE_COUNTED)
    yield Heading("Traffic")
    yield traffic_picture(summary)
    yield Heading("Who is asked again")
    yield Table(_sources(summary))
    yield reuse_picture(summary)
    choices = [_choice(row) for row in finished if row.get("ranking")]
    if choices:
        yield Heading("What --student auto chose")
        yield Table(choices)
        yield Paragraph(HOW_STUDENTS_ARE_RANKED)
    yield Heading("Every student")
    yield Table([_student(row) for row in finished])


def _settings(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    initial = summary["initial"]
    settings = {
        "data": summary["data"],
        "modality": summary["modality"],
        "method": summary["method"],
        "labels": summary["labels"],
        "seed": str(summary["seed"]),
        "initial fleet": initial if isinstance(initial, str) else ", ".join(initial),
        "students may be selected": "yes" if summary["students_may_be_selected"] else "no",
        "date": summary["date"],
        "versions": ", ".join(f"{name} {version}" for name, version in summary["versions"].items()),
        "hash of the data": summary["data_fingerprint"],
    }
    return [{"setting": name, "value": value} for name, value in settings.items()]


def _groups(propagation: Mapping[str, Any]) -> list[dict[str, str]]:
    groups = {f"depth {depth}": one for depth, one in propagation["by_depth"].items()}
    groups |= {f"taught by {words}": propagation[name] for name, words in GROUPS.items()}
    return [
        {
            "students": name,
            "n": str(one["n"]) if one else "0",
            "accuracy": percent(one["accuracy"]) if one else NOTHING,
            "labels_only": percent(one["labels_only"]) if one and one["labels_only"] else NOTHING,
            "ahead by": percent(one["ahead"]) if one and one["ahead"] else NOTHING,
        }
        for name, one in groups.items()
    ]


def _sources(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "source": name,
            "joined": f"round {one['round']}" if one["round"] else "initial",
            "depth": str(one["depth"]),
            "accuracy at home": f"{100 * one['accuracy']:.1f}",
            "size": human_bytes(one["size_bytes"]),
            "asked": f"{one['asked']} of {one['offered']}",
        }
        for name, one in list(summary["sources"].items())[:MAX_SOURCES]
    ]


def _choice(row: Mapping[str, Any]) -> dict[str, str]:
    first, *others = row["ranking"]
    largest = max(row["ranking"], key=lambda one: one["parameters"])
    return {
        "round": str(row["round"]),
        "target": row["target"],
        "chosen": _scored(first),
        "next": _scored(others[0]) if others else NOTHING,
        "largest that fits": _scored(largest),
        "students that fit": str(len(row["ranking"])),
    }


def _scored(one: Mapping[str, Any]) -> str:
    return f"{one['name']} ({one['score']:.2f})"


def _student(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "round": str(row["round"]),
        "target": row["target"],
        "accuracy": f"{100 * row['accuracy']:.1f}",
        "labels_only": NOTHING if row["labels_only"] is None else f"{100 * row['labels_only']:.1f}",
        "labels": str(row["labels"]),
        "student": f"{row['student']} ({row['student_parameters']:,} parameters)",
        "depth": str(row["depth"]),
        "moved": human_bytes(row["bytes"]),
        "taught by": ", ".join(row["sources"]) or NOTHING,
    }
