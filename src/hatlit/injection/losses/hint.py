"""Feature hints: what the sources see, not only what they conclude."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FeatureHint(nn.Module):
    """A linear map from the student's features to the standardised features of all sources (after Romero et al. 2015).

    It trains with the student and is dropped afterwards.

    Args:
        student_dim: width of the student's features.
        source_dims: widths of the sources' features.
    """

    def __init__(self, student_dim: int, source_dims: Sequence[int]) -> None:
        super().__init__()
        self.project = nn.Linear(student_dim, sum(source_dims))

    def forward(self, student_features: Tensor, source_features: Sequence[Tensor]) -> Tensor:
        """Mean squared error of each row.

        Args:
            student_features: (B, student_dim)
            source_features: one (B, source_dims[i]) a source, standardised, so that knowing nothing costs one.

        Returns:
            (B,)
        """
        return (self.project(student_features) - torch.cat(list(source_features), dim=-1)).square().mean(-1)
