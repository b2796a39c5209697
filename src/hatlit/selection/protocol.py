"""The whole selection: cards first, then the candidates' encoders, and an account of every byte and every decision."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hatlit.config import SelectionConfig
from hatlit.datamodules.target.data import TargetData
from hatlit.encoders.base import Classifier
from hatlit.errors import InputError
from hatlit.selection.closer_look import CloserLook, is_finite, look_at
from hatlit.selection.coarse import best_first, coarse
from hatlit.selection.fine import FINE_SCORES, accuracy
from hatlit.selection.learned import ENOUGH_TARGETS, Experience, LearningSimilarity, experience_of
from hatlit.selection.similarity import SIMILARITIES
from hatlit.selection.statistics import Profile, profile
from hatlit.selection.traffic import Traffic
from hatlit.zoo.card import Card
from hatlit.zoo.index import CardIndex
from hatlit.zoo.store import Zoo
from hatlit.zoo.table import Kind, Table

#: Bytes of one float32 number, as statistics and centroids travel.
FLOAT_BYTES = 4

#: How many sources are selected where the user does not say.
DEFAULT_NUM_SOURCES = 5

#: Models held while others are looked at, by how many are wanted: a few more, as ranks change when others join.
HELD = 2


@dataclass(slots=True)
class Verdict:
    """What selection found out about one source.

    Attributes:
        id: the source.
        domain: the domain it was trained on.
        encoder: its architecture.
        size_bytes: what its model weighs.
        coarse_score: likeness of its statistics to the target's, None where it was not compared.
        fine_score: its worth on the labelled few, None where it did not get that far or is not finite.
        accuracy: share of the labelled few that it classifies correctly, None where it did not get that far.
        agreement: with the other candidates about unlabelled samples, from 0 to 1, None where it did not get that far.
        selected: whether it is one of the chosen.
        reason: why it was kept or dropped.
    """

    id: str
    domain: str
    encoder: str
    size_bytes: int
    coarse_score: float | None = None
    fine_score: float | None = None
    accuracy: float | None = None
    agreement: float | None = None
    selected: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Selection:
    """The outcome of a selection.

    Attributes:
        verdicts: one a source of the zoo, the chosen first, then by how far each got.
        models: the chosen sources, best first.
        cards: their cards, in the same order.
        traffic: bytes by stage.
        pairs_learned_from: how many pairs of earlier rounds the coarse stage learned from; 0 where it did not learn.
    """

    verdicts: list[Verdict]
    models: list[Classifier]
    cards: list[Card]
    traffic: Traffic
    pairs_learned_from: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for ``selection.json``."""
        return {
            "traffic": self.traffic.as_dict(),
            "pairs_learned_from": self.pairs_learned_from,
            "sources": [asdict(verdict) for verdict in self.verdicts],
        }


def select(
    zoo: Zoo,
    target: TargetData,
    config: SelectionConfig,
    num_sources: int | None,
    seed: int,
    say: Callable[[str], None],
) -> Selection:
    """Chooses the sources worth asking: coarse on cards alone, then fine on the candidates.

    Cards may lie. Where fewer of the kept candidates than are wanted turn out to be of use (their answers are finite,
    no mere guesses on the labelled few, and not without agreement with those of others), the next ones of the coarse
    ranking get a closer look as well.

    The target's device sends its statistics and receives the candidates' models; what is chosen is then already there,
    so the transfer itself costs nothing more.

    Args:
        zoo: the sources.
        target: the new domain; only its training part is looked at.
        config: statistics, similarity, share to keep, fine score.
        num_sources: how many to choose; None means five, or as many as there are.
        seed: for scores that draw at random.
        say: shows one line to the user.

    Raises:
        InputError: the zoo has too few usable sources, none with finite outputs, or no statistics of that name.
    """
    before = zoo.bytes_read
    index = zoo.index()
    table = index.table
    verdicts = [Verdict(*row) for row in zip(table.ids, table.domains, table.encoders, table.size_bytes, strict=True)]
    usable = _usable(zoo, table, target, config.students, verdicts)
    count = _how_many(num_sources, len(usable), verdicts, say)
    traffic = Traffic(everything=sum(verdicts[row].size_bytes for row in usable))
    experience = _experience(zoo, index, usable, target, config, say)
    in_order, num_kept = _coarse_stage(zoo, index, usable, target, config, count, experience, verdicts, traffic)
    traffic.add("coarse", read=zoo.bytes_read - before)
    before = zoo.bytes_read
    kept, chosen = _fine_stage(zoo, index, in_order, num_kept, target, config, count, seed, verdicts, traffic)
    traffic.add("fine", read=zoo.bytes_read - before)
    if len(kept) > num_kept:
        say(f"Too few of the first {num_kept} candidates were of use, so {len(kept)} got a closer look.")
    broken = [verdicts[row].reason for row in kept if verdicts[row].reason.startswith("dropped: ")]
    if broken:
        say(f"{len(broken)} of the {len(kept)} candidates are left out; the first was {broken[0]}.")
    if len(chosen) < count:
        say(f"Only {len(chosen)} of the {len(kept)} candidates give a finite score, so no more are asked.")
    order = {card.id: place for place, (card, _) in enumerate(chosen)}
    ranked = sorted(verdicts, key=lambda verdict: _place(verdict, order))
    learned_from = len(experience.source) if experience else 0
    return Selection(ranked, [model for _, model in chosen], [card for card, _ in chosen], traffic, learned_from)


def why_unusable(card: Card, target: TargetData, students: bool) -> str:
    """Why a source cannot be asked about a target, whatever its statistics say; empty where it can.

    Args:
        card: of the source.
        target: the new domain.
        students: whether students may be asked.
    """
    kind = Kind(class_names=card.class_names, input_spec=card.input_spec)
    return _why_not_it(card.domain, card.round, target, students) or _why_not_its_kind(kind, target)


def _usable(zoo: Zoo, table: Table, target: TargetData, students: bool, verdicts: list[Verdict]) -> list[int]:
    """Returns the rows of the sources that could serve the target, and says of the others why not."""
    of_kinds: dict[tuple[int, tuple[str, ...]], str] = {}
    for row, (verdict, kind, joined) in enumerate(zip(verdicts, table.kind, table.rounds, strict=True)):
        named = zoo.class_names(table, row)
        if (kind, named) not in of_kinds:
            as_named = Kind(class_names=named, input_spec=table.kinds[kind].input_spec)
            of_kinds[kind, named] = _why_not_its_kind(as_named, target)
        why = _why_not_it(verdict.domain, joined, target, students) or of_kinds[kind, named]
        verdict.reason = f"dropped: {why}" if why else ""
    return [row for row, verdict in enumerate(verdicts) if not verdict.reason]


def _why_not_it(domain: str, joined: int, target: TargetData, students: bool) -> str:
    if domain == target.domain.name:  # whatever data set it says it is from: rather one source too few than a leak
        return "trained on the target itself"
    return "a student, and --selection.students is false" if joined and not students else ""


def _why_not_its_kind(kind: Kind, target: TargetData) -> str:
    if not set(kind.class_names) & set(target.class_names):
        return "no class name in common with the target"
    return _as_reason(target.can_show(kind.input_spec))


def _as_reason(sentence: str) -> str:
    return f"{sentence[:1].lower()}{sentence[1:].rstrip('.')}"


def _how_many(wanted: int | None, usable: int, verdicts: list[Verdict], say: Callable[[str], None]) -> int:
    if not usable:
        reasons = sorted({verdict.reason.removeprefix("dropped: ") for verdict in verdicts})
        why = f"of its {len(verdicts)} sources: {'; '.join(reasons)}" if verdicts else "it is empty"
        raise InputError(f"The zoo has no usable source for this target ({why}); use another zoo.")
    if wanted is not None and wanted > usable:
        raise InputError(f"--num_sources {wanted} asks for more sources than the {usable} that the zoo can offer.")
    if wanted is not None:
        return wanted
    if usable < DEFAULT_NUM_SOURCES:
        say(f"The zoo can offer {usable} source{'s' * (usable != 1)}, so all of them are asked.")
    return min(DEFAULT_NUM_SOURCES, usable)


def _experience(
    zoo: Zoo,
    index: CardIndex,
    usable: Sequence[int],
    target: TargetData,
    config: SelectionConfig,
    say: Callable[[str], None],
) -> Experience | None:
    """What earlier rounds measured, for a similarity that learns; None where it is none, or there is too little."""
    if not isinstance(SIMILARITIES.get(config.similarity), LearningSimilarity):
        return None
    _check_statistics(zoo, config.statistics)
    experience = experience_of(zoo.pairs(), index, config.statistics, usable, target.domain.name)
    if experience.is_enough:
        return experience
    say(
        f"The similarity '{config.similarity}' has pairs of {experience.num_targets} earlier targets to learn from and "
        f"wants {ENOUGH_TARGETS}, so sources are compared by their statistics alone."
    )
    return None


def _check_statistics(zoo: Zoo, name: str) -> None:
    names = zoo.info.statistics.names
    if name not in names:
        raise InputError(
            f"The zoo '{zoo.url}' carries the statistics {', '.join(names)}, not '{name}'; "
            "choose one of them with --selection.statistics, or build a zoo that has it."
        )


def _coarse_stage(
    zoo: Zoo,
    index: CardIndex,
    usable: Sequence[int],
    target: TargetData,
    config: SelectionConfig,
    count: int,
    experience: Experience | None,
    verdicts: list[Verdict],
    traffic: Traffic,
) -> tuple[list[int], int]:
    """Scores the usable rows of the index by their cards alone; returns them best first, and how many are kept."""
    spec, name = zoo.info.statistics, config.statistics
    _check_statistics(zoo, name)
    own = profile(name, target.view(spec.view), spec.view, spec.seed)
    sources = Profile(*index.statistics(name, usable))
    scores, kept = coarse(own, sources, config.similarity, config.keep, count, experience)
    traffic.add("coarse", up=FLOAT_BYTES * (own.mean.size + own.spread.size))
    reason = f"dropped by the coarse stage: not among the {len(kept)} most alike of {len(usable)}"
    for row, score in zip(usable, scores.tolist(), strict=True):
        verdicts[row].coarse_score = score if math.isfinite(score) else None
        verdicts[row].reason = reason
    return [usable[number] for number in best_first(scores).tolist()], len(kept)


def _fine_stage(
    zoo: Zoo,
    index: CardIndex,
    ranked: Sequence[int],
    num_kept: int,
    target: TargetData,
    config: SelectionConfig,
    count: int,
    seed: int,
    verdicts: list[Verdict],
    traffic: Traffic,
) -> tuple[Sequence[int], list[tuple[Card, Classifier]]]:
    """Asks the kept candidates, one at a time, and holds few more than the ``count`` best.

    Returns:
        The rows of all that were asked, more than were kept where too few of those are of use; and the chosen.
    """
    score = FINE_SCORES.get(config.fine)
    held = _Held(zoo, index, HELD * count)
    look = CloserLook(len(target.class_names))
    kept: list[int] = []
    answered: list[int] = []
    for place, row in enumerate(ranked):
        if place >= num_kept and look.of_use >= count:
            break
        kept.append(row)
        verdict = verdicts[row]
        try:
            card, model = held.load(row)
        except InputError as fault:
            verdict.reason = f"dropped: {_as_reason(str(fault))}"
            continue
        candidate = look_at(card, model, target, seed + place)
        verdict.reason = ""
        verdict.accuracy = accuracy(candidate) if len(candidate.labels) else None
        traffic.add("fine", down=card.size_bytes + FLOAT_BYTES * _numbers_of_centroids(card))
        if is_finite(candidate):
            look.add(candidate)
            answered.append(row)
            held.keep(row, card, model, score(candidate))
    worths = dict.fromkeys(kept, math.nan)
    doubts: dict[int, str] = {}
    for row, (candidate, doubt) in zip(answered, look.judged(), strict=True):
        worth, verdict = score(candidate), verdicts[row]
        verdict.agreement, doubts[row] = candidate.agreement, doubt
        if math.isfinite(worth):
            verdict.fine_score = worths[row] = worth
    order = [kept[place] for place in best_first(np.array([worths[row] for row in kept])).tolist()]
    order = [row for row in order if not verdicts[row].reason]
    chosen = [row for row in order if verdicts[row].fine_score is not None][:count]
    for rank, row in enumerate(order, start=1):
        verdict = verdicts[row]
        verdict.selected = row in chosen
        what = "selected" if verdict.selected else "dropped by the fine stage"
        told = f"rank {rank} of {len(order)}" if verdict.fine_score is not None else "no finite score"
        doubt = f", {doubts[row]}" if verdict.fine_score is not None and doubts[row] else ""
        verdict.reason = f"{what}: {told} by {config.fine}{doubt}"
    if not chosen:
        why = f"; the first was {verdicts[kept[0]].reason}" if not order else ""
        raise InputError(f"No candidate has a finite score by {config.fine} on this target{why}; use another zoo.")
    return kept, [held.get(row) for row in chosen]


class _Held:
    """The models of the candidates that seemed best when they were looked at; the others are read again if need be."""

    def __init__(self, zoo: Zoo, index: CardIndex, most: int) -> None:
        self._zoo, self._index, self._most = zoo, index, most
        self._worths: dict[int, float] = {}
        self._models: dict[int, tuple[Card, Classifier]] = {}

    def load(self, row: int) -> tuple[Card, Classifier]:
        """Reads a candidate.

        Raises:
            InputError: its card or its weights are of no use.
        """
        card = self._zoo.candidate(self._index, row)
        return card, self._zoo.load(card.id, card)

    def keep(self, row: int, card: Card, model: Classifier, worth: float) -> None:
        """Holds a model, and lets go of the one that seems worst where there are too many."""
        self._worths[row] = worth if math.isfinite(worth) else -math.inf
        self._models[row] = card, model
        if len(self._models) > self._most:
            del self._models[min(self._models, key=lambda one: self._worths[one])]

    def get(self, row: int) -> tuple[Card, Classifier]:
        """A candidate that was looked at."""
        return self._models[row] if row in self._models else self.load(row)


def _numbers_of_centroids(card: Card) -> int:
    return sum(len(centroid) for centroid in card.centroids if centroid is not None)


def _place(verdict: Verdict, order: dict[str, int]) -> tuple[bool, int, bool, float, bool, float]:
    fine, likeness = verdict.fine_score, verdict.coarse_score
    return (
        not verdict.selected,
        order.get(verdict.id, 0),
        fine is None,
        -(fine or 0.0),
        likeness is None,
        -(likeness or 0.0),
    )
