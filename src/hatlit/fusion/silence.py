"""A source that does not know a class is silent about it: it neither claims nor rules out what it has never seen."""

from __future__ import annotations

from torch import Tensor

#: Times that what is said of a class is passed on to those that do not know it; it hardly changes after that.
ROUNDS = 3

#: Masses below this count as this much where something is divided by them.
SMALLEST = 1e-6


def be_silent(probabilities: Tensor, known: Tensor) -> Tensor:
    """Gives the classes that a source does not know the probability that they have for those that do.

    Of a sample of a class that it never saw, a source is as sure that it is one of its own as of any other sample. So
    at first each counts for no more than its share of the classes: p_i(k) · |known_i| / K. The mean of that over the
    sources that know class k is what the others take over, 1/K where none knows it; the rest of their mass stays
    divided as it was. Then the same again with what came of it.

    Args:
        probabilities: (B, N, K) over the target's classes, 0 where a class is not known; rows sum to at most one.
        known: (N, K) which classes each source knows.

    Returns:
        (B, N, K), rows sum to what they did: who abstains goes on abstaining. Where all sources know all classes,
        ``probabilities`` as they are.
    """
    if bool(known.all()):
        return probabilities
    num_classes = known.shape[1]
    mass = probabilities.nan_to_num().sum(-1, keepdim=True)
    own = probabilities.nan_to_num() / mass.clamp_min(SMALLEST)
    knowing = (known & (mass > SMALLEST)).to(own)
    answers = own * (known.sum(1, keepdim=True) / num_classes)
    for _ in range(ROUNDS):
        heard = (answers * knowing).sum(1) / knowing.sum(1).clamp_min(1)
        heard = heard.where(knowing.sum(1) > 0, 1 / num_classes)
        taken_over = heard.unsqueeze(1) * ~known
        share = taken_over.sum(-1, keepdim=True)
        answers = own * (1 - share).clamp_min(0) + taken_over / share.clamp_min(1)
    return answers * mass
