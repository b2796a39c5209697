import io

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.image import imread

from hatlit.experiments.report.figures import MAX_SAMPLES, run_figure

EPOCHS = [
    {"epoch": epoch, "loss/student": 2.0 / (epoch + 1), "mixer/accuracy": 0.5 + 0.1 * epoch, "alpha": 0.1 * epoch}
    for epoch in range(5)
]


def pixels(picture):
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    return imread(io.BytesIO(picture), format="png")


def weights(rows, sources=2):
    return torch.rand(rows, sources, generator=torch.Generator().manual_seed(0)).softmax(-1)


def check(picture):
    image = pixels(picture)
    height, width = image.shape[:2]
    assert 500 <= height <= 2000
    assert 800 <= width <= 3000
    assert 10_000 < len(picture) < 1_000_000
    assert image[..., :3].std() > 0.02, "something is drawn"
    return image


def test_a_picture_of_a_run(result, selection):
    before = plt.get_fignums()
    check(run_figure(result, EPOCHS, selection, weights(187)))
    assert plt.get_fignums() == before, "figures are closed, or a sweep would keep them all"


def test_epochs_ranks_and_samples_have_whole_ticks(result, selection, monkeypatch):
    ticks, close = {}, plt.close

    def look(figure):
        for axes in figure.axes:
            ticks[axes.get_xlabel()] = axes.get_xticks()
        close(figure)

    monkeypatch.setattr(plt, "close", look)
    run_figure(result, EPOCHS[:3], selection, weights(3))
    for counted in ("epoch", "rank by likeness of statistics (coarse)", "test sample"):
        assert all(tick == int(tick) for tick in ticks[counted])


def test_the_legend_of_the_sources_hides_none(result, selection, monkeypatch):
    places, close = [], plt.close

    def look(figure):
        axes = next(axes for axes in figure.axes if axes.get_title() == "Whom it asked")
        places.append((axes.get_legend().get_window_extent(), axes.get_window_extent()))
        close(figure)

    monkeypatch.setattr(plt, "close", look)
    run_figure(result, EPOCHS, selection, weights(3))
    [(legend, plot)] = places
    assert legend.y1 < plot.y0


def test_a_method_that_asks_no_sources(alone):
    check(run_figure(alone, [{"epoch": 0, "loss/student": 1.0}], None, None))


def test_a_method_without_a_mixer_that_wrote_no_epochs(result, selection):
    check(run_figure({**result, "method": "best_source", "mixer": None}, [], selection, None))


def test_a_method_whose_parts_have_names_of_their_own(alone, monkeypatch):
    lines, close = [], plt.close

    def look(figure):
        lines.extend(str(line.get_label()) for axes in figure.axes for line in axes.get_lines())
        close(figure)

    monkeypatch.setattr(plt, "close", look)
    check(run_figure(alone, [{"epoch": 0, "loss/probe": 1.0, "loss/router": float("nan")}], None, None))
    assert {"probe's loss (right axis)", "router's loss (right axis)"} <= set(lines)


def test_what_differs_is_seen(result, selection):
    usual = pixels(run_figure(result, EPOCHS, selection, weights(187)))
    others = [
        run_figure({**result, "accuracy": 0.1}, EPOCHS[:2], None, weights(187).flip(1)),
        run_figure({**result, "is_demo": True}, EPOCHS, selection, weights(187)),
    ]
    changed = [(pixels(picture) != usual).any(-1) for picture in others]
    height, width = usual.shape[0] // 2, usual.shape[1] // 2
    for rows in (slice(0, height), slice(height, None)):
        for columns in (slice(0, width), slice(width, None)):
            assert changed[0][rows, columns].any(), "each of the four pictures shows what it is given"
    assert changed[1][: height // 4].any(), "the title says that data are simulated"


@pytest.mark.parametrize("rows", [1, 20 * MAX_SAMPLES])
def test_any_number_of_test_samples(result, selection, rows):
    check(run_figure(result, EPOCHS, selection, weights(rows)))


def test_names_that_look_like_formulas(result, selection):
    check(run_figure({**result, "target": "$\\frac{$ a_b^ $", "data": "100$"}, EPOCHS, selection, weights(10)))
