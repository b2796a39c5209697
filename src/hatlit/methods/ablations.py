"""HaT with one part taken away, or one choice made otherwise; ``configs/method`` holds the option that each changes."""

from __future__ import annotations

from hatlit.methods.base import register_method
from hatlit.methods.hat import HaT


@register_method("hat_no_coarse")
class HaTNoCoarse(HaT):
    """HaT without the coarse stage: every source of the zoo is judged on the labelled few."""


@register_method("hat_random_sources")
class HaTRandomSources(HaT):
    """HaT on sources drawn at random from the whole zoo: what selection is worth."""


@register_method("hat_no_agreement")
class HaTNoAgreement(HaT):
    """HaT whose sources are chosen by labels and centroids alone, whether or not other candidates bear them out."""


@register_method("hat_equal_weights")
class HaTEqualWeights(HaT):
    """HaT without attention and without consensus: all sources and experts count alike."""


@register_method("hat_no_attention")
class HaTNoAttention(HaT):
    """HaT without attention: each source counts as the consensus says."""


@register_method("hat_no_consensus")
class HaTNoConsensus(HaT):
    """HaT whose attention starts from equal weights, whatever the sources agree on."""


@register_method("hat_no_experts")
class HaTNoExperts(HaT):
    """HaT without models of the target's own: the sources alone are asked."""


@register_method("hat_no_discount")
class HaTNoDiscount(HaT):
    """HaT that listens to the target's own experts as much as to sources, whether or not sources bear them out."""


@register_method("hat_no_foresight")
class HaTNoForesight(HaT):
    """HaT that listens to all sources alike, however likely they found the labels before they were adapted."""


@register_method("hat_no_certainty")
class HaTNoCertainty(HaT):
    """HaT whose sources count as much for samples that they are not sure of as for others."""


@register_method("hat_no_dictionary")
class HaTNoDictionary(HaT):
    """HaT without the knowledge dictionary: the student learns from the mixer as it is at each batch."""


@register_method("hat_no_gate")
class HaTNoGate(HaT):
    """HaT with an open gate: the dictionary is written after each epoch, whether or not the mixer got better."""


@register_method("hat_convex")
class HaTConvex(HaT):
    """HaT whose labels give way to the fused predictions as the mixer gets better, the paper's convex loss."""


@register_method("hat_fixed_alpha")
class HaTFixedAlpha(HaT):
    """HaT whose injection weight is one from the first write on, however accurate the mixer is."""


@register_method("hat_fixed_heads")
class HaTFixedHeads(HaT):
    """HaT on sources as they are: neither they nor their heads are adapted to the labelled few."""


@register_method("hat_labelled_adaptation")
class HaTLabelledAdaptation(HaT):
    """HaT whose sources are adapted to the labelled few alone, whatever they say of the other rows."""


@register_method("hat_no_hint")
class HaTNoHint(HaT):
    """HaT without the feature hint: the student learns from predictions alone."""


@register_method("hat_no_blends")
class HaTNoBlends(HaT):
    """HaT that asks the sources about recorded samples alone, and about no blends of two."""


@register_method("hat_learning_heads")
class HaTLearningHeads(HaT):
    """HaT whose sources' heads learn with the mixer (partial freezing)."""
