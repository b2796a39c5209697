"""Models of ``transformers`` load quietly from folders, and nothing pickled or executable does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hatlit.encoders.base import InputSpec
from hatlit.encoders.transformers_loading import TransformerEncoder, fetch, load_transformer, use_up
from hatlit.errors import InputError

transformers = pytest.importorskip("transformers", exc_type=(ImportError, RuntimeError))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model as ``save_pretrained`` writes it."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=20
    )
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    return shutil.copytree(saved, tmp_path / "copy")


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_weights_come_back_where_they_are_wanted(saved: Path) -> None:
    one, config = load_transformer(str(saved), pretrained=True)
    same, _ = load_transformer(str(saved), pretrained=True)
    fresh, _ = load_transformer(str(saved), pretrained=False)
    assert config.hidden_size == 16
    key = "embeddings.word_embeddings.weight"
    assert torch.equal(one.state_dict()[key], same.state_dict()[key])
    assert not torch.equal(one.state_dict()[key], fresh.state_dict()[key])


def test_nothing_is_said_and_settings_come_back(saved: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    load_transformer(str(saved), pretrained=True)
    assert capfd.readouterr() == ("", "")
    assert before == (transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled())


def test_pickled_weights_are_never_loaded(copied: Path) -> None:
    model, _ = load_transformer(str(copied), pretrained=True)
    (copied / "model.safetensors").unlink()
    torch.save(model.state_dict(), copied / "pytorch_model.bin")
    with pytest.raises(InputError, match="no weights in safetensors, and pickled ones are never loaded"):
        load_transformer(str(copied), pretrained=True)


def test_code_of_a_model_is_never_run(copied: Path) -> None:
    (copied / "evil.py").write_text("raise SystemExit('this ran')")
    change_config(copied, model_type="evil", auto_map={"AutoConfig": "evil.Config", "AutoModel": "evil.Model"})
    with pytest.raises(InputError, match="code of its own, which is never run"):
        load_transformer(str(copied), pretrained=True)


def test_a_configuration_cannot_fetch_an_attention_kernel(copied: Path) -> None:
    change_config(copied, attn_implementation="evil/kernel")
    for pretrained in (True, False):
        model, _ = load_transformer(str(copied), pretrained)
        assert model.config._attn_implementation == "eager"


def test_half_precision_becomes_float32(copied: Path) -> None:
    model, _ = load_transformer(str(copied), pretrained=True)
    model.half().save_pretrained(copied)
    again, _ = load_transformer(str(copied), pretrained=True)
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}


def test_weights_that_do_not_fit_are_refused(copied: Path, saved: Path) -> None:
    change_config(copied, intermediate_size=32)
    with pytest.raises(InputError, match=r"other sizes than its config\.json says"):
        load_transformer(str(copied), pretrained=True)
    other = transformers.DistilBertConfig(dim=16, n_layers=1, n_heads=2, hidden_dim=16, vocab_size=20)
    other.save_pretrained(copied)
    with pytest.raises(InputError, match="weights belong to another model"):
        load_transformer(str(copied), pretrained=True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"config.json": "{nope"}, "not a valid JSON"),
        ({"config.json": '{"model_type": "unheard_of"}'}, "unheard_of"),
        ({"config.json": "{}"}, "Unrecognized model"),
        ({"model.safetensors": "damaged"}, "its weights are damaged"),
    ],
)
def test_a_spoilt_folder_is_refused_in_one_sentence(copied: Path, content: dict[str, str], reason: str) -> None:
    for name, text in content.items():
        (copied / name).write_text(text)
    with pytest.raises(InputError, match=reason) as refusal:
        load_transformer(str(copied), pretrained=True)
    assert str(copied) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder '.*nowhere'"):
        load_transformer(str(tmp_path / "nowhere"), pretrained=True)


def test_the_network_is_asked_only_where_the_cache_does_not_do() -> None:
    asked = []

    def load(place: str, offline: bool) -> str:
        asked.append((place, offline))
        if offline or place == "org/gone":
            raise OSError("We couldn't connect to the hub.\nMore about it.")
        return place

    assert fetch("org/there", load) == "org/there"
    assert asked == [("org/there", True), ("org/there", False)]
    with pytest.raises(InputError, match=r"'org/gone' is no folder, .* the local cache does not hold it"):
        fetch("org/gone", load)


class Halves(nn.Module):
    """Two linear maps, of which one is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle, self.dropout = nn.Linear(4, 3), nn.Linear(4, 3), nn.Dropout(0.5)

    def forward(self, view: Tensor) -> Tensor:
        return self.dropout(self.used(view[:, 0]))


def test_a_model_stays_in_evaluation_mode_and_idle_weights_rest() -> None:
    spec = InputSpec(modality="audio", channels=("c",), shape=(4,), rate=8000.0)
    model = Halves()
    assert use_up(model, spec.blank(1)) == 3
    assert [name for name, one in model.named_parameters() if one.requires_grad] == ["used.weight", "used.bias"]
    assert all(parameter.grad is None for parameter in model.parameters())
    encoder = TransformerEncoder(model, spec, 3)
    assert encoder.train().training
    assert not model.training
