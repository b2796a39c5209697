"""EdgeFD: a source only speaks for samples that lie in its own domain."""

from __future__ import annotations

import copy
from typing import Self

import torch
from torch import Tensor

from hatlit.config import DistillationConfig, OptimizerConfig
from hatlit.encoders.base import Classifier
from hatlit.fusion.adapt import freeze
from hatlit.fusion.bank import SourceBank, run
from hatlit.methods.base import TransferTask, register_method
from hatlit.methods.distilling import DistillingMethod, Seen
from hatlit.types import Batch
from hatlit.zoo.card import Centroids

#: Share of the training rows, the nearest ones, that each source speaks for.
SHARE = 0.5


@register_method("edgefd")
class EdgeFD(DistillingMethod):
    """Distils each source on samples near its own (EdgeFD, Mujtaba et al. 2025, arXiv 2508.14769).

    In the paper a client clusters its data by KMeans, and keeps quiet about samples that are further than a threshold
    from every cluster. Our reading: the clusters are the class centroids on the source's card, and the distance is
    taken in the feature space of the source as it was trained, because adaptation moves features away from the
    centroids. Cards do not say how far a source's own samples lie from them, so the threshold is a quantile of the
    distances of the target's training rows: within a source only their ranking matters. Those who speak count alike;
    where nobody speaks, all do.

    Args:
        student: untrained, with K outputs.
        bank: the frozen sources with their outputs on the training rows.
        config: how much the sources' word weighs.
        optimizer: how the student learns.

    Attributes:
        speaks: (R, N) mask, which source speaks for which training row.
    """

    speaks: Tensor

    def __init__(
        self, student: Classifier, bank: SourceBank, config: DistillationConfig, optimizer: OptimizerConfig
    ) -> None:
        super().__init__(student, bank, config, optimizer)
        rows = len(bank.get_buffer("probabilities"))
        self.register_buffer("speaks", torch.ones(rows, len(bank), dtype=torch.bool), persistent=False)

    @classmethod
    def build(cls, task: TransferTask) -> Self:
        """Measures how far the training rows lie from each source's centroids."""
        method = super().build(task)
        heard = [source for source in task.sources if source.id in method.bank.names]  # broken ones were left out
        models = [freeze(copy.deepcopy(source.model)) for source in heard]
        seen = run(models, task.target.asked_samples, task.target.asked.recorded)
        distances = [
            distance_to_domain(one["features"], source.centroids) for one, source in zip(seen, heard, strict=True)
        ]
        method.speaks.copy_(who_speaks(torch.stack(distances, dim=1)))
        return method

    def look_up(self, batch: Batch) -> Seen:
        """Asks the sources; one abstains on rows that it does not speak for."""
        seen = super().look_up(batch)
        said = seen.outputs.probabilities * self.speaks[batch.index].unsqueeze(-1)
        return seen._replace(outputs=seen.outputs._replace(probabilities=said))


def distance_to_domain(features: Tensor, centroids: Centroids) -> Tensor:
    """Distance (R,) of raw features (R, feature_dim) to the nearest class centroid; zero where a card has none."""
    known = [centroid for centroid in centroids if centroid is not None]
    if not known:
        return torch.zeros(len(features))
    return torch.cdist(features, torch.tensor(known).to(features)).amin(1)


def who_speaks(distances: Tensor, share: float = SHARE) -> Tensor:
    """Which sources speak for which rows: a mask (R, N) from distances (R, N); no row is left without any."""
    near = distances <= distances.quantile(share, dim=0)
    return near | ~near.any(1, keepdim=True)
