"""The list of data sets that pages of results are made of."""

from __future__ import annotations

import pytest


@pytest.fixture
def sections(program):
    return program("sections").SECTIONS


def test_each_section_has_a_name_and_so_a_file_of_kept_runs_of_its_own(sections):
    names = [one.name for one in sections]
    assert len(set(names)) == len(names)


def test_the_page_says_of_each_file_once_where_it_comes_from(sections):
    told = [one.file for one in sections if one.origin]
    assert sorted(told) == sorted({one.file for one in sections if one.file})
    assert all(one.holds and one.reader for one in sections if one.origin)
