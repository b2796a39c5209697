"""The target's own experts: models that know its labelled few and nothing else, and how far to listen to them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from hatlit.config import ExpertsConfig
from hatlit.cuda_check import ask_briefly
from hatlit.datamodules.base import MODALITIES
from hatlit.encoders.base import Classifier
from hatlit.fusion.adapt import ROWS_A_STEP, freeze
from hatlit.types import UNLABELLED

#: Fewer labelled rows than this are shown more than once a step, each time with another random change.
FEWEST_ROWS_A_STEP = 16

#: Experts that agree with sources at least this far, measured by how far sources agree with each other, are heard in
#: full. It is below one because sources share errors, which an expert that knows better does not.
ENOUGH_AGREEMENT = 0.75

#: How many times the odds of agreement among experts must be those among sources for experts to be heard at all, and in
#: full. Above one, because experts share their labels and their architecture, and so errors as well.
SURER, MUCH_SURER = 2.0, 8.0

#: Sources whose word counts less than this say nothing about experts.
HEARD = 0.5

#: Agreement below this, or this close to one, counts as this much where something is divided by it.
SMALLEST_AGREEMENT = 1e-3


def train_expert(
    model: Classifier, view: Tensor, label: Tensor, config: ExpertsConfig, seed: int, augment: bool = True
) -> Classifier:
    """Trains a model on the labelled few alone.

    Args:
        model: untrained; it is changed.
        view: (L, channels, *shape) the labelled rows as the model sees them.
        label: (L,) class numbers.
        config: how long and how fast.
        seed: of order and augmentation.
        augment: whether views are randomly changed, as the modality does it.

    Returns:
        The model, frozen and in eval mode.
    """
    generator = torch.Generator().manual_seed(seed)
    change = MODALITIES.get(model.input_spec.modality).augment
    copies = -(-FEWEST_ROWS_A_STEP // len(label))
    ask_briefly()
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(1, config.steps))
    model.train()
    for _ in range(config.steps):
        rows = torch.randperm(len(label), generator=generator).repeat(copies)[:ROWS_A_STEP]
        seen = change(view[rows], model.input_spec, generator) if augment else view[rows]
        loss = F.cross_entropy(model(seen), label[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return freeze(model)


def voices_of_experts(said: Tensor, label: Tensor, of_sources: Tensor) -> Tensor:
    """How much the word of each expert counts, from 0 to 1.

    Experts are heard where labels seem to teach more than sources know, which two things must bear out, both measured
    by agreement beyond chance (Cohen's kappa). They agree with each other far more than sources do among themselves;
    and, because experts that learned the same few labels agree whether or not they are right, they agree with sources
    about as much as sources do. Only sources that are heard themselves count, but two at least: misled ones agree with
    nobody, and beside them any expert looks as good as a source. A single source cannot show how far sources agree;
    then the experts count as one voice together. A single expert cannot show how sure it is, and is taken to be.

    Args:
        said: (rows, N + E, K) predictions, those of the N sources before those of the E experts.
        label: (rows,) class numbers, ``UNLABELLED`` where the class is not known. Labelled rows are left out where
            there are others, as all have learned them.
        of_sources: (N,) how much the word of each source counts, from 0 to 1.

    Returns:
        (E,)
    """
    num_sources = len(of_sources)
    num_experts = said.shape[1] - num_sources
    if not num_experts or num_sources == 1:
        return said.new_full((num_experts,), 1 / max(1, num_experts))
    heard = of_sources >= of_sources.topk(2).values[-1].clamp_max(HEARD)
    asked = said[:, torch.cat([heard, heard.new_ones(num_experts)])]
    unknown = label == UNLABELLED
    kappa = _kappas(asked[unknown] if unknown.any() else asked)
    num_heard = int(heard.sum())
    among_sources = _mean_of_pairs(kappa[:num_heard, :num_heard])
    with_experts = kappa[num_heard:, :num_heard].mean()
    borne_out = with_experts / (ENOUGH_AGREEMENT * among_sources.clamp_min(SMALLEST_AGREEMENT))
    voice = borne_out.clamp(0, 1)
    if num_experts > 1:
        voice = voice * _surer(_mean_of_pairs(kappa[num_heard:, num_heard:]), among_sources)
    return voice.expand(num_experts)


def _surer(among_experts: Tensor, among_sources: Tensor) -> Tensor:
    """How many times the odds of agreement among experts are those among sources, by its logarithm: ``SURER`` times or
    less is 0, ``MUCH_SURER`` times or more is 1."""
    times = torch.logit(among_experts, SMALLEST_AGREEMENT) - torch.logit(among_sources, SMALLEST_AGREEMENT)
    return ((times - math.log(SURER)) / math.log(MUCH_SURER / SURER)).clamp(0, 1)


def _mean_of_pairs(kappa: Tensor) -> Tensor:
    return kappa.sum() / (len(kappa) * (len(kappa) - 1))


def _kappas(said: Tensor) -> Tensor:
    """Cohen's kappa of each pair of columns (rows, N, K), by most likely class: (N, N), 0 on the diagonal."""
    chosen = F.one_hot(said.argmax(-1), said.shape[-1]).to(said)
    same = torch.einsum("bik,bjk->ij", chosen, chosen) / len(chosen)
    shares = chosen.mean(0)
    by_chance = shares @ shares.T
    kappa = torch.where(by_chance < 1, (same - by_chance) / (1 - by_chance).clamp_min(SMALLEST_AGREEMENT), 0.0)
    return kappa.fill_diagonal_(0)
