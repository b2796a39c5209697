from dataclasses import replace

import numpy as np
import pytest
import torch

from hatlit.experiments.measure import quality
from hatlit.experiments.report import example_figures as figures
from hatlit.experiments.report.document import Paragraph
from hatlit.experiments.report.example_figures import RunExample

EVERY = (
    figures.selection_picture,
    figures.attention_picture,
    figures.learning_picture,
    figures.confusion_picture,
    figures.reliability_picture,
)


def source(number, fine=None, selected=False):
    reason = "selected" if selected else "dropped by the fine stage" if fine else "dropped by the coarse stage"
    scores = {"coarse_score": -0.1 * number, "fine_score": fine, "accuracy": fine}
    return {"id": f"source_{number}", **scores, "selected": selected, "reason": reason}


def make(samples=60, classes=4, sources=3, epochs=20):
    random = np.random.default_rng(0)
    label = random.integers(0, classes, samples)
    logits = random.normal(size=(samples, classes)) + 2 * np.eye(classes)[label]
    weights = random.random((samples, sources))
    names = [f"source_{number}" for number in range(sources)]
    asked = [source(number, 0.9 - 0.1 * number, True) for number in range(sources)]
    others = [source(sources, 0.2), *(source(sources + 1 + number) for number in range(8))]
    result = {"method": "hat", "data": "spar", "is_demo": True, "target": "ann", "seed": 0, "weighed": names}
    logged = ("mixer/accuracy", "alpha", "dictionary/writes")
    return RunExample(
        {**result, "classes": [f"class_{number}" for number in range(classes)]},
        {"sources": [*asked, *others]},
        [{"epoch": float(epoch), **dict.fromkeys(logged, epoch / 20)} for epoch in range(epochs)],
        weights / weights.sum(axis=1, keepdims=True),
        label,
        np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
    )


@pytest.fixture
def drawn(monkeypatch):
    """Keeps every figure that is drawn."""
    kept = []

    def keep(figure):
        kept.append(figure)
        return b"\x89PNG"

    monkeypatch.setattr(figures, "as_png", keep)
    return kept


@pytest.mark.parametrize(
    "size",
    [{}, {"samples": 1, "classes": 1, "sources": 1, "epochs": 1}, {"samples": 900, "classes": 70, "sources": 20}],
)
@pytest.mark.parametrize("draw", EVERY)
def test_runs_of_every_size_are_drawn(draw, size):
    picture = draw(make(**size))
    assert picture.png.startswith(b"\x89PNG\r\n\x1a\n")
    assert picture.alt
    assert picture.caption


@pytest.mark.parametrize("draw", EVERY)
def test_the_title_says_which_run_and_that_data_are_simulated(draw, drawn):
    draw(make())
    assert "hat on spar (demo data, simulated), target ann, seed 0" in drawn[0].get_suptitle()


@pytest.mark.parametrize("draw", EVERY)
def test_what_is_not_there_is_a_sentence(draw):
    nothing = replace(make(samples=0), selection=None, epochs=[], weights=None)
    said = draw(nothing)
    assert isinstance(said, Paragraph)
    assert said.text.startswith("No ")


def test_the_funnel_counts_what_each_stage_left(drawn):
    picture = figures.selection_picture(make())
    bars, scores = drawn[0].axes
    assert [bar.get_height() for bar in bars.patches] == [12, 4, 3]
    assert "12 in the zoo, 4 candidates, 3 selected" in picture.alt
    assert [len(line.get_xdata()) for line in scores.lines] == [3, 1, 8]
    assert {text.get_text() for text in scores.texts} == {"source_0", "source_1", "source_2"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, False),
        ({"fine_score": 0.0}, True),
        ({"accuracy": 0.0}, True),
        ({"reason": "dropped by the fine stage: no finite score by leep"}, True),
        ({"reason": "dropped: trained on the target itself", "coarse_score": None}, False),
    ],
)
def test_a_candidate_is_a_source_that_was_looked_at(changed, expected):
    assert figures.is_candidate({**source(1), **changed}) == expected


def test_samples_of_the_heat_map_are_in_order_of_their_classes(drawn):
    example = make(samples=50)
    figures.attention_picture(example)
    axes = drawn[0].axes[0]
    order = np.argsort(example.label, kind="stable")
    np.testing.assert_allclose(axes.images[0].get_array(), example.weights[order].T)
    assert [label.get_text() for label in axes.get_xticklabels()] == [f"class_{number}" for number in range(4)]


def test_curves_are_those_that_were_logged(drawn):
    example = make()
    figures.learning_picture(replace(example, epochs=[{"epoch": 0.0, "alpha": 0.25}, {"epoch": 1.0, "alpha": 0.5}]))
    above, below = drawn[0].axes
    (line,) = above.lines
    np.testing.assert_allclose(line.get_ydata(), [0.25, 0.5])
    assert not below.lines


def test_the_confusion_matrix_counts(drawn):
    example = replace(make(), label=np.array([0, 0, 1]), probabilities=np.eye(4)[[0, 1, 1]])
    picture = figures.confusion_picture(example)
    image = drawn[0].axes[0].images[0].get_array()
    assert image[0, 0] == image[0, 1] == 0.5
    assert image[1, 1] == 1
    assert {(text.get_position(), text.get_text()) for text in drawn[0].axes[0].texts} == {
        ((0, 0), "1"),
        ((1, 0), "1"),
        ((1, 1), "1"),
    }
    assert "66.7 %" in picture.alt


def test_the_calibration_error_is_the_one_of_the_result():
    example = make(samples=500)
    measured = quality(torch.tensor(example.probabilities), torch.tensor(example.label)).calibration_error
    assert f"ECE {measured:.3f}" in figures.reliability_picture(example).alt
