"""What ``hatlit suggest-labels`` does."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hatlit.config import SuggestConfig
from hatlit.datamodules.target.data import TargetData
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import cached_zoo, open_zoo
from hatlit.experiments.prepare import as_sources
from hatlit.experiments.reopen import Reopened, reopen
from hatlit.experiments.student import settle_student
from hatlit.files import as_json, write_atomically
from hatlit.fusion.mixer import conditional
from hatlit.methods.base import METHODS, SelectedSource, TransferTask
from hatlit.methods.hat import HaT
from hatlit.methods.teachers import frozen_bank
from hatlit.selection.next_labels import RANKINGS, Outlook, covered, disagreement, uncertainty
from hatlit.types import UNLABELLED


@dataclass(frozen=True)
class Suggestion:
    """A sample worth labelling.

    Attributes:
        order: 1 for the one to label first.
        domain: name of the target.
        row: its number among the samples of the domain, in the order of the data set, from 0 on.
        group: number of its recording.
        guess: the class that the sources together take it for.
        uncertainty: how unsure they are of that, 0 to 1.
        disagreement: how far they disagree, 0 to 1.
        coverage: share of what no labelled sample stands for yet that this one stands for, after those before it.
    """

    order: int
    domain: str
    row: int
    group: int
    guess: str
    uncertainty: float
    disagreement: float
    coverage: float


def suggest_labels(run: str, config: SuggestConfig, display: Display) -> list[Suggestion]:
    """Says which unlabelled training samples of a run's target to label next, and writes it where that is asked for.

    Args:
        run: folder of a finished run.
        config: the options.
        display: speaks to the user.

    Raises:
        InputError: there is no such ranking or run, the run asked no sources, its data or sources are not what they
            were, no sample is left to label, or the file cannot be written.
    """
    RANKINGS.get(config.ranking)
    reopened = reopen(Path(run))
    outlook = outlook_of(reopened, display)
    left = len(outlook.candidates)
    if not left:
        raise InputError(f"Every training sample of target '{reopened.target.domain.name}' is labelled already.")
    if left < config.n:
        display.say(f"Only {left} training samples are not labelled yet.")
    order = RANKINGS.get(config.ranking)(outlook, min(config.n, left), config.seed)
    found = describe(reopened.target, outlook, order)
    display.table(f"label next, by {config.ranking}", [_shown(one) for one in found])
    total = sum(one.coverage for one in found)
    display.say(f"Together they stand for {total:.0%} of the doubt that the labelled samples leave.")
    if config.out:
        _write(Path(config.out), found)
        display.say(f"{config.out} is written")
    return found


def outlook_of(reopened: Reopened, display: Display) -> Outlook:
    """What the sources of a run say of its training samples as they were recorded; every unlabelled one is a candidate.

    HaT's mixer fuses as it does at the end of training; of other methods the sources count alike. Everything comes from
    the caches as far as it is there.

    Raises:
        InputError: the run asked no sources, or they are not there any more or have changed.
    """
    target, method = reopened.target, METHODS.get(reopened.config.method)
    if not method.needs_sources:
        raise InputError(
            f"The run '{reopened.folder.path}' of method {reopened.config.method} asked no sources, so nobody knows "
            "which samples are in doubt; name a run of a method that does, such as hat."
        )
    config, view = settle_student(target, reopened.config)
    task = TransferTask(target, view, _sources(reopened, display), config)
    members, fused = _fused_by_mixer(task, reopened) if issubclass(method, HaT) else _fused_alike(task)
    known = (target.train_labels != UNLABELLED).numpy()
    return Outlook(members, fused, np.flatnonzero(known), np.flatnonzero(~known))


def describe(target: TargetData, outlook: Outlook, order: np.ndarray) -> list[Suggestion]:
    """Why each of an outlook's samples (count,) should be labelled in this order."""
    rows = target.split.train[order]
    reasons = (uncertainty(outlook.fused)[order], disagreement(outlook.members)[order], covered(outlook, order))
    return [
        Suggestion(
            order=place + 1,
            domain=target.domain.name,
            row=int(row),
            group=int(target.domain.groups[row]),
            guess=target.class_names[int(outlook.fused[order[place]].argmax())],
            **{name: round(float(reason[place]), 6) for name, reason in zip(_REASONS, reasons, strict=True)},
        )
        for place, row in enumerate(rows)
    ]


def as_csv(suggestions: Sequence[Suggestion]) -> str:
    """Suggestions as CSV, which ``--labels.also`` reads."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [field.name for field in fields(Suggestion)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in suggestions)
    return stream.getvalue()


_REASONS = ("uncertainty", "disagreement", "coverage")


def _sources(reopened: Reopened, display: Display) -> Sequence[SelectedSource]:
    """The sources that the run selected, best first, from its zoo."""
    config, asked = reopened.config, reopened.asked
    if config.zoo:
        zoo = open_zoo(config.zoo, asked.modality, config.data)
    else:
        progress = partial(display.track, doing="training sources")
        zoo = cached_zoo(asked, reopened.target.domain, config.sources, config.jobs, config.plugin, progress)
    verdicts: Any = reopened.folder.read_json("selection.json")["sources"]
    cards = [zoo.card(verdict["id"]) for verdict in verdicts if verdict["selected"]]
    return as_sources(cards, [zoo.load(card.id, card) for card in cards])


def _fused_by_mixer(task: TransferTask, reopened: Reopened) -> tuple[np.ndarray, np.ndarray]:
    """What HaT's sources and experts (N, M, K) and its mixer (N, K) say of the recorded rows, without their blends.

    A run that kept no checkpoint has the prior's weights.
    """
    method = METHODS.get(task.config.method).build(task)
    assert isinstance(method, HaT)
    checkpoint = reopened.folder.last_checkpoint
    if checkpoint:
        kept = torch.load(checkpoint, map_location="cpu", weights_only=True)
        method.on_load_checkpoint(kept)  # refuses other sources
        method.load_state_dict(kept["state_dict"])
    rows = task.target.rows(method.view)
    outputs = method.bank(torch.arange(len(rows)))
    _, fused = method.fused(rows.target, outputs, method.log_prior(outputs.probabilities))
    return _as_array(conditional(outputs.probabilities)), _as_array(fused)


def _fused_alike(task: TransferTask) -> tuple[np.ndarray, np.ndarray]:
    """What the sources (N, M, K) of another method say, and their mean (N, K)."""
    probabilities = frozen_bank(task).predictions(torch.arange(len(task.target.train_labels)))
    members = _as_array(conditional(probabilities))
    return members, members.mean(axis=1)


def _as_array(probabilities: torch.Tensor) -> np.ndarray:
    return probabilities.detach().double().numpy()


def _shown(one: Suggestion) -> dict[str, str]:
    values = asdict(one)
    del values["domain"]
    return {name: f"{value:.2f}" if name in _REASONS else str(value) for name, value in values.items()}


def _write(path: Path, suggestions: Sequence[Suggestion]) -> None:
    content = as_csv(suggestions)
    if path.suffix == ".json":
        content = as_json([asdict(one) for one in suggestions])
    try:
        write_atomically(path, content)
    except OSError as error:
        raise InputError(f"'{path}' cannot be written ({error.strerror}); choose another --out.") from error
