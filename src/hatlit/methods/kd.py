"""Plain distillation: the student learns the mean of what the sources say."""

from __future__ import annotations

from typing import ClassVar

from hatlit.methods.base import register_method
from hatlit.methods.distilling import DistillingMethod


@register_method("kd")
class KD(DistillingMethod):
    """Distils the plain mean of the sources' predictions (Hinton et al. 2015, arXiv 1503.02531)."""

    needs_labels: ClassVar[bool] = False
