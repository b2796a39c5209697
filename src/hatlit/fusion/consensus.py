"""What the sources agree on: how reliable each of them is for each class, found without labels.

After Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", Applied
Statistics 28(1), 1979, with predictions that are distributions, and error rates held near each source's accuracy.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hatlit.types import UNLABELLED

#: Rounds of expectation and maximisation; it settles in fewer.
ROUNDS = 10

#: Rows that each entry of an error table is believed to rest on before any is seen.
BELIEVED_ROWS = 0.3

#: Up to this many classes each mistake of a source has a rate of its own. With more, most would rest on no row at all,
#: and the time to find them grows with the square of the classes; so all wrong answers to a class then share one rate.
TOLD_APART = 100

#: A source is half as sure of a sample as it can be where the entropy of its answer is this share of the usual one.
HALF_SURE = 0.1

#: Error rates below this count as this much, so that no single source can rule a class out; so does what half sure is,
#: where all are practically certain of everything.
SMALLEST = 1e-4


class Consensus(nn.Module):
    """Error rates of the sources, and what follows from them for a sample.

    Args:
        errors: (N, K, K) how often source i says class j (last axis) of samples of class k; rows sum to one. Or (N, K),
            how often it is right about samples of class k, where it takes them for each other class equally often.
        frequencies: (K,) of the classes; sum to one.
        voices: (N,) how much the word of each source counts, from 0 to 1; one each where they are not given.
        usual_entropy: of answers, in nats; a source counts the less for a sample the further its answer is above it.
            Infinity means that a source counts alike for all samples.
    """

    errors: Tensor
    frequencies: Tensor
    voices: Tensor
    usual_entropy: Tensor

    def __init__(
        self,
        errors: Tensor,
        frequencies: Tensor,
        voices: Tensor | None = None,
        usual_entropy: float = math.inf,
    ) -> None:
        super().__init__()
        self.register_buffer("errors", errors, persistent=False)
        self.register_buffer("frequencies", frequencies, persistent=False)
        voices = errors.new_ones(len(errors)) if voices is None else voices.to(errors)
        self.register_buffer("voices", voices, persistent=False)
        self.register_buffer("usual_entropy", errors.new_tensor(usual_entropy), persistent=False)

    def forward(self, said: Tensor) -> Tensor:
        """What to believe of samples of which the sources say (B, N, K): (B, K), rows sum to one."""
        evidence = _evidence(said, self.errors, self.voices)
        return torch.softmax(evidence + self.frequencies.log(), dim=-1)

    def agreement(self, said: Tensor) -> Tensor:
        """How far each source says of a sample what is to be believed, times its voice and how sure it is: (B, N, K)
        gives (B, N)."""
        return self.voices * certainty(said, self.usual_entropy) * torch.einsum("bnk,bk->bn", said, self(said))

    def better_than_chance(self, said: Tensor, known: Tensor) -> Tensor:
        """How far each source is from chance (0) to always saying what is to be believed (1): (N,).

        Classes count alike, so that a source which always says the same is at chance however frequent that class is.

        Args:
            said: (B, N, K) predictions over the target's classes.
            known: (N, K) which classes each source knows; the others are not asked of it.
        """
        believed, says = self(said).argmax(-1), said.argmax(-1)
        present = F.one_hot(believed, said.shape[-1]).to(said)
        right = torch.einsum("bn,bk->nk", (says == believed[:, None]).to(said), present)
        asked = known & (present.sum(0) > 0)
        classes = asked.sum(1)
        share = (right / present.sum(0).clamp_min(1)).where(asked, 0.0).sum(1) / classes.clamp_min(1)
        chance = 1 / classes.clamp_min(1)
        return torch.where(classes > 1, (share - chance) / (1 - chance).clamp_min(SMALLEST), 1.0)


@torch.no_grad()  # predictions of heads that learn come with a graph, which the error rates would keep
def find_consensus(
    said: Tensor, label: Tensor, voices: Tensor | None = None, discount_unsure: bool = False
) -> Consensus:
    """Finds the error rates of sources from what they say about the same rows, by expectation maximisation.

    Labelled rows count as what they are labelled, so a source that errs on them is believed less.

    Args:
        said: (rows, N, K) predictions over the target's classes, each summing to one.
        label: (rows,) class numbers, ``UNLABELLED`` where the class is not known.
        voices: (N,) how much the word of each source counts, from 0 to 1; one each where they are not given.
        discount_unsure: whether a source counts less for samples that it is not sure of.
    """
    said = said.double()
    heard = said.new_ones(said.shape[1]) if voices is None else voices.to(said)
    known = label != UNLABELLED
    truth = F.one_hot(label[known], said.shape[-1]).to(said)
    usual = float(entropy(said).mean()) if discount_unsure else math.inf
    weights = heard * certainty(said, said.new_tensor(usual))
    believed = torch.einsum("bnk,bn->bk", said, weights / weights.sum(1, keepdim=True))
    for _ in range(ROUNDS):
        believed = believed.index_put((known,), truth)
        frequencies = (believed.sum(0) + 1) / (believed.sum() + believed.shape[-1])
        consensus = Consensus(_errors(said, believed), frequencies, heard, usual)
        believed = consensus(said)
    return consensus.float()


def certainty(said: Tensor, usual_entropy: Tensor) -> Tensor:
    """How sure each source is of a sample, 1 / (1 + H / (0.1 · usual)): predictions (B, N, K) give (B, N), in (0, 1].

    Nearly in inverse proportion to the entropy H, as Kwon et al. 2020 weigh teachers; but two that are practically
    certain count alike.
    """
    return 1 / (1 + entropy(said) / (HALF_SURE * usual_entropy).clamp_min(SMALLEST))


def entropy(said: Tensor) -> Tensor:
    """The entropy of predictions (B, N, K) in nats: (B, N)."""
    # One source after the other, as the evidence: the products of all at once would be as large as all that is said.
    return torch.stack([-torch.xlogy(one, one).sum(-1) for one in said.unbind(1)], dim=1)


def _evidence(said: Tensor, errors: Tensor, voices: Tensor) -> Tensor:
    """Σ_i voice_i Σ_j said_ij · log errors_ikj: what speaks for class k (B, K) where the sources say (B, N, K)."""
    if errors.ndim == 3:
        return torch.einsum("bnj,nkj,n->bk", said, errors.clamp_min(SMALLEST).log(), voices)
    right = errors.clamp_min(SMALLEST).log()
    wrong = ((1 - errors) / max(1, errors.shape[-1] - 1)).clamp_min(SMALLEST).log()
    evidence = (said.sum(-1) * voices) @ wrong
    # One source after the other: the product of all at once would be as large as all that is said, and slower.
    for one, ahead in zip(said.unbind(1), voices[:, None] * (right - wrong), strict=True):
        evidence = evidence + one * ahead
    return evidence


def _errors(said: Tensor, believed: Tensor) -> Tensor:
    num_classes = said.shape[-1]
    if num_classes > TOLD_APART:
        right = torch.stack([(one * believed).sum(0) for one in said.unbind(1)])
        start = right.sum(-1, keepdim=True) / len(said)
        return (right + BELIEVED_ROWS * num_classes * start) / (believed.sum(0) + BELIEVED_ROWS * num_classes)
    accuracy = torch.einsum("bnk,bk->n", said, believed) / len(said)
    same = torch.eye(num_classes).to(said)
    wrong = (1 - accuracy) / max(1, num_classes - 1)
    start = accuracy[:, None, None] * same + wrong[:, None, None] * (1 - same)
    seen = torch.einsum("bk,bnj->nkj", believed, said) + BELIEVED_ROWS * num_classes * start
    return seen / seen.sum(-1, keepdim=True)
