import itertools

import numpy as np
import pytest
from matplotlib.text import Text

from hatlit.experiments.report import comparison_figures as figures
from hatlit.experiments.report.document import Paragraph, Picture

SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "nll", "calibration_error")


def method(accuracy, number=0, **changed):
    interval = {"mean": accuracy, "low": accuracy - 0.03, "high": accuracy + 0.04}
    usual = {
        "n": 3,
        "failed": 0,
        "is_oracle": False,
        "needs_source_data": False,
        "bytes": 6e5 * (number % 4),
        "average_rank": number + 1.0,
    }
    return {**usual, **dict.fromkeys(SCORES, interval), "against_reference": None, **changed}


def make(methods, targets=6, critical=4.0):
    """A summary of so many methods, of which the reference is best and the last one an oracle."""
    described = {f"some_method_{n}": method(0.8 - 0.2 * n / methods, n) for n in range(2, methods)}
    described = {"hat": method(0.85, 1), "labels_only": method(0.6, 0), **described}
    described["all_labels"] = method(0.95, 0, is_oracle=True, average_rank=None)
    return {
        "data": "spar",
        "is_demo": False,
        "reference": "hat",
        "targets": [f"user_{number}" for number in range(targets)],
        "seeds": 3,
        "critical_difference": critical,
        "methods": described,
    }


def rows_of(summary, gains):
    accuracy = {"labels_only": 0.6, "hat": 0.6}
    return [
        {
            "method": name,
            "target": target,
            "seed": seed,
            "accuracy": accuracy[name] + gain * (name == "hat"),
            "failed": "",
        }
        for target, gain in zip(summary["targets"], itertools.cycle(gains))
        for seed in range(2)
        for name in accuracy
    ]


@pytest.fixture
def drawn(monkeypatch):
    """Keeps every figure that is drawn."""
    kept = []

    def keep(figure):
        kept.append(figure)
        return b"\x89PNG"

    monkeypatch.setattr(figures, "as_png", keep)
    return kept


def texts_of(figure):
    """Every text that is to be seen, with the place it takes."""
    figure.draw_without_rendering()
    shown = [figure._suptitle, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        shown += axes.texts
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                ticks = axis.get_major_ticks()
                shown += [axis.label, *(tick.label1 for tick in ticks if low <= tick.get_loc() <= high)]
    return [(text.get_text(), Text.get_window_extent(text)) for text in shown if text.get_text()]


def check_layout(figure):
    texts = texts_of(figure)
    for (one, here), (other, there) in itertools.combinations(texts, 2):
        assert not here.padded(-1).overlaps(there.padded(-1)), f"'{one}' covers '{other}'"
    for text, box in texts:
        assert figure.bbox.padded(1).containsx(box.x0) and figure.bbox.padded(1).containsx(box.x1), text
        assert figure.bbox.padded(1).containsy(box.y0) and figure.bbox.padded(1).containsy(box.y1), text


@pytest.mark.parametrize(("methods", "targets"), [(2, 1), (3, 6), (25, 1), (25, 32)])
def test_no_text_covers_another_or_is_cut(drawn, methods, targets):
    summary = make(methods, targets)
    figures.accuracy_picture(summary)
    figures.critical_difference_picture(summary)
    figures.slopes_picture(summary, rows_of(summary, [0.1, -0.05, 0.0, 0.11]))
    figures.traffic_picture(summary)
    assert len(drawn) == 4
    for figure in drawn:
        check_layout(figure)


def test_what_has_no_interval_or_no_finished_run(drawn):
    summary = make(3)
    nothing = dict.fromkeys(("mean", "low", "high"))
    summary["methods"]["lost"] = {**summary["methods"]["hat"], "n": 0, "failed": 3, "accuracy": nothing, "bytes": None}
    summary["methods"]["hat"]["accuracy"] |= {"low": None, "high": None}
    picture = figures.accuracy_picture(summary)
    assert "lost" not in picture.alt
    assert any(text.get_text().endswith("[-]") for text in drawn[0].axes[0].texts)
    assert "lost" not in figures.traffic_picture(summary).alt


def test_bars_are_the_accuracies_best_first_and_oracles_are_hatched(drawn):
    picture = figures.accuracy_picture(make(3))
    (axes,) = drawn[0].axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["all_labels (oracle)", "hat", "some_method_2", "labels_only"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([95, 85, 200 / 3, 60])
    assert [bool(bar.get_hatch()) for bar in axes.patches] == [True, False, False, False]
    assert "85.0 [82.0, 89.0]" in [text.get_text() for text in axes.texts]
    assert "hat 85.0 %" in picture.alt


@pytest.mark.parametrize(
    ("ranks", "critical", "groups"),
    [
        ([1, 2, 3], 0.5, []),
        ([1, 2, 3], 2, [(0, 2)]),
        ([1, 2, 3, 4], 1, [(0, 1), (1, 2), (2, 3)]),
        ([1, 1.2, 1.4, 3.9, 4], 0.5, [(0, 2), (3, 4)]),
        ([2, 2], 0.1, [(0, 1)]),
    ],
)
def test_groups_are_as_large_as_the_critical_difference_lets_them(ranks, critical, groups):
    assert figures.undecided(np.array(ranks, dtype=float), critical) == groups


def test_oracles_have_no_rank(drawn):
    picture = figures.critical_difference_picture(make(4))
    assert "all_labels" not in picture.alt
    assert "labels_only 1.00; hat 2.00" in picture.alt


def test_without_a_critical_difference_a_sentence_says_why():
    said = figures.critical_difference_picture(make(4, critical=None))
    assert isinstance(said, Paragraph)
    assert "three targets" in said.text


def test_up_and_down_differ_in_more_than_colour(drawn):
    summary = make(2, targets=3)
    picture = figures.slopes_picture(summary, rows_of(summary, [0.1, -0.05, 0.0]))
    lines = drawn[0].axes[0].lines[:3]
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == 3
    np.testing.assert_allclose(lines[0].get_ydata(), [60, 70])
    assert "user_1  -5.0" in [text.get_text() for text in drawn[0].axes[0].texts]
    assert "1 up, 1 down, 1 same" in picture.alt


def test_targets_of_which_one_end_failed_are_left_out(drawn):
    summary = make(2, targets=2)
    rows = rows_of(summary, [0.1])
    for row in rows:
        if row["target"] == "user_1" and row["method"] == "hat":
            row.update(accuracy=None, failed="no memory")
    assert "1 up, 0 down" in figures.slopes_picture(summary, rows).alt
    said = figures.slopes_picture(summary, [row for row in rows if row["method"] == "hat"])
    assert isinstance(said, Paragraph)
    assert "labels_only" in said.text


def test_very_many_targets_are_drawn_without_names(drawn):
    summary = make(2, targets=200)
    figures.slopes_picture(summary, rows_of(summary, [0.1]))
    assert not drawn[0].axes[0].texts
    assert drawn[0].get_figheight() < 6


def test_methods_that_move_nothing_stand_left_of_all_others(drawn):
    figures.traffic_picture(make(5))
    (axes,) = drawn[0].axes
    names = [text.get_text() for text in axes.texts]
    places = dict(zip(names, (text.xy[0] for text in axes.texts), strict=True))
    assert set(names) == {"hat", "labels_only", "all_labels (oracle)", *(f"some_method_{n}" for n in (2, 3, 4))}
    assert places["labels_only"] == places["all_labels (oracle)"] < places["hat"] == 6e5
    assert "nothing" in [label.get_text() for label in axes.get_xticklabels()]


def test_where_nothing_is_moved_a_sentence_says_so():
    summary = make(3)
    summary["methods"] = {name: {**one, "bytes": 0.0} for name, one in summary["methods"].items()}
    assert isinstance(figures.traffic_picture(summary), Paragraph)


def test_pictures_are_pngs_and_demo_data_are_called_so(monkeypatch):
    titles = []
    real = figures.as_png
    monkeypatch.setattr(figures, "as_png", lambda figure: (titles.append(figure.get_suptitle()), real(figure))[1])
    picture = figures.accuracy_picture({**make(2), "is_demo": True})
    assert isinstance(picture, Picture)
    assert picture.png.startswith(b"\x89PNG\r\n\x1a\n")
    assert "demo data, simulated" in titles[0]
