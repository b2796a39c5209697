"""The page says what was measured."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_is_what_was_measured() -> None:
    measured = json.loads((ROOT / "benchmarks" / "results" / "robustness.json").read_text())["borders"]
    page = (ROOT / "docs" / "robustness.md").read_text()
    for name, one in measured.items():
        assert (
            f"| {name} | {one['cases']:,} | {one['accepted']:,} | {one['refused']:,} | {len(one['faults'])} |" in page
        )
    assert sum(one["cases"] for one in measured.values()) >= 25_000
