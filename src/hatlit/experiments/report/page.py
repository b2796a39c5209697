"""report.html: the run on one page, with nothing to load from elsewhere."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from hatlit.experiments.display import human_bytes
from hatlit.experiments.folder import RunFolder
from hatlit.experiments.report.figures import run_figure
from hatlit.experiments.report.html import DEMO, STYLE, table
from hatlit.selection.protocol import Selection

#: Rows of the table of sources, the chosen first.
SOURCES_SHOWN = 200


def write_report(
    folder: RunFolder, result: Mapping[str, Any], selection: Selection | None, weights: Tensor | None
) -> None:
    """Writes ``report.png`` and ``report.html`` into the folder of a run.

    Args:
        folder: of the run, with its ``metrics.csv``.
        result: what ``result.json`` holds.
        selection: what was chosen, None where the method asks no sources.
        weights: (N, result["weighed"]) of the mixer on the test samples, None where the method has none.
    """
    picture = run_figure(result, folder.epochs(), selection, weights)
    folder.write("report.png", picture)
    folder.write("report.html", _page(result, selection, picture))


def _page(result: Mapping[str, Any], selection: Selection | None, picture: bytes) -> str:
    title = f"{result['method']} on {result['data']}, target {result['target']}"
    demo = f"<p class='demo'>{DEMO}</p>"
    image = base64.b64encode(picture).decode()
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style></head><body>
<h1>{html.escape(title)}</h1>
{demo if result["is_demo"] else ""}
<p>{html.escape(_summary(result))}</p>
{table(_quality_rows(result)) if result["test_samples"] else "<p>No samples were held out for a test.</p>"}
<img alt="Quality, selection, learning curves and attention" src="data:image/png;base64,{image}">
<h2>Selection</h2>
{table(_selection_rows(selection)) if selection else "<p>This method asks no sources.</p>"}
{_not_shown(selection)}
{_suspicious(result)}
<h2>Traffic</h2>
{table(_traffic_rows(result["bytes"])) if result["bytes"] else "<p>Nothing was sent.</p>"}
<h2>Seconds</h2>
{table([{"stage": stage, "seconds": f"{value:.2f}"} for stage, value in result["seconds"].items()])}
<p>Versions: {html.escape(", ".join(f"{name} {value}" for name, value in result["versions"].items()))};
seed {result["seed"]}; labels <code>{html.escape(result["labels_fingerprint"][:16])}</code></p>
</body></html>
"""


def _summary(result: Mapping[str, Any]) -> str:
    student = result["student"]
    labels = f"{result['labels']} labelled of {result['training_samples']} training samples"
    size = f"{student['parameters']:,} parameters, {human_bytes(student['bytes'])}"
    return (
        f"{len(result['classes'])} classes, {labels}, {result['test_samples']} test samples. "
        f"The student ({student['encoder']}) has {size}."
    )


def _quality_rows(result: Mapping[str, Any]) -> list[dict[str, str]]:
    named = {"labels_only": result["labels_only"], "mixer (no student)": result["mixer"], result["method"]: result}
    scores = {"accuracy": "accuracy", "balanced accuracy": "balanced_accuracy", "macro F1": "macro_f1"}
    return [
        {"method": name, **{label: f"{values[score]:.3f}" for label, score in scores.items()}}
        for name, values in named.items()
        if values and values["accuracy"] is not None
    ]


def _selection_rows(selection: Selection) -> list[dict[str, str]]:
    return [
        {
            "source": verdict.id,
            "domain": verdict.domain,
            "encoder": verdict.encoder,
            "size": human_bytes(verdict.size_bytes),
            "likeness": _number(verdict.coarse_score),
            "fine score": _number(verdict.fine_score),
            "agreement": _number(verdict.agreement),
            "why": verdict.reason,
        }
        for verdict in selection.verdicts[:SOURCES_SHOWN]
    ]


def _not_shown(selection: Selection | None) -> str:
    more = len(selection.verdicts) - SOURCES_SHOWN if selection else 0
    return f"<p>And {more:,} more, which are in <code>selection.json</code>.</p>" if more > 0 else ""


def _suspicious(result: Mapping[str, Any]) -> str:
    found = result.get("suspicious")  # results of earlier versions have none
    return f"<p>Sources that look broken or useless on this target:</p>{table(found)}" if found else ""


def _traffic_rows(traffic: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = [
        {"stage": stage, **{way: human_bytes(moved[way]) for way in ("up", "down", "read")}}
        for stage, moved in traffic["stages"].items()
    ]
    everything = human_bytes(traffic["everything"])
    return [*rows, {"stage": "sending every model instead", "up": "0 B", "down": everything, "read": everything}]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
