"""The picture of samples: every layout is drawn, and what is drawn is what was recorded."""

import numpy as np
import pytest

from hatlit.datamodules.base import Domain, DomainSet
from hatlit.encoders.base import InputSpec
from hatlit.experiments.report import samples
from hatlit.experiments.report.samples import samples_figure

LAYOUTS = {
    "imu": (("x", "y", "z"), ("time",), (40,)),
    "skeleton": (tuple(f"joint_{n}" for n in range(30)), ("time",), (40,)),
    "image": (("red", "green", "blue"), ("height", "width"), (12, 16)),
    "depth": (("near", "later", "last"), ("height", "width"), (12, 16)),
    "radar": (("range", "doppler"), ("bin", "time"), (12, 16)),
    "radar points": (("time", "x", "y", "z", "doppler"), ("point",), (50,)),
    "text": (("utf8",), ("byte",), (64,)),
    "audio": (("mono",), ("time",), (4000,)),
}


def make(layout, labels=(0, 1, 0, 1)):
    channels, axes, shape = LAYOUTS[layout]
    rate = 8000.0 if layout == "audio" else 20.0 if "time" in axes else None
    spec = InputSpec(modality=layout.split()[0], channels=channels, axes=axes, shape=shape, rate=rate)
    values = np.random.default_rng(0).integers(40, 90, (len(labels), len(channels), *shape)).astype(np.uint8)
    domain = Domain("ann $x$", values, np.array(labels), np.arange(len(labels)), spec, ("one", "two"))
    return DomainSet("set", spec.modality, (domain,), ("one", "two"), is_demo=True)


@pytest.fixture
def drawn(monkeypatch):
    """Keeps the figure that would be closed."""
    kept = []
    monkeypatch.setattr(samples.plt, "close", kept.append)
    yield kept
    monkeypatch.undo()
    for figure in kept:
        samples.plt.close(figure)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_drawn(layout, drawn):
    data = make(layout)
    assert samples_figure(data, data.domains).startswith(b"\x89PNG")
    (figure,) = drawn
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]
    assert figure.axes[0].get_ylabel() == "ann $x$"
    assert all(axes.lines or axes.images or axes.collections or axes.texts for axes in figure.axes)
    assert "demo data, simulated" in figure.get_suptitle()


def test_lines_are_the_samples_over_seconds(drawn):
    data = make("imu")
    samples_figure(data, data.domains)
    line = drawn[0].axes[0].lines[1]
    np.testing.assert_allclose(line.get_xdata()[:3], [0, 0.05, 0.1])
    np.testing.assert_array_equal(line.get_ydata(), data.domains[0].samples[0, 1])


def test_a_class_that_a_domain_lacks_is_left_empty(drawn):
    data = make("imu", labels=(0, 0))
    samples_figure(data, data.domains)
    assert drawn[0].axes[1].texts[0].get_text() == "none"


def test_pixels_that_were_not_measured_are_masked(drawn):
    data = make("depth")
    data.domains[0].samples[0, 1, :3] = 0
    samples_figure(data, data.domains)
    shown = drawn[0].axes[0].images[0].get_array()
    assert shown.mask[:3].all()
    assert not shown.mask[3:].any()
