"""Sources that know only some of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.split import present_classes
from hatlit.errors import InputError
from hatlit.experiments.fleet import build_zoo, cached_folder
from hatlit.experiments.report.drawing import new_figure
from hatlit.experiments.study import Row, Study, StudyTask, register_study, share_of
from hatlit.experiments.study_figures import add_legend, draw_curves
from hatlit.experiments.study_runs import (
    Variant,
    accuracy_table,
    failures,
    finished,
    mean_accuracy,
    run_variants,
    standing,
    values_of,
)
from hatlit.experiments.summary import percent
from hatlit.types import UNLABELLED

METHODS = ("hat", "kd", "best_source")


@register_study()
class LabelOverlap(Study):
    """How accurate are students whose sources know only a share of the classes each?"""

    values: ClassVar[tuple[str, ...]] = ("1", "0.75", "0.5", "0.25")
    varies: ClassVar[tuple[str, ...]] = ("zoo", "sources.controls")

    def read(self, value: str) -> float:
        """A share of the classes."""
        return share_of("label_overlap", value)

    def measure(self, task: StudyTask, values: Sequence[float]) -> list[Row]:
        """Trains a zoo for each share, and runs three methods on it."""
        fleets = {share: with_classes(task.asked, share) for share in values}
        for share, fleet in fleets.items():
            check_coverage(task.asked, fleet, task.targets, share)
        variants = [
            Variant(f"{share:g}", f"share-{share:g}", {"zoo": _zoo(task, fleet)}) for share, fleet in fleets.items()
        ]
        return run_variants(task, METHODS, variants)

    def table(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        """A row a share, a column a method."""
        return accuracy_table(rows, "classes known")

    def finding(self, rows: Sequence[Row]) -> str:
        """What HaT loses when sources know fewer classes, and where it stands against the others."""
        accuracy = {value: mean_accuracy(finished(rows, "hat", value)) for value in values_of(rows)}
        reached = [f"{percent(one)} % where they know {value}" for value, one in accuracy.items() if one]
        against = [standing(rows, "hat", rival, lambda value: f"at a share of {value}") for rival in METHODS[1:]]
        words = f"By the share of the classes that each source knows, hat reaches {', '.join(reached) or 'nothing'}."
        return f"{words} {' '.join(against)}{failures(rows)}"

    def figure(self, rows: Sequence[Row], where: str) -> Figure:
        """Accuracy over the share of the classes that each source knows."""
        figure = new_figure(7, 4.8, "Accuracy where each source knows only some of the classes", where)
        axes = figure.subplots()
        values = values_of(rows)
        series = {method: [mean_accuracy(finished(rows, method, value)) for value in values] for method in METHODS}
        draw_curves(axes, values, series)
        axes.set(xlabel="share of the classes that each source knows", ylabel="accuracy on the test parts, %")
        add_legend(axes)
        return figure


def with_classes(data: DomainSet, share: float) -> DomainSet:
    """The same domains, each without the samples of all but a share of the classes.

    The classes are dealt round after round to the domains in an order that is drawn once, so that each class is known
    to as many domains as any other, give or take one.
    """
    known = deal(len(data.domains), len(data.class_names), share)
    domains = tuple(_only(domain, classes) for domain, classes in zip(data.domains, known, strict=True))
    return replace(data, domains=domains)


def deal(num_domains: int, num_classes: int, share: float) -> list[list[int]]:
    """Which classes each domain knows: a share of them, at least one."""
    count = max(1, round(share * num_classes))
    hands = [sorted((turn * count + place) % num_classes for place in range(count)) for turn in range(num_domains)]
    turns = np.random.default_rng(0).permutation(num_domains)
    return [hands[turn] for turn in turns]


def check_coverage(data: DomainSet, fleet: DomainSet, targets: Sequence[str], share: float) -> None:
    """Makes sure that every class that sources of a target could teach is still known to one of them.

    Raises:
        InputError: it is not.
    """
    before, after = _teachers(data), _teachers(fleet)
    for target in targets:
        for number, name in enumerate(data.class_names):
            if before[number] - {target} and not after[number] - {target}:
                raise InputError(
                    f"Where each source knows a share of {share:g} of the classes, none knows '{name}' for the target "
                    f"'{target}'; give larger --values, or more domains."
                )


def _teachers(data: DomainSet) -> Mapping[int, set[str]]:
    """By class, the domains that have it."""
    has = {domain.name: set(present_classes(domain).tolist()) for domain in data.domains}
    return {number: {name for name in has if number in has[name]} for number in range(len(data.class_names))}


def _only(domain: Domain, classes: Sequence[int]) -> Domain:
    rows = np.isin(domain.labels, [*classes, UNLABELLED])
    return replace(domain, samples=domain.samples[rows], labels=domain.labels[rows], groups=domain.groups[rows])


def _zoo(task: StudyTask, fleet: DomainSet) -> str:
    """Folder of a zoo in the cache with a source of every domain that has a class."""
    config = task.config
    folder = cached_folder(fleet, config.sources, config.plugin)
    able = [domain for domain in fleet.domains if len(present_classes(domain))]
    progress = partial(task.display.track, doing="training sources")
    build_zoo(fleet, able, folder, config.sources, config.jobs, config.plugin, progress)
    return str(folder)
