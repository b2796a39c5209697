"""Lets the site show the ``Example:`` of a docstring as code: the parser of docstrings knows the plural alone."""

from __future__ import annotations

from typing import Any

import griffe


class Examples(griffe.Extension):
    """What mkdocstrings calls with every object it finds."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Renames the section."""
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
