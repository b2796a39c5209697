"""Which of several untrained skeletons is likely to make the best student, without training any of them.

An untrained network already keeps some samples apart and throws others together; training has to undo the latter. So
the score counts along how many independent directions the features of an untrained skeleton and those of the sources
vary together. The study ``skeletons`` measures how far it can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from hatlit.encoders.base import Classifier, InputSpec, build_classifier

#: Initial weights that each skeleton is drawn with; its score is the mean over them.
DRAWS = 3

#: Rows of the target that are looked at, at most, which keeps the score of a skeleton below the cost of an epoch.
ROWS = 256

#: A feature that varies less than this over the rows is left near zero instead of being blown up.
SMALLEST_STD = 1e-4


class Ranked(NamedTuple):
    """A skeleton and how likely it is to make a good student.

    Attributes:
        name: in the registry of encoders.
        parameters: numbers that it would learn.
        score: higher is better; see ``shared_directions``.
    """

    name: str
    parameters: int
    score: float


def rank(
    names: Sequence[str],
    view: InputSpec,
    num_classes: int,
    look: Callable[[InputSpec], Tensor],
    heard: Sequence[Tensor],
    seed: int,
) -> list[Ranked]:
    """Ranks untrained skeletons by how many directions their features share with those of the sources, best first.

    Args:
        names: of registered encoders, cheapest first; of two with the same score the cheaper one goes first.
        view: what the device sees.
        num_classes: number of classes that a student tells apart.
        look: the rows (B, channels, *shape) as an encoder wants to see them.
        heard: (B, feature_dim_i) a source, its standardised features of the same rows.
        seed: of the initial weights; the global random numbers are left as they were.
    """
    of_sources = torch.cat([one.double() / one.shape[1] ** 0.5 for one in heard], dim=1)  # each counts the same
    ranked = [_ranked(name, view, num_classes, look, of_sources, seed) for name in names]
    return sorted(ranked, key=lambda one: -one.score)


def shared_directions(features: Tensor, of_sources: Tensor) -> float:
    """Along how many directions two sets of features of the same rows vary together.

    With the singular values σ of the covariance between the standardised features and those of the sources, it is
    their participation ratio, (Σ σ)² / Σ σ²: k where they share k directions equally, near 1 where one prevails.

    Args:
        features: (B, feature_dim) of an untrained skeleton; what is not finite counts as zero.
        of_sources: (B, M).

    Returns:
        At least 1; 0 where they share nothing.
    """
    features = features.double().nan_to_num(0.0, 0.0, 0.0)
    features = (features - features.mean(0)) / features.std(0, correction=0).clamp_min(SMALLEST_STD)
    of_sources = of_sources.double() - of_sources.double().mean(0)
    sizes = torch.linalg.svdvals(features.T @ of_sources / len(features))
    total = float(sizes.sum())
    return total**2 / float(sizes.square().sum()) if total > SMALLEST_STD else 0.0


@torch.no_grad()
def _ranked(
    name: str, view: InputSpec, num_classes: int, look: Callable[[InputSpec], Tensor], of_sources: Tensor, seed: int
) -> Ranked:
    scores = []
    for draw in range(DRAWS):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + draw)
            model = build_classifier(name, view, num_classes).eval()
        scores.append(shared_directions(_features(model, look(model.input_spec)), of_sources))
    return Ranked(name, sum(parameter.numel() for parameter in model.parameters()), fmean(scores))


def _features(model: Classifier, views: Tensor) -> Tensor:
    return torch.cat([model.features(chunk) for chunk in views.split(model.input_spec.rows_a_pass)])
