"""Options of HaT."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hatlit.config.checks import at_least, share
from hatlit.errors import InputError


@dataclass
class MixerConfig:
    """The cross-attention that weighs the sources sample by sample.

    Args:
        weights: whether attention moves the weights of the sources away from the prior, or they stay there.
        prior: what the weights of a sample start from: how far each source says what all of them together make
            likely (consensus), or all alike (uniform).
        discount_experts: whether, in the consensus, the target's own experts count less where they agree with sources
            less than sources agree with each other.
        discount_sources: whether, in the consensus, sources count less the less likely they found the labels before
            they were adapted to them.
        discount_unsure: whether, in the consensus, a source counts less for samples that it is not sure of.
        feature_width: features of sources that are wider reach attention and hint as so many random projections of
            them, which makes a step shorter; 0 leaves them alone, and so do heads that learn, which read them.
        dim: width of queries and keys, over all heads.
        heads: number of attention heads.
        learning_rate: of the mixer's AdamW.
        weight_decay: of the mixer's AdamW.
        prior_weight: weight of KL(attention to prior); it holds the attention back until labels speak.
        detach_query: whether the mixer's loss stops at the student's features.
        train_heads: whether the sources' heads learn with the mixer (partial freezing).
        head_pull: weight of the squared distance of those heads to their start (L2-SP).
    """

    weights: Literal["attention", "prior"] = "attention"
    prior: Literal["consensus", "uniform"] = "consensus"
    discount_experts: bool = True
    discount_sources: bool = True
    discount_unsure: bool = True
    feature_width: int = 0
    dim: int = 32
    heads: int = 2
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    prior_weight: float = 1.0
    detach_query: bool = True
    train_heads: bool = False
    head_pull: float = 0.1

    def __post_init__(self) -> None:
        at_least("hat.mixer.", self, feature_width=0, dim=1, heads=1)
        at_least("hat.mixer.", self, learning_rate=0, weight_decay=0, prior_weight=0, head_pull=0)
        if self.dim % self.heads:
            raise InputError(f"--hat.mixer.dim ({self.dim}) must be a multiple of --hat.mixer.heads ({self.heads}).")


@dataclass
class DictionaryConfig:
    """When the knowledge dictionary is written.

    Args:
        when: whether the mixer's accuracy is measured after each epoch or after each step; with never, nothing is kept
            and the student learns from the mixer as it is at each batch.
        gate: whether only a mixer that got better may write; without it, every measurement writes.
        strict: with the gate, whether the mixer must exceed its best accuracy so far, or may equal it.
        threshold: accuracy below which nothing is written (b); only with the gate.
    """

    when: Literal["epoch", "step", "never"] = "epoch"
    gate: bool = True
    strict: bool = False
    threshold: float = 0.0

    def __post_init__(self) -> None:
        share("hat.dictionary.", self, "threshold")


@dataclass
class InjectionConfig:
    """How the dictionary teaches the student.

    Args:
        loss: convex is (1 - alpha) labels + alpha dictionary; additive is labels + alpha dictionary.
        schedule: how the mixer's accuracy becomes the injection weight alpha.
        weight: factor of the dictionary's part.
        temperature: softens both sides of the distillation loss.
        sharpen: exponent on the fused predictions as the dictionary takes them; 1 leaves them alone.
        hint_weight: weight of the feature hint: a linear map of the student's features predicts the sources' features.
        blends: how many blends of each training row with another one the sources are asked about, once; unlabelled
            rows give their place in a batch to one half of the time. There are 16,384 in all at the most, equally many
            of each row, so above 8,192 rows one a row, and above 16,384 none.
    """

    loss: str = "additive"
    schedule: str = "accuracy"
    weight: float = 4.0
    temperature: float = 1.0
    sharpen: float = 1.0
    hint_weight: float = 1.0
    blends: int = 4

    def __post_init__(self) -> None:
        at_least("hat.injection.", self, weight=0, temperature=0.01, sharpen=0, hint_weight=0, blends=0)


@dataclass
class ExpertsConfig:
    """The target's own experts: models like the student, trained on the labelled few, that the mixer asks as well.

    Where sources know less than the labels do, they keep the fused knowledge from harm.

    Args:
        count: how many; two that agree are believed, two that differ are not.
        steps: gradient steps of each.
        learning_rate: of AdamW.
    """

    count: int = 2
    steps: int = 300
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        at_least("hat.experts.", self, count=0, steps=1, learning_rate=0)


@dataclass
class HaTConfig:
    """Options of HaT.

    Args:
        experts: what the target itself adds to the sources.
        mixer: the attention.
        dictionary: the gate.
        injection: the student's loss.
    """

    experts: ExpertsConfig = field(default_factory=ExpertsConfig)
    mixer: MixerConfig = field(default_factory=MixerConfig)
    dictionary: DictionaryConfig = field(default_factory=DictionaryConfig)
    injection: InjectionConfig = field(default_factory=InjectionConfig)
