import io

import numpy as np
import pytest
import torch
from torch import nn

from hatlit.errors import InputError
from hatlit.export.deployed import read_student
from hatlit.export.write import TestPart as Part
from hatlit.export.write import export, in_batches

pytest.importorskip("onnxruntime")


@pytest.fixture
def part(walker):
    return Part(walker.tensor(), walker.labels)


@pytest.mark.parametrize(
    ("to", "int8", "batch", "most"),
    [
        ("onnx", False, None, 1e-5),
        ("onnx", False, 7, 1e-5),
        ("onnx", True, None, 0.1),
        ("torch_export", False, None, 1e-5),
        ("torch_export", False, 3, 1e-5),
        ("safetensors", False, None, 0.0),
    ],
)
def test_a_file_answers_as_the_student_and_says_what_it_costs(finished, part, to, int8, batch, most):
    content, described = export(finished, to, int8, batch, part)
    assert described.largest_difference <= most
    assert described.size_bytes == len(content)
    assert described.input_shape == (batch or 0, 3, 32)
    assert described.parameters == finished.card.num_parameters
    assert described.macs > 0
    assert min(described.latency_ms.exported, described.latency_ms.student) > 0
    assert abs(described.accuracy.exported - described.accuracy.student) <= (0.1 if int8 else 0)
    assert described.preprocessing == ("outside" if to == "safetensors" else "inside")


def test_an_archive_of_torch_export_is_read_by_torch(finished, part):
    content, _ = export(finished, "torch_export", int8=False, batch=None, test=part)
    found = torch.export.load(io.BytesIO(content)).module()(part.samples[:5])
    with torch.no_grad():
        torch.testing.assert_close(found, finished.deployed(part.samples[:5]))


@pytest.mark.parametrize("int8", [False, True])
def test_without_samples_there_is_no_accuracy(text_run, int8):
    _, described = export(read_student(text_run), "onnx", int8, batch=None, test=None)
    assert described.accuracy is None
    assert (described.input_name, described.input_type, described.preprocessing) == ("view", "int64", "outside")
    assert described.view.tokenizer == "ngrams"


class Unsteady(nn.Module):
    """Counts how often it was asked."""

    def __init__(self, spec):
        super().__init__()
        self.input_spec, self.feature_dim, self.asked = spec, 64, 0

    def forward(self, view):
        self.asked += 1
        return self.asked * view.flatten(1)[:, :64]


class Wordy(Unsteady):
    def forward(self, view):
        return torch.linalg.eigvals(view[:, :, :3]).real.repeat(1, 22)[:, :64]


@pytest.mark.parametrize(("kind", "says"), [(Unsteady, "lie up to"), (Wordy, "is not supported")])
def test_a_student_that_a_graph_cannot_hold_is_refused(finished, part, kind, says, capfd):
    finished.deployed.student.encoder = kind(finished.deployed.view)
    with pytest.raises(InputError, match=rf"Encoder 'cnn_nano' cannot be exported.*{says}.*choose another --to"):
        export(finished, "onnx", int8=False, batch=None, test=part)
    assert capfd.readouterr().out == ""


def test_a_fixed_batch_is_filled_up():
    asked = []

    def answers(rows):
        asked.append(len(rows))
        return rows

    rows = np.arange(10)
    assert np.array_equal(in_batches(answers, rows, 4), rows)
    assert asked == [4, 4, 4]
    asked.clear()
    assert np.array_equal(in_batches(answers, rows, None), rows)
    assert asked == [10]
