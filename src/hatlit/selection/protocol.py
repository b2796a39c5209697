"""The whole selection: cards first, then the candidates' encoders, and an account of every byte and every decision."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hatlit.config import SelectionConfig
from hatlit.datamodules.target.data import TargetData
from hatlit.encoders.base import Classifier
from hatlit.errors import InputError
from hatlit.selection.coarse import best_first, coarse
from hatlit.selection.fine import WITHOUT_LABELS
from hatlit.selection.fine_stage import FineStage
from hatlit.selection.learned import ENOUGH_TARGETS, Experience, LearningSimilarity, experience_of
from hatlit.selection.similarity import SIMILARITIES
from hatlit.selection.statistics import Profile, profile
from hatlit.selection.traffic import FLOAT_BYTES, Traffic
from hatlit.selection.verdict import Verdict, as_reason
from hatlit.zoo.card import Card
from hatlit.zoo.index import CardIndex
from hatlit.zoo.store import Zoo
from hatlit.zoo.table import Kind, Table

#: How many sources are selected where the user does not say.
DEFAULT_NUM_SOURCES = 5


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
    ranking get a closer look as well; not with ``config.doubt`` off.

    The target's device sends its statistics and receives the candidates' models; what is chosen is then already there,
    so the transfer itself costs nothing more.

    Args:
        zoo: the sources.
        target: the new domain; only its training part is looked at.
        config: statistics, similarity, share to keep, fine score, doubt.
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
    score = _fine_score(config.fine, target, say)
    stage = FineStage(zoo, index, target, score, count, config.doubt, seed, verdicts, traffic)
    asked, chosen = stage.choose(in_order, num_kept)
    traffic.add("fine", read=zoo.bytes_read - before)
    if len(asked) > num_kept:
        say(f"Too few of the first {num_kept} candidates were of use, so {len(asked)} got a closer look.")
    broken = [verdicts[row].reason for row in asked if verdicts[row].reason.startswith("dropped: ")]
    if broken:
        say(f"{len(broken)} of the {len(asked)} candidates are left out; the first was {broken[0]}.")
    if len(chosen) < count:
        sound = f"{len(chosen)} of the {len(asked)} candidates give a finite score and are no copies"
        say(f"Only {sound}, so no more are asked.")
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
        if why:
            verdict.drop(why)
    return [row for row, verdict in enumerate(verdicts) if not verdict.reason]


def _why_not_it(domain: str, joined: int, target: TargetData, students: bool) -> str:
    if domain == target.domain.name:  # whatever data set it says it is from: rather one source too few than a leak
        return "trained on the target itself"
    return "a student, and --selection.students is false" if joined and not students else ""


def _why_not_its_kind(kind: Kind, target: TargetData) -> str:
    if not set(kind.class_names) & set(target.class_names):
        return "no class name in common with the target"
    return as_reason(target.can_show(kind.input_spec))


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


def _fine_score(asked: str, target: TargetData, say: Callable[[str], None]) -> str:
    if asked != SelectionConfig.fine or len(target.split.labelled):
        return asked
    say(f"The target has no label, so candidates are judged by '{WITHOUT_LABELS}'.")
    return WITHOUT_LABELS


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
