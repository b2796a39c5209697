"""HaT as published, so that anyone can compare."""

from __future__ import annotations

from hatlit.methods.base import register_method
from hatlit.methods.hat import HaT


@register_method("hat_paper")
class HaTPaper(HaT):
    """HaT read literally (arXiv 2412.04060): sources stay as they are, and the mixer may replace the labels.

    The machinery is that of ``HaT``; ``configs/method/hat_paper.yaml`` holds the options that make the difference.
    """
