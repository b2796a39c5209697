"""How few sources need a closer look, and which look tells most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from hatlit.experiments.report.drawing import new_figure
from hatlit.experiments.study import Row, Study, StudyTask, register_study, share_of
from hatlit.experiments.study_figures import add_legend, draw_curves, draw_dots
from hatlit.experiments.study_runs import cell, train_sources
from hatlit.experiments.study_sources import (
    OF_STUDENTS,
    as_correlation,
    by_correlation,
    mean_of,
    num_chosen,
    rank_correlation,
    target_of,
    true_accuracy,
    usable_cards,
    zoo_of,
)
from hatlit.experiments.summary import percent
from hatlit.selection.agreement import with_agreement
from hatlit.selection.closer_look import look_at
from hatlit.selection.coarse import best_first
from hatlit.selection.fine import FINE_SCORES
from hatlit.selection.protocol import select

#: The share of the accuracy that the finding takes for all of it.
ENOUGH = 0.99


@register_study()
class Selection(Study):
    """How much is lost when the coarse stage keeps fewer models, and how well do the fine scores rank them?"""

    values: ClassVar[tuple[str, ...]] = ("0.05", "0.1", "0.2", "0.3", "0.5", "0.7", "1")
    varies: ClassVar[tuple[str, ...]] = ("selection.keep",)
    unused: ClassVar[tuple[str, ...]] = OF_STUDENTS

    def read(self, value: str) -> float:
        """A share of the sources that the coarse stage keeps (eta)."""
        return share_of("selection", value)

    def measure(self, task: StudyTask, values: Sequence[float]) -> list[Row]:
        """Chooses sources with each share kept, and ranks them by each fine score, on each target with each seed."""
        train_sources(task)
        pairs = [(name, seed) for name in task.targets for seed in range(task.config.seeds)]
        return [row for name, seed in task.display.track(pairs, "targets") for row in _look(task, name, seed, values)]

    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """A row a share kept, then a row a fine score."""
        kept = [
            {"kept or score": f"keep {share}", "models kept": _models(members), **_cells(members)}
            for share, members in _kept(rows).items()
        ]
        scores = [{"kept or score": score, "models kept": "-", **_cells(members)} for score, members in _scores(rows)]
        return kept + scores

    def finding(self, rows: Sequence[Row]) -> str:
        """The smallest share that keeps nearly all of the accuracy, and which fine scores rank best and worst."""
        kept = _kept(rows)
        enough = [share for share in kept if (left := mean_of(kept[share], "retained")) and left["mean"] >= ENOUGH]
        fewest, least = min(enough, key=float, default=""), min(kept, key=float)
        words = (
            f"The smallest share of the models that keeps {100 * ENOUGH:.0f} % of the accuracy of a choice among all "
            f"is {_share(fewest, kept[fewest])}."
            if fewest
            else f"No share that was tried keeps {100 * ENOUGH:.0f} % of the accuracy of a choice among all models."
        )
        if least != fewest:
            words += f" The smallest that was tried is {_share(least, kept[least])}."
        told = [f"{score} ({as_correlation(mean_of(members, 'correlation'))})" for score, members in _scores(rows)]
        words += f" Of the fine scores, {told[0]} ranks the sources most like their true accuracy, {told[-1]} least;"
        return f"{words} the numbers are mean rank correlations."

    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """Models kept and accuracy retained over the share kept; rank correlation of the fine scores."""
        kept, scores = _kept(rows), dict(_scores(rows))
        figure = new_figure(11, 5, "How few models need a closer look, and which look tells most?", where)
        left, right = figure.subplots(1, 2)
        series = {
            "accuracy retained": [mean_of(members, "retained") for members in kept.values()],
            "models kept": [mean_of(members, "kept_share") for members in kept.values()],
        }
        draw_curves(left, list(kept), series)
        left.set(xlabel="share that the coarse stage is to keep (eta)", ylabel="% of what a choice among all has")
        left.set_ylim(bottom=0)
        add_legend(left, "outside lower left")
        draw_dots(right, {score: mean_of(members, "correlation") for score, members in scores.items()}, scale=1)
        right.axvline(0, color="#888888", lw=1)
        right.set(xlabel="rank correlation of the fine score with true accuracy", xlim=(-1.05, 1.05))
        return figure


def _look(task: StudyTask, name: str, seed: int, shares: Sequence[float]) -> list[Row]:
    config = task.config
    target, zoo = target_of(task, name, seed), zoo_of(task, name)
    cards = usable_cards(zoo, target, task.config.selection.students)
    count = num_chosen(config.num_sources, len(cards))
    truth, looks = np.empty(len(cards)), []
    for place, card in enumerate(cards):
        model = zoo.load(card.id)
        looks.append(look_at(card, model, target, seed))
        truth[place] = true_accuracy(card, model, target)
    true_of = dict(zip((card.id for card in cards), truth.tolist(), strict=True))
    candidates = with_agreement(looks)
    fine = np.array([[FINE_SCORES.get(score)(one) for one in candidates] for score in FINE_SCORES.names()])

    def chosen(share: float) -> tuple[int, float]:
        """How many models a run with that share looks at, and the mean true accuracy of those that it chooses."""
        keeping = replace(config.selection, keep=share)
        found = select(zoo, target, keeping, config.num_sources, seed, lambda line: None)
        looked_at = sum(verdict.fine_score is not None for verdict in found.verdicts)
        return looked_at, float(np.mean([true_of[card.id] for card in found.cards]))

    here = {"target": name, "seed": seed, "sources": len(cards)}
    _, of_all = chosen(1.0)
    rows = [_row("keep", f"{share:g}", here, *chosen(share), of_all) for share in shares]
    for score, scores in zip(FINE_SCORES.names(), fine, strict=True):
        best = float(truth[best_first(scores)[:count]].mean())
        row = _row("fine", score, here, len(cards), best, of_all)
        rows.append({**row, "correlation": rank_correlation(scores, truth)})
    return rows


def _row(kind: str, value: str, here: Row, kept: int, accuracy: float, of_all: float) -> Row:
    # Where a choice among all is never right, there was nothing to lose.
    retained = accuracy / of_all if of_all else 1.0
    shares = {"kept": kept, "kept_share": kept / here["sources"], "accuracy": accuracy, "retained": retained}
    return {"kind": kind, "value": value, **here, **shares, "correlation": None}


def _kept(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each share kept."""
    own = [row for row in rows if row["kind"] == "keep"]
    shares = dict.fromkeys(row["value"] for row in own)
    return {share: [row for row in own if row["value"] == share] for share in shares}


def _scores(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The rows of each fine score, the one with the highest rank correlation first."""
    own = [row for row in rows if row["kind"] == "fine"]
    names = dict.fromkeys(row["value"] for row in own)
    return by_correlation({name: [row for row in own if row["value"] == name] for name in names})


def _share(share: str, rows: Sequence[Row]) -> str:
    """A share kept, with the models that are left of it and what they retain."""
    return f"{share} ({_models(rows)} models), which keeps {cell(mean_of(rows, 'retained'))} %"


def _models(rows: Sequence[Row]) -> str:
    """How many models are kept, of how many."""
    kept, sources = (np.mean([row[column] for row in rows]) for column in ("kept", "sources"))
    return f"{kept:.1f} of {sources:.1f}"


def _cells(rows: Sequence[Row]) -> dict[str, str]:
    accuracy, correlation = mean_of(rows, "accuracy"), mean_of(rows, "correlation")
    return {
        "accuracy of the chosen": percent(accuracy) if accuracy else "-",
        "retained": cell(mean_of(rows, "retained")),
        "rank correlation": as_correlation(correlation) if correlation else "-",
    }
