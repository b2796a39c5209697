"""Studies of selection: how well each source really does on a target, which only a report may know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from hatlit.datamodules.target.data import TargetData
from hatlit.encoders.base import Classifier
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import cached_zoo, open_zoo
from hatlit.experiments.prepare import choose_target
from hatlit.experiments.study import Row, StudyTask
from hatlit.experiments.study_runs import Interval, run_of
from hatlit.experiments.summary import interval, spelled
from hatlit.selection.labels import align, to_target_classes
from hatlit.selection.protocol import DEFAULT_NUM_SOURCES, why_unusable
from hatlit.selection.statistics import Profile, profile
from hatlit.zoo.card import Card
from hatlit.zoo.store import Zoo

K = TypeVar("K")

#: Options of what comes after selection.
OF_STUDENTS = ("student", "device", "adapt", "hat", "distillation", "optimizer", "trainer", "tune")


def zoo_of(task: StudyTask, target: str) -> Zoo:
    """The zoo that the options name, or the cached one that serves a target."""
    config = task.config
    if config.zoo:
        return open_zoo(config.zoo, task.asked.modality, config.data)
    progress = partial(task.display.track, doing="training sources")
    return cached_zoo(task.asked, task.asked.domain(target), config.sources, config.jobs, config.plugin, progress)


def target_of(task: StudyTask, target: str, seed: int) -> TargetData:
    """One target, split as a run with that seed would."""
    return choose_target(task.data, task.asked, run_of(task.config, "hat", target, seed), Display(silent=True))


def usable_cards(zoo: Zoo, target: TargetData, students: bool) -> list[Card]:
    """The sources that selection may choose from, by the same rules; ``students`` is ``--selection.students``.

    Raises:
        InputError: there is none.
    """
    cards = [card for card in zoo.cards() if not why_unusable(card, target, students)]
    if not cards:
        raise InputError(f"The zoo has no usable source for target '{target.domain.name}'; use another zoo.")
    return cards


def num_chosen(wanted: int | None, available: int) -> int:
    """How many sources selection chooses.

    Raises:
        InputError: more are wanted than there are.
    """
    if wanted is not None and wanted > available:
        raise InputError(f"--num_sources {wanted} asks for more sources than the {available} that the zoo can offer.")
    return wanted or min(DEFAULT_NUM_SOURCES, available)


@torch.no_grad()
def true_accuracy(card: Card, model: Classifier, target: TargetData) -> float:
    """Share of the target's test part that a source gets right as it is; a sample it abstains from is wrong.

    No method could know it: it needs the labels of the test part.
    """
    rows = target.test_rows(model.input_spec)
    logits = torch.cat([model(part) for part in rows.target.split(model.input_spec.rows_a_pass)])
    answers = to_target_classes(logits.double().softmax(-1), align(card.class_names, target.class_names)).nan_to_num()
    best = answers.max(-1)
    return float(((best.indices == rows.label) & (best.values > 0)).double().mean())


def profiles(zoo: Zoo, cards: Sequence[Card], target: TargetData, statistics: str) -> tuple[Profile, Profile]:
    """Statistics of the target (S,) and those that N sources publish (N, S): what the coarse stage compares."""
    return own_profile(zoo, target, statistics), published_profiles(zoo, cards, statistics)


def own_profile(zoo: Zoo, target: TargetData, statistics: str) -> Profile:
    """Statistics of the target (S,), as the zoo's are made."""
    spec = zoo.info.statistics
    return profile(statistics, target.view(spec.view), spec.view, spec.seed)


def published_profiles(zoo: Zoo, cards: Sequence[Card], statistics: str) -> Profile:
    """Statistics that N sources publish (N, S)."""
    index = zoo.index()
    return Profile(*index.statistics(statistics, [index.rows[card.id] for card in cards]))


def rank_correlation(scores: Sequence[float | None] | np.ndarray, truth: np.ndarray) -> float | None:
    """Spearman's correlation of scores (N,) with what is true (N,), None where it is not defined.

    Scores that are not finite do not count.
    """
    from scipy.stats import rankdata

    known = np.array([np.nan if score is None else score for score in scores], dtype=np.float64)
    counts = np.isfinite(known)
    if min(len(np.unique(known[counts])), len(np.unique(truth[counts]))) < 2:
        return None
    return float(np.corrcoef(rankdata(known[counts]), rankdata(truth[counts]))[0, 1])


def mean_of(rows: Sequence[Row], column: str) -> Interval | None:
    """Mean of a column with its interval, over the rows that have it; None where none has."""
    known = [row for row in rows if row[column] is not None]
    return interval([row[column] for row in known], [row["target"] for row in known]) if known else None


def as_correlation(one: Interval | None) -> str:
    """A correlation with its interval, in words."""
    return "not defined" if one is None else spelled(one, "+.2f")


def by_correlation(groups: Mapping[K, list[Row]]) -> list[tuple[K, list[Row]]]:
    """Groups of rows, the one with the highest mean correlation first, those without any last."""

    def worth(rows: Sequence[Row]) -> float:
        mean = mean_of(rows, "correlation")
        return -mean["mean"] if mean else np.inf

    return sorted(groups.items(), key=lambda item: worth(item[1]))
