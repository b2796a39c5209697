"""What comes before a method is trained: names that exist, a target, what its student is, and the sources it asks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hatlit.config import TrainConfig
from hatlit.datamodules.base import MODALITIES, Domain, DomainSet
from hatlit.datamodules.split import present_classes, split_domain
from hatlit.datamodules.target.data import TargetData
from hatlit.encoders.base import Classifier, find_encoder
from hatlit.errors import InputError
from hatlit.experiments.display import Display, counted, human_bytes
from hatlit.experiments.fitting import make_trainer
from hatlit.experiments.fleet import cached_zoo, refuse_too_many
from hatlit.injection.losses.base import INJECTION_LOSSES
from hatlit.injection.schedule import SCHEDULES
from hatlit.methods.base import METHODS, SelectedSource
from hatlit.selection.fine import FINE_SCORES
from hatlit.selection.protocol import Selection, select
from hatlit.selection.similarity import SIMILARITIES
from hatlit.selection.statistics import STATISTICS
from hatlit.selection.verdict import Verdict
from hatlit.stopwatch import Stopwatch
from hatlit.students.skeletons import AUTO
from hatlit.zoo.card import Card
from hatlit.zoo.store import Zoo


def check(config: TrainConfig) -> None:
    """Refuses what cannot be before anything is read or written: unknown names, and hardware that is not there.

    Raises:
        InputError: there is such a name, or such hardware.
    """
    check_names(config)
    make_trainer(config.trainer, [], [])


def check_names(config: TrainConfig) -> None:
    """Looks up every name in the options, before anything that takes time.

    Raises:
        InputError: nobody registered one of them, and the message names the nearest; or sources are to be compared by
            statistics that their cards will not carry.
    """
    MODALITIES.get(config.modality)
    if config.labels.none and METHODS.get(config.method).needs_labels:
        able = [name for name in METHODS.names() if not METHODS.get(name).needs_labels and not name.startswith("hat_")]
        raise InputError(
            f"Method '{config.method}' learns from labels, and --labels.per_class 0 leaves none; "
            f"without labels there are {', '.join(able)}."
        )
    METHODS.get(config.method)
    if config.student and config.student != AUTO:
        find_encoder(config.student, config.modality, also=(AUTO,))
    asked = config.sources.modality or config.modality
    MODALITIES.get(asked)
    STATISTICS.get(config.selection.statistics, asked)
    for name in config.sources.statistics:
        STATISTICS.get(name, asked)
        STATISTICS.get(name, config.modality)  # the student's own card carries it, too
    if config.zoo is None and config.selection.statistics not in config.sources.statistics:
        raise InputError(
            f"--selection.statistics {config.selection.statistics} is not among --sources.statistics "
            f"{','.join(config.sources.statistics)}, which the cards will carry; add it there."
        )
    SIMILARITIES.get(config.selection.similarity)
    FINE_SCORES.get(config.selection.fine)
    SCHEDULES.get(config.hat.injection.schedule)
    INJECTION_LOSSES.get(config.hat.injection.loss)


def choose_target(data: DomainSet, asked: DomainSet, config: TrainConfig, display: Display) -> TargetData:
    """Splits the target domain that the options name, or the first one, and says what it is.

    Args:
        data: the domains as the student sees them.
        asked: the domains as sources see them; the same object where that is no different.
        config: the options.
        display: speaks to the user.

    Raises:
        InputError: the data set has no such domain, or it has no label at all, or too few for a test part.
    """
    domain = data.domain(config.target) if config.target else data.domains[0]
    paired = None if asked is data else asked.domain(domain.name)
    target = TargetData(domain, split_domain(domain, config.labels, config.seed), paired)
    if not len(target.split.labelled) and not config.labels.none:
        raise InputError(
            f"Target '{domain.name}' has no labelled sample; label at least one of each class, or let the sources do "
            "without: --labels.per_class 0."
        )
    if not len(target.split.test) and len(present_classes(domain)):
        raise InputError(f"Target '{domain.name}' has too few labelled samples to keep any for the test; add some.")
    if data.is_demo:
        display.say("demo data: simulated, not recorded; use --data.name for a real data set")
    display.say(
        f"{data.name}: {counted(len(data.domains), 'domain')}; target {domain.name} has "
        f"{len(target.class_names)} classes, "
        f"{counted(len(target.split.train), 'training sample')}, {len(target.split.labelled)} of them labelled, "
        f"and {counted(len(target.split.test), 'test sample')}"
    )
    if paired:
        display.say(f"the sources see the {asked.modality} recordings of the same samples")
    absent = sorted(set(data.class_names) - set(target.class_names))
    if absent:
        display.say(f"target {domain.name} has no samples of {', '.join(absent)}; its student will not know them")
    return target


def choose_sources(
    config: TrainConfig, data: DomainSet, target: TargetData, zoo: Zoo | None, display: Display, clock: Stopwatch
) -> Selection | None:
    """Selects the sources that a method asks, of a zoo or of one that is trained on the other domains of ``data``.

    Returns:
        What was chosen and why; None where neither the method asks any nor students are ranked by what they say.

    Raises:
        InputError: there are no sources that could be asked.
    """
    if not METHODS.get(config.method).needs_sources and config.student != AUTO:
        return None
    if zoo is None:
        refuse_too_many("--num_sources", config.num_sources or 1, data, config.sources)
        with clock("zoo"):
            progress = partial(display.track, doing="training sources")
            zoo = cached_zoo(data, target.domain, config.sources, config.jobs, config.plugin, progress)
    with clock("selection"):
        selection = select(zoo, target, config.selection, config.num_sources, config.seed, display.say)
    display.table("sources selected", [_source_row(verdict) for verdict in selection.verdicts if verdict.selected])
    traffic = selection.traffic
    display.say(
        f"selection moved {human_bytes(traffic.total)}, {traffic.against_everything:.0%} of "
        f"{human_bytes(traffic.everything)} for every model"
    )
    return selection


def selected(selection: Selection | None) -> Sequence[SelectedSource]:
    """The chosen sources as methods are given them, best first."""
    return as_sources(selection.cards, selection.models) if selection else ()


def as_sources(cards: Sequence[Card], models: Sequence[Classifier]) -> Sequence[SelectedSource]:
    """Sources as methods are given them, from their cards and models."""
    return tuple(
        SelectedSource(card.id, card.encoder, model, card.class_names, card.domain, card.centroids, card.round)
        for card, model in zip(cards, models, strict=True)
    )


def source_domains(config: TrainConfig, data: DomainSet, selection: Selection | None) -> Sequence[Domain]:
    """The recordings of the chosen sources' own domains, for a method that needs them; the traffic says what they cost.

    Those of students are not among them: their owners labelled a few samples, and the recordings here have all labels.

    Raises:
        InputError: they are not there.
    """
    if selection is None or not METHODS.get(config.method).needs_source_data:
        return ()
    cards = [card for card in selection.cards if card.round == 0]
    missing = [card.domain for card in cards if card.domain not in data.names]
    if missing:
        raise InputError(
            f"Method '{config.method}' needs the recordings of the sources' own domains, and data set '{data.name}' "
            f"has no '{missing[0]}'; leave the method out, or name the data set that the zoo was trained on."
        )
    domains = tuple(data.domain(card.domain) for card in cards)
    selection.traffic.add("transfer", down=sum(domain.samples.nbytes for domain in domains))
    return domains


def _source_row(verdict: Verdict) -> dict[str, str]:
    return {
        "source": verdict.id,
        "encoder": verdict.encoder,
        "size": human_bytes(verdict.size_bytes),
        "likeness": f"{verdict.coarse_score:.2f}" if verdict.coarse_score is not None else "-",
        "fine score": f"{verdict.fine_score:.3f}",
        "accuracy on the labelled": f"{verdict.accuracy:.2f}" if verdict.accuracy is not None else "-",
        "agreement": f"{verdict.agreement:.2f}",
    }
