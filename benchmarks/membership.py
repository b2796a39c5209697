"""Can somebody tell whether a sample was trained on? Attacks on sources, on their cards and on students.

    python benchmarks/membership.py --modality radar --data.name arrays --data.root radar-uwb.npz --name radar-uwb

An attack gives each sample a score, and its AUC is the chance that a sample which was used has a higher one than one of
the same person which was not: 0.5 is a guess, 1 tells them all apart. Figures go to --out, beside those of other sets.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from hatlit.config import CompareConfig, LabelsConfig, Names, StudyConfig, names
from hatlit.datamodules.base import Domain, DomainSet, build_view
from hatlit.datamodules.split import labelled_rows, split_domain
from hatlit.encoders.base import Classifier
from hatlit.errors import InputError
from hatlit.experiments.compare import choose_targets
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import noisy_copy, read_domains, sources_of_all
from hatlit.experiments.study_runs import Interval, run_of
from hatlit.experiments.summary import interval, spelled
from hatlit.experiments.train import train
from hatlit.files import as_json, write_atomically
from hatlit.options import parse
from hatlit.selection.statistics import STATISTICS
from hatlit.zoo.card import Card, ZooInfo
from hatlit.zoo.store import Zoo

#: By the name of an attack, its scores of samples (N,); higher = rather trained on.
Scores = dict[str, np.ndarray]


@dataclass
class MembershipConfig(StudyConfig):
    """Measures how well it can be told from sources, cards and students which samples they were made of.

    Args:
        name: of the data set in the figures; without it, its name in the registry.
        noises: amounts of noise on the cards, in units of how far each number varies from sample to sample.
        methods: whose students are attacked.
        targets: all, a number (that many, evenly spread over the data set), or names.
        out: JSON file of figures; runs go to a folder of the same name without the ending.
    """

    name: str | None = None
    noises: Names = "0,0.1,1"
    methods: Names = "labels_only,hat"
    out: str = "membership.json"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.noises, self.methods = names(self.noises), names(self.methods)


def auc(members: np.ndarray, others: np.ndarray) -> float:
    """The chance that a member has the higher score; a tie counts half.

    Args:
        members: (N,) scores of samples that were used.
        others: (M,) scores of samples that were not.
    """
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([members, others]))[: len(members)]
    return float((ranks.mean() - (len(members) + 1) / 2) / len(others))


@torch.no_grad()
def by_model(model: Classifier, class_names: Sequence[str], domain: Domain, rows: np.ndarray) -> Scores:
    """Attacks on a model: how small its loss is, for whoever knows the label, and how sure it is, for others."""
    logits = model(build_view(domain.tensor(rows), domain.recorded, model.input_spec))
    place = {name: number for number, name in enumerate(class_names)}
    label = torch.tensor([place[domain.class_names[number]] for number in domain.labels[rows]])
    loss = F.cross_entropy(logits, label, reduction="none")
    return {"loss": -loss.numpy(), "confidence": logits.softmax(1).amax(1).numpy()}


@torch.no_grad()
def by_card(card: Card, model: Classifier, info: ZooInfo, domain: Domain, rows: np.ndarray) -> Scores:
    """Attacks on a card: how near a sample is to the centroid of its class, and to the published statistics."""
    features = model.features(build_view(domain.tensor(rows), domain.recorded, model.input_spec)).numpy()
    known = dict(zip(card.class_names, card.centroids, strict=True))
    centroids = np.array([known[domain.class_names[number]] for number in domain.labels[rows]])
    found = {"centroid": -np.linalg.norm(features - centroids, axis=1)}
    view, seed = info.statistics.view, info.statistics.seed
    samples = build_view(domain.tensor(rows), domain.recorded, view)
    for name, published in card.statistics.items():
        values = STATISTICS.get(name, view.modality)(samples, view, seed).numpy()
        spread = np.maximum(published.spread, 1e-6)
        found[f"statistics: {name}"] = -(((values - published.mean) / spread) ** 2).mean(1)
    return found


def sources_attacked(data: DomainSet, config: MembershipConfig, display: Display) -> Iterator[tuple[str, str, float]]:
    """For each source what is attacked, how, and the AUC."""
    zoo = sources_of_all(data, config, display)
    noisy = {noise: noisy_copy(zoo, data, float(noise)) for noise in config.noises}
    for card in zoo.cards():
        domain, model = data.domain(card.domain), zoo.load(card.id)
        split = split_domain(domain, LabelsConfig(), seed=0)
        used = labelled_rows(domain, split)
        known = [number for number, name in enumerate(domain.class_names) if name in card.class_names]
        unused = split.test[np.isin(domain.labels[split.test], known)]
        members, others = (by_model(model, card.class_names, domain, rows) for rows in (used, unused))
        yield from ((f"source, by {attack}", card.domain, auc(members[attack], others[attack])) for attack in members)
        for noise, told in noisy.items():
            members, others = (by_card(told.card(card.id), model, zoo.info, domain, rows) for rows in (used, unused))
            for attack in members:
                yield f"card with noise {noise}, by {attack}", card.domain, auc(members[attack], others[attack])


def students_attacked(data: DomainSet, config: MembershipConfig, display: Display) -> Iterator[tuple[str, str, float]]:
    """For each student what is attacked, how, and the AUC: of its labelled few, and of all it was trained on."""
    targets = choose_targets(data, CompareConfig(targets=config.targets))
    runs = [(method, target, seed) for target in targets for seed in range(config.seeds) for method in config.methods]
    for method, target, seed in display.track(runs, "students"):
        run = run_of(config, method, target, seed)
        run.out = str(Path(config.out).with_suffix("") / "runs")
        result = train(run, Display(silent=True), one_of_many=True)
        zoo = Zoo.open(Path(run.out) / result["run"] / "student")
        (card,) = zoo.cards()
        domain = data.domain(target)
        split = split_domain(domain, run.labels, seed)
        look = partial(by_model, zoo.load(card.id), card.class_names, domain)
        others = look(split.test)
        for what, rows in (("labelled few", split.labelled), ("training samples", labelled_rows(domain, split))):
            members = look(rows)
            for attack in members:
                yield f"student of {method}, its {what}, by {attack}", target, auc(members[attack], others[attack])


def measure(data: DomainSet, config: MembershipConfig, display: Display) -> dict[str, Interval]:
    """Mean AUC of every attack over sources or students, with an interval that resamples people."""
    found: dict[str, list[tuple[str, float]]] = {}
    for attacked in (sources_attacked, students_attacked):
        for what, person, one in attacked(data, config, display):
            found.setdefault(what, []).append((person, one))
    return {
        what: interval([value for _, value in ones], [person for person, _ in ones]) for what, ones in found.items()
    }


def main(words: list[str]) -> int:
    """Runs from the command line."""
    display = Display()
    try:
        config = parse(MembershipConfig, "membership", __doc__ or "", words)
        data = read_domains(config.modality, config.data, display)
        figures = measure(data, config, display)
    except InputError as error:
        print(f"membership: {error}", file=sys.stderr)
        return 2
    out = Path(config.out)
    known = json.loads(out.read_text()) if out.is_file() else {}
    known[config.name or data.name] = figures
    write_atomically(out, as_json(known))
    rows = [{"attack": what, "AUC": spelled(one, ".2f")} for what, one in figures.items()]
    display.table(f"{config.name or data.name}: who was trained on", rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
