"""What tests of the pages share."""

from __future__ import annotations

import pytest

from hatlit.encoders.base import ENCODERS
from hatlit.injection.losses.base import INJECTION_LOSSES
from hatlit.injection.schedule import SCHEDULES
from hatlit.methods.base import METHODS
from hatlit.selection.fine import FINE_SCORES
from hatlit.selection.similarity import SIMILARITIES


@pytest.fixture(autouse=True)
def forget_what_pages_register(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets nothing that a page registers outlive its test; reading the entries first makes sure that all are there."""
    for registry in (ENCODERS, METHODS, SIMILARITIES, FINE_SCORES, SCHEDULES, INJECTION_LOSSES):
        monkeypatch.setattr(registry, "_entries", {(entry.modality, entry.name): entry for entry in registry})
