"""The encoder on the page docs/add-an-encoder.md works as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from hatlit.encoders.base import ENCODERS, Classifier, InputSpec, build_classifier, check_encoder
from hatlit.registry import load_plugin

PAGE = Path(__file__).parents[2] / "docs" / "add-an-encoder.md"
SPEC = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(50,), rate=50.0)


@pytest.fixture
def code() -> str:
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return block


@pytest.fixture
def classifier(code: str, tmp_path: Path) -> Classifier:
    file = tmp_path / "my_encoders.py"
    file.write_text(code, encoding="utf-8")
    load_plugin(file)
    torch.manual_seed(0)
    return build_classifier("tiny_mlp", SPEC, num_classes=4)


def test_it_is_about_twenty_lines(code: str) -> None:
    assert len([line for line in code.splitlines() if line.strip()]) <= 20


def test_it_keeps_the_contract(classifier: Classifier) -> None:
    check_encoder(classifier.encoder)
    features = classifier.features(torch.randn(2, 3, 50))
    assert features.shape == (2, classifier.feature_dim)
    assert classifier.input_spec == SPEC
    assert "tiny_mlp" in ENCODERS.names("imu")
    assert "tiny_mlp" not in ENCODERS.names("image")


def test_it_learns_in_one_step(classifier: Classifier) -> None:
    view, label = torch.randn(8, 3, 50), torch.arange(8) % 4
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.05)
    before = F.cross_entropy(classifier(view), label)
    before.backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in classifier.parameters())
    optimizer.step()
    assert F.cross_entropy(classifier(view), label) < before


def test_the_command_names_what_the_code_registers(classifier: Classifier) -> None:
    assert "python scripts/train.py --modality imu --plugin my_encoders.py --student tiny_mlp" in PAGE.read_text()
