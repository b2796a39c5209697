"""Turning the domains of a data set into a zoo of sources."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from hatlit.config import DataConfig, ExpansionConfig, LabelsConfig, SourcesConfig
from hatlit.datamodules.base import DATASETS, MODALITIES, Domain, DomainSet, build_view
from hatlit.datamodules.class_map import read_class_map, rename_classes
from hatlit.datamodules.datasets.download import fetch
from hatlit.datamodules.split import fit_view, labelled_rows, present_classes, split_domain
from hatlit.encoders.base import find_encoder
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.workers import worker_pool
from hatlit.files import cache_folder, file_hash
from hatlit.selection.statistics import STATISTICS, common_view, profile
from hatlit.threads import one_thread
from hatlit.zoo.card import Card, Provenance, Statistic, StatisticsSpec, ZooInfo, is_safe_id
from hatlit.zoo.noise import noisy
from hatlit.zoo.store import Zoo
from hatlit.zoo.train_source import TrainedSource, default_encoders, examine, random_source, shuffled, train_source

#: How the ids of useless sources begin, which are there to see that they are not chosen.
CONTROL = "control-"

#: Samples from which the view is fitted on which encoders are tried.
ROWS_TO_TRY = 64

KILLED = (
    "A process that trained sources was killed, perhaps for want of memory; the same command trains those that are "
    "missing, and with --jobs 1 it needs less memory."
)

#: Goes through items and shows how far it got.
Progress = Callable[[Any], Iterable[Any]]

#: A source to train: the domain, the name of the architecture, how, and the seed.
Order = tuple[Domain, str, SourcesConfig, int]


def read_domains(modality: str, config: DataConfig, display: Display) -> DomainSet:
    """Reads the domains that the options name, after fetching them where the options say so.

    Raises:
        InputError: the modality or the data set is unknown, it cannot be downloaded, nothing readable lies at the root,
            a class has no labelled sample, or the class map does not fit.
    """
    MODALITIES.get(modality)
    root = Path(config.root) if config.root else None
    if config.download:
        with display.transfer(f"downloading {config.name}") as tell:
            root = fetch(config.name, modality, root, tell)
    data = DATASETS.get(config.name, modality)(root, modality)
    if config.class_map is not None:
        data = rename_classes(data, read_class_map(config.class_map))
    seen = set().union(*(present_classes(domain).tolist() for domain in data.domains))
    unseen = [name for number, name in enumerate(data.class_names) if number not in seen]
    if unseen:
        remedy = (
            "label one, or leave the class out of class_names"
            if data.name == "arrays"
            else f"see whether all of the set's files are in '{config.root}'"
        )
        raise InputError(
            f"Class '{unseen[0]}' of data set '{data.name}' has no labelled sample in any domain; {remedy}."
        )
    return data


def read_asked(data: DomainSet, config: DataConfig, sources: SourcesConfig, display: Display) -> DomainSet:
    """Reads the domains as sources see them: the same ones, or paired recordings of another modality.

    Raises:
        InputError: the data set has no such modality, or its rows are not those of ``data``.
    """
    if sources.modality in (None, data.modality):
        return data
    asked = read_domains(sources.modality, config, display)
    if data.names != asked.names or not all(map(_are_paired, data.domains, asked.domains)):
        raise InputError(
            f"The {data.modality} and {asked.modality} samples of data set '{data.name}' are not paired row by row, so "
            f"sources of one cannot teach a student of the other."
        )
    return asked


def open_zoo(url: str, modality: str, config: DataConfig) -> Zoo:
    """Opens the zoo that the options name, its classes renamed where they say so.

    Raises:
        InputError: there is none, one of another modality, or the class map names a source that it does not have.
    """
    if config.class_map is None:
        return Zoo.open(url, modality)
    names = read_class_map(config.class_map)
    zoo = Zoo.open(url, modality, names.of_source)
    for source in names.sources:
        zoo.card(source)  # says which one is not there
    return zoo


def _are_paired(one: Domain, other: Domain) -> bool:
    return np.array_equal(one.labels, other.labels) and np.array_equal(one.groups, other.groups)


def source_id(domain: Domain) -> str:
    """The id that the source of a domain gets: the domain's name, made safe for a folder."""
    if is_safe_id(domain.name):
        return domain.name
    digest = hashlib.sha256(domain.name.encode()).hexdigest()[:6]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", f"{domain.name[:64]}-{digest}").lstrip("-_")


def zoo_info(data: DomainSet, config: SourcesConfig) -> ZooInfo:
    """What all sources trained on a data set have in common.

    Raises:
        InputError: nobody registered one of the statistics for such samples.
    """
    for name in config.statistics:
        STATISTICS.get(name, data.modality)
    spec = StatisticsSpec(names=tuple(config.statistics), view=common_view(data.domains), seed=0)
    return ZooInfo(modality=data.modality, statistics=spec)


def publish(
    zoo: Zoo, name: str, dataset: str, domain: Domain, trained: TrainedSource, provenance: Provenance | None = None
) -> Card:
    """Adds a trained source to a zoo, with the statistics of its domain.

    Args:
        zoo: where to.
        name: id of the new source.
        dataset: name of the data set that the domain belongs to.
        domain: whose data the source was trained on.
        trained: the source.
        provenance: of a student, None for a source that had all labels.

    Raises:
        InputError: the id is taken by another source, or the zoo is of another kind.
    """
    statistics = statistics_of(zoo, domain, trained.noise)
    return zoo.add(
        name, domain=domain.name, dataset=dataset, statistics=statistics, provenance=provenance, **vars(trained)
    )


def statistics_of(zoo: Zoo, domain: Domain, noise: float) -> dict[str, Statistic]:
    """What a domain publishes in a zoo, of its training rows.

    Args:
        zoo: which statistics, in which view.
        domain: of whose data.
        noise: standard deviation of the noise on each mean and each spread, in units of that spread.
    """
    spec = zoo.info.statistics
    rows = split_domain(domain, LabelsConfig(), seed=0).train
    windows = build_view(domain.tensor(rows), domain.recorded, spec.view)
    profiles = {name: profile(name, windows, spec.view, spec.seed) for name in spec.names}
    return {
        name: Statistic.of(
            noisy(one.mean, one.spread, noise, domain, f"mean of {name}"),
            np.abs(noisy(one.spread, one.spread, noise, domain, f"spread of {name}")),
        )
        for name, one in profiles.items()
    }


def build_zoo(
    data: DomainSet,
    domains: Sequence[Domain],
    url: str | Path,
    config: SourcesConfig,
    jobs: int,
    plugins: Sequence[str],
    progress: Progress,
) -> Zoo:
    """Trains a source for each domain that has none in the zoo yet, architectures in turn.

    Each source enters the zoo as soon as it is trained, so an interrupted build goes on where it stopped.

    Args:
        data: all domains; a domain's place among them decides its architecture.
        domains: those that become sources.
        url: where the zoo is or will be.
        config: how sources are trained.
        jobs: processes that train side by side; 0 means one a core.
        plugins: Python files that those processes must load as well.
        progress: goes through what is trained and shows how far it got.

    Raises:
        InputError: another zoo lies there, an architecture or a statistic is unknown, or a domain cannot become a
            source.
    """
    encoders = encoders_of(data, config)
    for name in encoders:
        find_encoder(name, data.modality)
    zoo = Zoo.create(url, zoo_info(data, config))
    missing = [domain for domain in domains if not zoo.has(source_id(domain))]
    places = [data.names.index(domain.name) for domain in missing]
    orders = [(d, encoders[n % len(encoders)], config, config.seed + n) for d, n in zip(missing, places, strict=True)]
    if missing:
        for domain, trained in progress(_Trained(orders, jobs, plugins)):
            publish(zoo, source_id(domain), data.name, domain, trained)
    return zoo


def encoders_of(data: DomainSet, config: SourcesConfig) -> list[str]:
    """The architectures that the domains get in turn: those of the options, or the modality's own.

    Raises:
        InputError: none suits the samples.
    """
    if config.encoders:
        return list(config.encoders)
    first = data.domains[0]
    return default_encoders(fit_view(first, np.arange(min(len(first), ROWS_TO_TRY))))


def cached_zoo(
    data: DomainSet, target: Domain, config: SourcesConfig, jobs: int, plugins: Sequence[str], progress: Progress
) -> Zoo:
    """The zoo that serves a target where the user names none: every other domain's source, kept in the cache.

    A domain without any label cannot teach and gets none.

    Raises:
        InputError: there is no other domain with labels.
    """
    others = [d for d in data.domains if d.name != target.name and len(present_classes(d))]
    if not others:
        raise InputError(
            f"Data set '{data.name}' has no labelled domain besides the target '{target.name}'; name a --zoo."
        )
    return cached_sources(data, others, config, jobs, plugins, progress)


def refuse_too_many(option: str, wanted: int, data: DomainSet, config: SourcesConfig) -> None:
    """Refuses more sources than a zoo trained on the domains besides the target can have, before any is trained.

    Selection may still find fewer that it can use, and then says so.

    Args:
        option: the option that asks for them, as the user types it.
        wanted: how many.
        data: the domains, the target among them.
        config: of the sources.

    Raises:
        InputError: there cannot be so many.
    """
    able = sum(bool(len(present_classes(domain))) for domain in data.domains)
    most = able - 1 + 2 * min(config.controls, len(data.domains))  # of each of the two kinds of controls so many
    if 0 < most < wanted:  # where there is none at all, who trains them says why
        raise InputError(f"{option} {wanted} asks for more sources than the {most} that the zoo can offer.")


def cached_sources(
    data: DomainSet,
    domains: Sequence[Domain],
    config: SourcesConfig,
    jobs: int,
    plugins: Sequence[str],
    progress: Progress,
) -> Zoo:
    """The zoo in the cache for data and sources of this kind, after training the sources of some domains that it lacks.

    It may hold sources of other domains, which were asked for before. Control sources are there as well, if any are
    asked for.
    """
    zoo = build_zoo(data, domains, cached_folder(data, config, plugins), config, jobs, plugins, progress)
    for number in range(min(config.controls, len(data.domains))):
        add_controls(zoo, data, data.domains[number], config, number)
    return zoo


def sources_of_all(data: DomainSet, config: ExpansionConfig, display: Display) -> Zoo:
    """The zoo in the cache with a source of every domain that has labels, after training those that it lacks."""
    able = [domain for domain in data.domains if len(present_classes(domain))]
    progress = partial(display.track, doing="training sources")
    return cached_sources(data, able, config.sources, config.jobs, config.plugin, progress)


def noisy_copy(zoo: Zoo, data: DomainSet, noise: float) -> Zoo:
    """A zoo beside another one, with its models, and with cards that are written anew with so much noise.

    Args:
        zoo: the other one, of sources of ``data``.
        data: what they were trained on.
        noise: see ``--sources.card_noise``.
    """
    copy = Zoo.create(f"{zoo.url}-noise-{noise}", zoo.info)
    for card in zoo.cards():
        if not copy.has(card.id):
            domain = data.domain(card.domain)
            split = split_domain(domain, LabelsConfig(), seed=0)
            rows = labelled_rows(domain, split), split.test
            model = zoo.load(card.id, card)
            source = examine(model, card.encoder, card.class_names, domain, *rows, card.training, noise)
            publish(copy, card.id, data.name, domain, source)
    return copy


def add_controls(zoo: Zoo, data: DomainSet, domain: Domain, config: SourcesConfig, number: int) -> None:
    """Adds two useless sources of a domain to a zoo, as far as they are not there; their cards hide nothing."""
    encoders = encoders_of(data, config)
    encoder = encoders[number % len(encoders)]
    split = split_domain(domain, LabelsConfig(), seed=0)
    rows = labelled_rows(domain, split)
    if not len(rows) or not len(split.test):
        return
    name = f"{CONTROL}random-{number:02d}"
    if not zoo.has(name):
        publish(zoo, name, data.name, domain, random_source(domain, rows, split.test, encoder, config.seed + number))
    name = f"{CONTROL}shuffled-{number:02d}"
    if not zoo.has(name):
        believed = shuffled(domain, config.seed + number)
        trained = train_source(believed, rows, split.test, encoder, config, config.seed + number)
        publish(zoo, name, data.name, domain, trained)


def cached_folder(data: DomainSet, config: SourcesConfig, plugins: Sequence[str] = ()) -> Path:
    """Where the cache keeps sources of this data trained this way; other data, options or code have another folder."""
    encoders = encoders_of(data, config)
    code = [version("hatlit"), *(file_hash(Path(path)) for path in plugins)]
    options = {**asdict(config), "encoders": encoders}
    known_by = json.dumps([options, zoo_info(data, config).model_dump(mode="json"), data.fingerprint, code])
    digest = hashlib.sha256(known_by.encode()).hexdigest()[:12]
    return cache_folder() / "zoos" / f"{data.modality}-{data.name}-{digest}"


class _Trained(Sized, Iterable[tuple[Domain, TrainedSource]]):
    """Trains sources in processes of one thread each, and hands them out in order as they are ready."""

    def __init__(self, orders: Sequence[Order], jobs: int, plugins: Sequence[str]) -> None:
        self._orders, self._plugins = orders, tuple(plugins)
        self._jobs = min(jobs or os.cpu_count() or 1, len(orders))

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[tuple[Domain, TrainedSource]]:
        domains = [order[0] for order in self._orders]
        if self._jobs == 1:
            yield from zip(domains, map(_train_one, self._orders), strict=True)
            return
        with worker_pool(self._jobs, self._plugins) as pool:
            trained = [pool.submit(_train_one, order) for order in self._orders]
            try:
                for domain, one in zip(domains, trained, strict=True):
                    yield domain, one.result()
            except BrokenProcessPool as error:
                raise InputError(KILLED) from error


def _train_one(order: Order) -> TrainedSource:
    domain, encoder, config, seed = order
    split = split_domain(domain, LabelsConfig(), seed=0)
    with one_thread():  # as in a process beside others, so that the weights are the same
        return train_source(domain, labelled_rows(domain, split), split.test, encoder, config, seed)
