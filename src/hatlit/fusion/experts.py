"""The target's own experts: models that know its labelled few and nothing else."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hatlit.config import ExpertsConfig
from hatlit.datamodules.base import MODALITIES
from hatlit.encoders.base import Classifier
from hatlit.fusion.adapt import ROWS_A_STEP, freeze

#: Fewer labelled rows than this are shown more than once a step, changed at random each time.
FEWEST_ROWS_A_STEP = 16


def train_expert(model: Classifier, view: Tensor, label: Tensor, config: ExpertsConfig, seed: int) -> Classifier:
    """Trains a model on the labelled few alone, with the augmentation of its modality.

    Args:
        model: untrained; it is changed.
        view: (L, channels, *shape) the labelled rows as the model sees them.
        label: (L,) class numbers.
        config: how long and how fast.
        seed: of order and augmentation.

    Returns:
        The model, frozen and in eval mode.
    """
    generator = torch.Generator().manual_seed(seed)
    augment = MODALITIES.get(model.input_spec.modality).augment
    copies = -(-FEWEST_ROWS_A_STEP // len(label))
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(1, config.steps))
    model.train()
    for _ in range(config.steps):
        rows = torch.randperm(len(label), generator=generator).repeat(copies)[:ROWS_A_STEP]
        loss = F.cross_entropy(model(augment(view[rows], model.input_spec, generator)), label[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return freeze(model)
