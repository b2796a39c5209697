"""A fleet that grows: domains join round after round, and the students of each round are sources of the next ones.

expand-<method>-<data>-seed<s>-<hash>/
  zoo/                  the fleet: the initial sources, the students of every round that is over, and how well sources
                        did on their targets
  runs/                 the folder of each run
  rounds/round-001.json what a round came to; written in one piece when all its runs are done, before any of its
                        students is published, so that an interrupted expansion always knows which fleet a run may see
"""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from hatlit.config import ExpandConfig, ExpansionConfig, TrainConfig
from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.split import present_classes, split_domain
from hatlit.datamodules.target.data import TargetData
from hatlit.errors import InputError
from hatlit.experiments.budgets import read_budgets
from hatlit.experiments.class_growth import class_scores, growth
from hatlit.experiments.compare import labels_of
from hatlit.experiments.display import Display, counted
from hatlit.experiments.environment import versions
from hatlit.experiments.executors import Executor, open_executor
from hatlit.experiments.expansion_summary import depths, finding, round_table, summarise
from hatlit.experiments.fleet import CONTROL, cached_sources, open_zoo, read_domains, source_id, statistics_of
from hatlit.experiments.folder import RunFolder
from hatlit.experiments.pool import Row
from hatlit.experiments.prepare import check_names
from hatlit.experiments.report.expansion import write_expansion
from hatlit.experiments.student import kept_ranking, settle_student
from hatlit.experiments.summary import SCORES
from hatlit.experiments.train import BESIDE, code_of
from hatlit.files import refuse_unwritable
from hatlit.methods.base import METHODS, StudentMethod
from hatlit.selection.learned import LearningSimilarity
from hatlit.selection.similarity import SIMILARITIES
from hatlit.zoo.card import Card, Provenance
from hatlit.zoo.pairs import Pair
from hatlit.zoo.store import Zoo

#: The fleet, in the folder of an expansion.
ZOO = "zoo"

#: Columns of ``results.csv``, a row a target; ``sources`` are those that taught its student, and ``student_score`` is
#: there where ``--student auto`` chose it.
COLUMNS = (
    *("round", "target", "id", "labels"),
    *SCORES,
    *("student", "student_parameters", "student_score", "new_classes", "accuracy_known", "fused_known", "accuracy_new"),
    *("labels_only", "sources", "students_among_sources", "depth", "offered_sources", "offered_students"),
    *("pairs_learned_from", "bytes", "bytes_of_everything", "training_seconds", "run", "failed"),
)


@dataclass(frozen=True)
class Plan:
    """Who is there at the start, and who joins when.

    Attributes:
        initial: domains whose sources had all labels; those of a given zoo are not among them.
        rounds: by number, the domains that join.
        limits: by name, those of a domain's own device; they go before those of all.
    """

    initial: Sequence[Domain]
    rounds: Mapping[int, Sequence[Domain]]
    limits: Mapping[str, Mapping[str, float]]


def expand(config: ExpandConfig, display: Display, words: Sequence[str] = ()) -> dict[str, Any]:
    """Lets a fleet grow for some rounds and reports how it does.

    Runs and rounds that are done are not repeated, so the same command goes on where it was interrupted, and one with
    more rounds adds to what there is. The domains of a round see the fleet as it was when the round began: neither
    their order nor the number of workers makes a difference.

    Args:
        config: the options.
        display: speaks to the user.
        words: the command line that the options came from.

    Returns:
        What ``expansion.json`` holds.

    Raises:
        InputError: something in the options or in the data cannot be, or runs failed and are not to be skipped.
    """
    refuse_unwritable(Path(config.out))
    data = read_domains(config.modality, config.data, display)
    given = open_zoo(config.zoo, config.modality, config.data) if config.zoo else None
    plan = plan_rounds(data, given, config)
    made_of = {"recordings": data.fingerprint, "sources": given.fingerprint if given else "", **code_of(config.plugin)}
    if config.budgets is not None:
        made_of["budgets"] = json.dumps(plan.limits)
    folder = RunFolder.of_expansion(config, made_of)
    _check(config, folder, plan)
    folder.tell_of_others(display.say)
    if data.is_demo:
        display.say("demo data: simulated, not recorded; use --data.name for a real data set")
    with open_executor(config) as execute, folder.alone(display.say):
        folder.start(config)
        zoo = _found(folder, data, given, plan, config, display)
        rows: list[Row] = []
        for number in plan.rounds:
            came = _round(number, plan, folder, zoo, config, execute, display)
            _publish(came, folder, zoo, data)
            rows += came
            folder.write("results.csv", as_csv(rows))
        summary = _summary(rows, {card.id: card for card in zoo.cards()}, data, plan, config, words)
        folder.write_json("expansion.json", summary)
        write_expansion(folder.path, summary, rows)
    display.table(f"{data.name}: a fleet that grows", round_table(summary))
    display.say(summary["finding"])
    display.say(f"The report is {folder.path / 'report.html'}")
    return summary


def _summary(
    rows: Sequence[Row],
    cards: Mapping[str, Card],
    data: DomainSet,
    plan: Plan,
    config: ExpandConfig,
    words: Sequence[str],
) -> dict[str, Any]:
    """What ``expansion.json`` holds."""
    known = {name: card for name, card in cards.items() if card.round <= rows[-1]["round"]}
    summary = {
        "data": data.name,
        "is_demo": data.is_demo,
        "modality": config.modality,
        "method": config.method,
        "labels": labels_of(config),
        "seed": config.seed,
        "students_may_be_selected": config.selection.students,
        "initial": [domain.name for domain in plan.initial] or config.zoo,
        "command": shlex.join(["hatlit", "expand", *words]),
        "date": str(datetime.now(UTC).date()),
        "versions": versions(),
        "data_fingerprint": data.fingerprint[:16],
        **summarise(rows, cards),
        "growth": growth([row for row in rows if not row["failed"]], known),
    }
    return summary | {"finding": finding(summary)}


def plan_rounds(data: DomainSet, given: Zoo | None, config: ExpandConfig) -> Plan:
    """Draws who is in the initial fleet and who joins when. Domains without any label, or in a given zoo, do not join.

    Raises:
        InputError: there are not enough domains, a name is unknown, or the budgets cannot be read.
    """
    labelled = [domain for domain in data.domains if len(present_classes(domain))]
    drawn = [labelled[place] for place in np.random.default_rng(config.seed).permutation(len(labelled))]
    first, initial = 1, list[Domain]()
    if given:
        cards = given.cards()
        first += max((card.round for card in cards), default=0)
        there = {card.domain for card in cards} | {card.id for card in cards}
        waiting = [domain for domain in drawn if not {domain.name, source_id(domain)} & there]
    else:
        initial = _initial(data, drawn, config)
        names = [domain.name for domain in initial]
        waiting = [domain for domain in drawn if domain.name not in names]
    wanted = config.rounds * config.join
    if len(waiting) < wanted:
        raise InputError(
            f"{config.rounds} rounds of {config.join} want {wanted} domains with labels besides the initial fleet, "
            f"which leaves {len(waiting)} of the {len(labelled)} in data set '{data.name}'; give fewer --rounds, "
            "--join or --initial."
        )
    rounds = {first + n: waiting[n * config.join : (n + 1) * config.join] for n in range(config.rounds)}
    return Plan(initial, rounds, read_budgets(config.budgets, data.names) if config.budgets is not None else {})


def run_of(config: ExpandConfig, folder: RunFolder, plan: Plan, method: str, target: str) -> TrainConfig:
    """The options of one run of an expansion."""
    limits: dict[str, Any] = dict(plan.limits.get(target, {}))
    shared = {field.name: getattr(config, field.name) for field in fields(ExpansionConfig)}
    ours = {
        "out": str(folder.path / "runs"),
        "zoo": str(folder.path / ZOO),
        "sources": replace(config.sources, controls=0),  # the zoo has them already
        "device": replace(config.device, **limits),
    }
    return TrainConfig(**{**shared, **ours}, method=method, target=target, seed=config.seed, wandb="off")


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV; several sources are parted by spaces, several classes by semicolons."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(COLUMNS), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    parted = {"sources": " ", "new_classes": ";"}
    writer.writerows({**row, **{name: by.join(row[name] or ()) for name, by in parted.items()}} for row in rows)
    return stream.getvalue()


def _initial(data: DomainSet, drawn: Sequence[Domain], config: ExpandConfig) -> list[Domain]:
    wanted = list(config.initial)
    if len(wanted) > 1 or not wanted[0].isdigit() or wanted[0] in data.names:
        return [data.domain(name) for name in dict.fromkeys(wanted)]
    count = int(wanted[0])
    if count < 1:
        raise InputError("--initial must be at least 1, not 0: somebody has to be there first.")
    if count > len(drawn):
        raise InputError(
            f"--initial {count} asks for more than the {counted(len(drawn), 'domain')} with labels in data set "
            f"'{data.name}'; give fewer, so that some are left to join."
        )
    return list(drawn[:count])


def _check(config: ExpandConfig, folder: RunFolder, plan: Plan) -> None:
    """Looks up every name, whether what the method leaves can join a zoo, and whether each domain that joins can have a
    student, before anything that takes time."""
    first = next(iter(plan.rounds.values()))[0]
    check_names(run_of(config, folder, plan, config.method, first.name))
    if not issubclass(METHODS.get(config.method), StudentMethod):
        raise InputError(f"Method '{config.method}' leaves several models, which cannot join a fleet as one source.")
    if not config.skip_failed:  # else the run of such a domain fails, and the round does without it
        _check_students(config, folder, plan)


def _check_students(config: ExpandConfig, folder: RunFolder, plan: Plan) -> None:
    """Refuses limits that no student meets, once for all domains that record alike and have the same limits."""
    seen = set()
    for domain in chain.from_iterable(plan.rounds.values()):
        run = run_of(config, folder, plan, config.method, domain.name)
        alike = (domain.recorded.model_dump_json(), len(present_classes(domain)), repr(run.device))
        if alike in seen:
            continue
        seen.add(alike)
        try:
            settle_student(TargetData(domain, split_domain(domain, run.labels, run.seed)), run)
        except InputError as error:
            of_its_own = f" in the budgets '{config.budgets}'" if domain.name in plan.limits else ""
            raise InputError(f"Domain '{domain.name}'{of_its_own}: {error}") from error


def _found(
    folder: RunFolder, data: DomainSet, given: Zoo | None, plan: Plan, config: ExpandConfig, display: Display
) -> Zoo:
    """The zoo of an expansion, with its initial sources in it: copies, so that a given zoo stays as it is."""
    progress = partial(display.track, doing="training sources")
    fleet = given or cached_sources(data, plan.initial, config.sources, config.jobs, config.plugin, progress)
    names = {domain.name for domain in plan.initial}
    zoo = Zoo.create(folder.path / ZOO, fleet.info)
    for card in fleet.cards():
        if (given or card.domain in names or card.id.startswith(CONTROL)) and not zoo.has(card.id):
            zoo.copy(fleet, card.id)
    if given:
        zoo.add_pairs(given.pairs())
    return zoo


def _round(
    number: int,
    plan: Plan,
    folder: RunFolder,
    zoo: Zoo,
    config: ExpandConfig,
    execute: Executor,
    display: Display,
) -> list[Row]:
    """Gives each domain of a round a student, unless that is done already, and says what it came to."""
    domains = plan.rounds[number]
    journal = f"rounds/round-{number:03d}.json"
    if (folder.path / journal).is_file():
        display.say(f"round {number} is done already")
        rows: list[Row] = folder.read_json(journal)["rows"]  # type: ignore[assignment]
        return rows
    beside = [BESIDE] if config.compare_labels_only and not config.labels.none else []
    methods = list(dict.fromkeys([config.method, *beside]))
    runs = [run_of(config, folder, plan, method, domain.name) for domain in domains for method in methods]
    came = {(row["method"], row["target"]): row for row in display.track(execute(runs), f"round {number}: runs")}
    _refuse_failed([came[run.method, str(run.target)] for run in runs], number, config, display)
    cards = {card.id: card for card in zoo.cards()}
    rows = [
        _row(number, domain, came[config.method, domain.name], came.get((BESIDE, domain.name)), folder, cards)
        for domain in domains
    ]
    if isinstance(SIMILARITIES.get(config.selection.similarity), LearningSimilarity):
        learned_from = max(row["pairs_learned_from"] or 0 for row in rows)
        display.say(
            f"round {number}: the coarse stage learned from {learned_from} pairs of earlier rounds"
            if learned_from
            else f"round {number}: too few pairs of earlier rounds to learn from, so statistics alone were compared"
        )
    folder.write_json(journal, {"round": number, "rows": rows})
    return rows


def _refuse_failed(rows: Sequence[Row], number: int, config: ExpandConfig, display: Display) -> None:
    failed = [row for row in rows if row["failed"]]
    for row in failed:
        display.say(f"failed: {row['method']} on {row['target']}: {row['failed']}")
    hopeless = all(row["failed"] for row in rows if row["method"] == config.method)
    if failed and (hopeless or not config.skip_failed):
        raise InputError(
            f"{len(failed)} of the {len(rows)} runs of round {number} failed, the first on {failed[0]['target']} "
            f"because: {failed[0]['failed'].rstrip('.')}. The same command tries them again"
            + ("." if hopeless else ", --skip_failed goes on without them.")
        )


def _row(
    number: int, domain: Domain, run: Row, beside: Row | None, folder: RunFolder, cards: Mapping[str, Card]
) -> Row:
    """What ``results.csv`` says of one target; ``cards`` are those of the fleet that its run could choose from."""
    row = {
        **dict.fromkeys(COLUMNS),
        **{"round": number, "target": domain.name, "id": source_id(domain), "failed": run["failed"]},
        "offered_sources": len(cards),
        "offered_students": sum(card.round > 0 for card in cards.values()),
    }
    if run["failed"]:
        return row
    path = folder.path / "runs" / run["run"]
    moved: Any = RunFolder(path).read_json("result.json")["bytes"] or {"total": 0, "everything": 0}
    selection: Any = RunFolder(path).read_json("selection.json")
    (student,) = Zoo.open(path / "student").cards()
    ranking = [one._asdict() for one in kept_ranking(RunFolder(path))]
    depth = depths(cards)
    known = {name for card in cards.values() for name in card.class_names}
    return row | {
        **{name: run[name] for name in ("labels", *SCORES, "training_seconds", "run")},
        "student": student.encoder,
        "student_parameters": student.num_parameters,
        "student_score": ranking[0]["score"] if ranking else None,
        "ranking": ranking,
        **class_scores((path / "predictions.safetensors").read_bytes(), student.class_names, known),
        "labels_only": beside["accuracy"] if beside and not beside["failed"] else None,
        "sources": list(student.parents),
        "students_among_sources": sum(cards[parent].round > 0 for parent in student.parents),
        "depth": 1 + max((depth[parent] for parent in student.parents), default=0),
        "pairs_learned_from": selection.get("pairs_learned_from", 0),
        "bytes": moved["total"],
        "bytes_of_everything": moved["everything"],
    }


def _publish(rows: Sequence[Row], folder: RunFolder, zoo: Zoo, data: DomainSet) -> None:
    """Makes sources of the students of a round that is over, and pairs of what their targets measured."""
    for row in rows:
        if not row["failed"] and not zoo.has(row["id"]):
            student = Zoo.open(folder.path / "runs" / row["run"] / "student")
            provenance = Provenance(round=row["round"], parents=tuple(row["sources"]))
            (card,) = student.cards()
            statistics = statistics_of(zoo, data.domain(row["target"]), card.noise)
            zoo.copy(student, row["id"], statistics=statistics, provenance=provenance)
    zoo.add_pairs(pair for row in rows if not row["failed"] for pair in _pairs(row, folder))


def _pairs(row: Row, folder: RunFolder) -> Iterator[Pair]:
    """How well each candidate did on the labelled few of a target, which the fine stage measured."""
    selection: Any = RunFolder(folder.path / "runs" / row["run"]).read_json("selection.json")
    for verdict in selection.get("sources", ()):
        if verdict["accuracy"] is not None:
            yield Pair(source=verdict["id"], target=row["id"], accuracy=verdict["accuracy"], labels=row["labels"])
