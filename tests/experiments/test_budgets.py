"""Limits by domain."""

import pytest

from hatlit.config import LIMITS
from hatlit.errors import InputError
from hatlit.experiments.budgets import read_budgets


def test_limits_are_read_by_domain(tmp_path):
    path = tmp_path / "budgets.yaml"
    path.write_text("ann: {max_bytes: 30000, max_latency_ms: 2.5}\nbob: {}\n")
    assert read_budgets(str(path), ["ann", "bob"]) == {"ann": {"max_bytes": 30000, "max_latency_ms": 2.5}, "bob": {}}
    path.write_text('{"ann": {' + ", ".join(f'"{name}": 1' for name in LIMITS) + "}}")
    assert set(read_budgets(str(path), ["ann"])["ann"]) == set(LIMITS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[ann]", "must give each domain its limits"),
        ("ann: 3", "must give each domain its limits"),
        ("zoe: {}", "Unknown domain 'zoe'"),
        ("ann: {max_byte: 3}", "Unknown limit 'max_byte' of 'ann'"),
        ("ann: {max_bytes: much}", "max_bytes of 'ann' .* must be a number above 0"),
        ("ann: {max_bytes: 0}", "must be a number above 0"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, text, says):
    (tmp_path / "budgets.yaml").write_text(text)
    with pytest.raises(InputError, match=says):
        read_budgets(str(tmp_path / "budgets.yaml"), ["ann", "bob"])
