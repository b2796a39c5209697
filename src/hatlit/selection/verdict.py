"""The account of one source: how far it got in selection, and why no further."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Verdict:
    """What selection found out about one source.

    Attributes:
        id: the source.
        domain: the domain it was trained on.
        encoder: its architecture.
        size_bytes: what its model weighs.
        coarse_score: likeness of its statistics to the target's, None where it was not compared.
        fine_score: its worth on the labelled few, None where it did not get that far or is not finite.
        accuracy: share of the labelled few that it classifies correctly, None where it did not get that far.
        agreement: with the other candidates about unlabelled samples, from 0 to 1, None where it did not get that far.
        selected: whether it is one of the chosen.
        reason: why it was kept or dropped.
    """

    id: str
    domain: str
    encoder: str
    size_bytes: int
    coarse_score: float | None = None
    fine_score: float | None = None
    accuracy: float | None = None
    agreement: float | None = None
    selected: bool = False
    reason: str = ""

    def drop(self, sentence: str) -> None:
        """Leaves the source out, for a reason that may be a whole sentence."""
        self.reason = f"dropped: {as_reason(sentence)}"


def as_reason(sentence: str) -> str:
    """A sentence without its capital and its stop, as part of another."""
    return f"{sentence[:1].lower()}{sentence[1:].rstrip('.')}"
