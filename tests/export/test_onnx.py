import sys

import numpy as np
import pytest
import torch
from torch import nn

from hatlit.datamodules.audio import log_mel
from hatlit.datamodules.base import build_view
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.export.onnx import OnnxModel, require_onnx, to_int8, to_onnx

pytest.importorskip("onnxruntime")

NAMES = ("samples", "view")


class View(nn.Module):
    """Builds a view, as a part of a graph."""

    def __init__(self, recorded, wanted):
        super().__init__()
        self.recorded, self.wanted = recorded, wanted

    def forward(self, samples):
        return build_view(samples, self.recorded, self.wanted)


def spec(modality, axes, shape, channels=2, rate=None):
    names = tuple("abc"[:channels])
    return InputSpec(modality=modality, channels=names, axes=axes, shape=shape, rate=rate)


@pytest.mark.parametrize(
    ("recorded", "changes"),
    [
        (spec("imu", ("time",), (64,), rate=50.0), {"mean": (1.0, 2.0), "std": (3.0, 4.0)}),
        (spec("imu", ("time",), (64,), rate=50.0), {"rate": 20.0, "shape": (26,), "channels": ("b",)}),
        (spec("imu", ("time",), (64,), rate=50.0), {"shape": (81,)}),
        (spec("image", ("height", "width"), (30, 20)), {"shape": (16, 32)}),
        (spec("depth", ("height", "width"), (30, 20)), {"shape": (16, 32), "mean": (1.0, 2.0), "std": (1.0, 1.0)}),
        (spec("radar", ("bin", "time"), (24, 30)), {"shape": (8, 25)}),
        (spec("radar", ("point",), (40,)), {"shape": (64,)}),
        (spec("audio", ("time",), (1600,), 1, 8000.0), {"axes": ("mel", "time"), "shape": (40, 20)}),
        (spec("audio", ("time",), (1102,), 1, 11025.0), {"axes": ("mel", "time"), "shape": (20, 10)}),
    ],
    ids=lambda one: one.modality if isinstance(one, InputSpec) else ",".join(one),
)
def test_a_view_is_built_in_the_graph_as_it_is_here(recorded, changes):
    view = View(recorded, recorded.with_(**changes))
    samples = torch.randn(3, recorded.num_channels, *recorded.shape)
    if recorded.modality == "depth":
        samples = samples.abs()
        samples[:, :, :10] = 0  # nothing was measured there
    graph = OnnxModel(to_onnx(view, samples, NAMES))
    for rows in (samples, samples[:1]):
        np.testing.assert_allclose(graph(rows.numpy()), view(rows).numpy(), rtol=1e-3, atol=2e-4)


def test_making_spectrograms_again_changes_nothing():
    sound = torch.randn(2, 1, 800)
    assert torch.equal(log_mel(sound, 8000.0, 40), log_mel(sound, 8000.0, 40))
    assert log_mel(sound.double(), 8000.0, 40).dtype == torch.float64


def test_a_fixed_batch_takes_no_other():
    graph = OnnxModel(to_onnx(nn.Linear(3, 2), torch.randn(2, 3), NAMES, batch=4))
    assert graph(np.zeros((4, 3), np.float32)).shape == (4, 2)
    with pytest.raises(Exception, match="invalid dimensions"):
        graph(np.zeros((1, 3), np.float32))


def test_eight_bits_are_smaller_and_nearly_the_same():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.student = nn.Conv1d(2, 8, 5), nn.Sequential(nn.Flatten(), nn.Linear(96, 500))

        def forward(self, samples):
            return self.student(self.before(samples))

    model, samples = Both(), torch.randn(5, 2, 16)
    graph = to_onnx(model, samples, NAMES)
    small = to_int8(graph, inside="/student")
    assert len(small) < 0.4 * len(graph)
    expected = model(samples).detach().numpy()
    assert 0 < np.abs(OnnxModel(small)(samples.numpy()) - expected).max() < 0.1
    assert b"before.weight_quantized" not in small


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_a_missing_library_is_told_with_the_command_that_brings_it(monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr("hatlit.export.onnx.find_spec", lambda name: None if name == library else object())
    with pytest.raises(InputError, match=rf"'{library}' is not installed; pip install 'hatlit\[export\]' brings it"):
        require_onnx()
