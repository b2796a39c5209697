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


def test_limits_are_read_from_a_table(tmp_path):
    path = tmp_path / "budgets.csv"
    path.write_text("domain,max_bytes,max_latency_ms\nann,30000,2.5\nbob,,\n")
    found = read_budgets(str(path), ["ann", "bob"])
    assert found == {"ann": {"max_bytes": 30000, "max_latency_ms": 2.5}, "bob": {}}
    assert isinstance(found["ann"]["max_bytes"], int)
    path.write_text("\ufeffdomain, max_bytes\r\nann, 30000\r\n")  # as spreadsheets write it
    assert read_budgets(str(path), ["ann"]) == {"ann": {"max_bytes": 30000}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "have no column 'domain'"),
        ("name,max_bytes\nann,3\n", "have no column 'domain'"),
        ("domain,max_bytes,max_bytes\nann,3,4\n", "have two columns of one name"),
        ("domain,max_byte\nann,3\n", "Unknown limit 'max_byte' of 'ann'"),
        ("domain,max_bytes\nzoe,3\n", "Unknown domain 'zoe'"),
        ("domain,max_bytes\nann,much\n", "max_bytes of 'ann' .* must be a number above 0"),
        ("domain,max_bytes\nann,-1\n", "must be a number above 0"),
        ("domain,max_bytes\nann,nan\n", "must be a number above 0"),
        ("domain,max_bytes\nann,3\nann,4\n", "name the domain 'ann' twice"),
        ("domain,max_bytes\nann,3,4\n", "Line 2 of the budgets .* has more cells than the first line"),
        ('domain,max_bytes\n"ann,3\n', "cannot be read: it is no CSV table"),
    ],
)
def test_a_table_that_cannot_be_is_refused(tmp_path, text, says):
    (tmp_path / "budgets.csv").write_text(text)
    with pytest.raises(InputError, match=says):
        read_budgets(str(tmp_path / "budgets.csv"), ["ann", "bob"])
