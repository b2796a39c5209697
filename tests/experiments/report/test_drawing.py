import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text

from hatlit.experiments.report.drawing import label_points, name_ticks, new_figure, shorten, spread


@given(st.lists(st.floats(-100, 100), max_size=30), st.floats(0.01, 5))
def test_spread_values_are_a_gap_apart_and_keep_their_order(values, gap):
    moved = spread(values, gap)
    order = np.argsort(values, kind="stable")
    assert all(np.diff(np.array(moved)[order]) >= gap - 1e-6)


def test_spread_moves_no_more_than_it_must():
    assert spread([5.0, 0.0, 9.0], 1.0) == [5.0, 0.0, 9.0]
    assert spread([1.0, 1.0, 8.0], 1.0) == [0.5, 1.5, 8.0]
    assert spread([], 1.0) == []


def test_long_names_keep_their_beginning_and_their_end():
    assert shorten("hat") == "hat"
    assert shorten("two\nlines") == "two lines"
    assert shorten("abcdefghijklmnopqrstuvwxyz-0123456789") == "abcdefghijklmnopqrs...456789"
    assert len(shorten("x" * 100)) == 28


@pytest.mark.parametrize("count", [1, 2, 25])
def test_labels_of_points_on_one_spot_do_not_cover_each_other(count):
    figure = new_figure(8, 6, "title", "where")
    axes = figure.subplots()
    points = [(1.0, 50 + 0.1 * number) for number in range(count)]
    axes.plot(*zip(*points, (2.0, 0.0), strict=True), "o")
    label_points(axes, [*points, (2.0, 0.0)], [*(f"method_{number}" for number in range(count)), "$\\frac{$"])
    figure.draw_without_rendering()
    assert [text.get_text() for text in axes.texts].count("method_0") == 1
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert len(boxes) == count + 1
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_names_of_ticks_that_look_like_formulas():
    figure = new_figure(4, 3, "100$ and $\\frac{$", "where")
    axes = figure.subplots()
    name_ticks(axes, "y", ["$\\frac{$", "b"])
    figure.draw_without_rendering()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["$\\frac{$", "b"]
