"""report.html and report.md of a comparison: what was run, what came out, and pictures of both."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hatlit.experiments.display import counted, human_bytes
from hatlit.experiments.report.comparison_figures import (
    accuracy_picture,
    critical_difference_picture,
    slopes_picture,
    traffic_picture,
)
from hatlit.experiments.report.document import (
    Block,
    Code,
    Heading,
    Notice,
    Paragraph,
    Table,
    write_document,
)
from hatlit.experiments.report.example_figures import (
    RunExample,
    attention_picture,
    confusion_picture,
    learning_picture,
    reliability_picture,
    selection_picture,
)
from hatlit.experiments.report.html import DEMO, NOTHING
from hatlit.experiments.summary import best_first, marked, preparation, runs_of

__all__ = ["ComparisonReport", "RunExample", "write_comparison"]

#: Characters of a hash that are shown.
SHOWN = 16

HOW_TO_READ = (
    "Best first, and methods with failed runs last: their means are over other runs, so they have no rank. Accuracy, "
    "balanced accuracy, macro F1 and ECE (expected calibration error) are percentages, NLL is the mean negative "
    "log-likelihood in nats; all are means over targets and seeds. Brackets hold 95 % intervals that resample whole "
    "targets. Training seconds and peak memory are medians; what comes before training is shared by the methods that "
    "need it, and stands below the table. Bytes moved and student size are means. "
    "Variants of HaT are ranked among themselves and HaT, apart from its rivals. An oracle knows what no method could "
    "know: it shows what is possible, and has no rank."
)


@dataclass(frozen=True)
class ComparisonReport:
    """What the report of a comparison is made of.

    Attributes:
        summary: what ``summary.json`` holds.
        rows: what ``results.csv`` holds, a row a run; numbers are None where ``failed`` has a reason.
        example: one finished run of the reference method, None where there is none to show.
    """

    summary: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    example: RunExample | None


def write_comparison(folder: Path, report: ComparisonReport) -> None:
    """Writes ``report.html``, ``report.md`` and the pictures of both into the folder of a comparison.

    Args:
        folder: of the comparison.
        report: what there is to say.
    """
    write_document(folder, _title(report.summary), list(_blocks(report)))


def _title(summary: Mapping[str, Any]) -> str:
    counts = ((len(summary["methods"]), "method"), (len(summary["targets"]), "target"), (summary["seeds"], "seed"))
    sizes = ", ".join(counted(*pair) for pair in counts)
    return f"{summary['data']}: {sizes}"


def _blocks(report: ComparisonReport) -> Iterator[Block]:
    summary, rows = report.summary, report.rows
    if summary["is_demo"]:
        yield Notice(DEMO)
    yield Heading("What was run")
    yield Code(summary["command"])
    yield Table(_settings(summary))
    if summary["finding"]:
        yield Heading("Finding")
        yield Paragraph(summary["finding"])
    yield Heading("Methods")
    yield Table(_methods(summary))
    yield Paragraph(HOW_TO_READ)
    yield Paragraph(preparation(summary))
    moved = _moved(summary)
    if moved:
        yield Heading("Bytes by stage")
        yield Table(moved)
    if len(summary["targets"]) == 1:
        yield Paragraph(
            "With one target there is nothing to resample, so there are no intervals: it says nothing about others."
        )
    failed = [row for row in rows if row["failed"]]
    if failed:
        yield Heading("Failed runs")
        yield Table([_failure(row) for row in failed])
    yield Heading("Pictures of the comparison")
    yield accuracy_picture(summary)
    yield critical_difference_picture(summary)
    yield slopes_picture(summary, rows)
    yield traffic_picture(summary)
    yield from _example_blocks(report.example, summary["reference"])


def _example_blocks(example: RunExample | None, reference: str) -> Iterator[Block]:
    yield Heading("One run, looked into")
    if example is None:
        yield Paragraph(f"No pictures of a single run: no finished run of {reference} was there to look into.")
        return
    result = example.result
    yield Paragraph(f"{result['method']} on target {result['target']}, seed {result['seed']}.")
    yield selection_picture(example)
    yield attention_picture(example)
    yield learning_picture(example)
    yield confusion_picture(example)
    yield reliability_picture(example)


def _settings(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    settings = {
        "data": summary["data"],
        "modality": summary["modality"],
        "targets": ", ".join(summary["targets"]),
        "seeds": str(summary["seeds"]),
        "labels": summary["labels"],
        "date": summary["date"],
        "versions": ", ".join(f"{name} {version}" for name, version in summary["versions"].items()),
        "hash of the data": summary["data_fingerprint"][:SHOWN],
        "hash of the labels": summary["labels_fingerprint"][:SHOWN],
    }
    return [{"setting": name, "value": value} for name, value in settings.items()]


def _methods(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    ranked = best_first(summary)
    has_variants = any(one["rank_among_variants"] for _, one in ranked)
    return [_method(name, one, summary["reference"], has_variants) for name, one in ranked]


def _method(name: str, one: Mapping[str, Any], reference: str, has_variants: bool) -> dict[str, str]:
    versus = one["against_reference"]
    return {
        "method": marked(name, one),
        "runs": runs_of(one),
        "accuracy": _interval(one["accuracy"]),
        "balanced accuracy": _number(one["balanced_accuracy"]["mean"], 100, 1),
        "macro F1": _number(one["macro_f1"]["mean"], 100, 1),
        "NLL": _number(one["nll"]["mean"], 1, 2),
        "ECE": _number(one["calibration_error"]["mean"], 100, 1),
        f"{reference} ahead by": _interval(versus["difference"], "+") if versus else NOTHING,
        f"{reference} wins / ties / losses": f"{versus['wins']}/{versus['ties']}/{versus['losses']}"
        if versus
        else NOTHING,
        "average rank": _number(one["average_rank"], 1, 2),
        **({"rank among variants": _number(one["rank_among_variants"], 1, 2)} if has_variants else {}),
        "training seconds": _number(one["training_seconds"], 1, 1),
        "peak memory": _size(one["peak_memory_bytes"]),
        "bytes moved": _size(one["bytes"]),
        "student size": _size(one["student_bytes"]),
    }


def _moved(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    """What selection and transfer of each method would send and receive over a network, where it does."""
    return [
        {
            "method": name,
            **{stage: _size(count) for stage, count in one["bytes_by_stage"].items()},
            "all": _size(one["bytes"]),
        }
        for name, one in best_first(summary)
        if one["bytes"]
    ]


def _failure(row: Mapping[str, Any]) -> dict[str, str]:
    return {**{key: str(row[key]) for key in ("method", "target", "seed")}, "reason": str(row["failed"])}


def _interval(one: Mapping[str, float | None], sign: str = "") -> str:
    if one["mean"] is None:
        return NOTHING
    ends = (_number(one[end], 100, 1, sign) for end in ("low", "high"))
    return f"{_number(one['mean'], 100, 1, sign)} [{NOTHING if one['low'] is None else ', '.join(ends)}]"


def _number(value: float | None, scale: float, digits: int, sign: str = "") -> str:
    return NOTHING if value is None or not math.isfinite(value) else f"{scale * value:{sign}.{digits}f}"


def _size(value: float | None) -> str:
    return NOTHING if value is None or not math.isfinite(value) else human_bytes(value)
