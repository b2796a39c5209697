"""The pictures of studies: as many series as one picture shows can be told apart, also without colour."""

from __future__ import annotations

from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from hatlit.experiments.spoiled import KINDS
from hatlit.experiments.study_figures import draw_curves


def test_each_kind_of_bad_source_has_a_marker_and_a_colour_of_its_own():
    axes = Figure().subplots()
    half = {"mean": 0.5, "low": 0.4, "high": 0.6}
    draw_curves(axes, ["0%", "20%"], {kind: [half, None] for kind in KINDS})
    curves = [container.lines[0] for container in axes.containers if isinstance(container, ErrorbarContainer)]
    assert len(curves) == len(KINDS) > 5
    assert len({curve.get_marker() for curve in curves}) == len(KINDS)
    assert len({str(curve.get_color()) for curve in curves}) == len(KINDS)
