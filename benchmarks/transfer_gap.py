"""How hard is it to serve one domain with the model of another? Trains one source a domain and tries each on all.

python benchmarks/transfer_gap.py --data.name demo
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from hatlit.config import DataConfig, LabelsConfig, SourcesConfig
from hatlit.datamodules.base import Domain, DomainSet, build_view
from hatlit.datamodules.split import split_domain
from hatlit.encoders.base import Classifier
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import build_zoo, cached_folder, encoders_of, read_domains, source_id
from hatlit.files import as_json, write_atomically
from hatlit.options import parse


@dataclass
class GapConfig:
    """Measures how much accuracy is lost between domains.

    Args:
        modality: what the samples are.
        data: which domains.
        sources: how sources are trained; without `encoders` all get the modality's first, so that only domains differ.
        jobs: processes that train side by side; 0 means one a core.
        out: JSON file for the figures.
    """

    modality: str = "imu"
    data: DataConfig = field(default_factory=DataConfig)
    sources: SourcesConfig = field(default_factory=SourcesConfig)
    jobs: int = 0
    out: str | None = None


@torch.no_grad()
def accuracy(model: Classifier, class_names: tuple[str, ...], domain: Domain) -> float:
    """Share of a domain's test samples that a source classifies correctly."""
    rows = split_domain(domain, LabelsConfig(), seed=0).test
    logits = model(build_view(domain.tensor(rows), domain.recorded, model.input_spec))
    predicted = np.array(class_names)[logits.argmax(1).numpy()]
    return float(np.mean(predicted == np.array(domain.class_names)[domain.labels[rows]]))


def measure(data: DomainSet, config: GapConfig, display: Display) -> dict[str, float]:
    """Mean accuracy at home, from one source to another domain, and of the best source for each domain (an oracle)."""
    config.sources.encoders = encoders_of(data, config.sources)[:1]
    folder = cached_folder(data, config.sources)
    zoo = build_zoo(
        data,
        data.domains,
        folder,
        config.sources,
        config.jobs,
        [],
        lambda items: display.track(items, "training sources"),
    )
    table = np.array(
        [
            [accuracy(zoo.load(source_id(home)), zoo.card(source_id(home)).class_names, away) for away in data.domains]
            for home in data.domains
        ]
    )
    others = np.where(np.eye(len(table), dtype=bool), np.nan, table)
    return {
        "within": float(np.diag(table).mean()),
        "one_to_another": float(np.nanmean(others)),
        "best_source": float(np.nanmax(others, axis=0).mean()),
    }


def main(words: list[str]) -> int:
    """Prints the figures, and writes them where ``--out`` says."""
    display = Display()
    try:
        config = parse(
            GapConfig, "transfer_gap", "How hard is it to serve one domain with the model of another?", words
        )
        data = read_domains(config.modality, config.data, display)
        figures = measure(data, config, display)
    except InputError as error:
        print(f"transfer_gap: {error}", file=sys.stderr)
        return 2
    display.table(f"{data.name}: accuracy on test samples", [{name: f"{one:.3f}" for name, one in figures.items()}])
    if config.out:
        write_atomically(Path(config.out), as_json(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
