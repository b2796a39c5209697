import subprocess
import sys

import pytest
from safetensors.torch import save_file

from hatlit.zoo.store import Zoo


@pytest.fixture
def build(hatlit, arrays, tmp_path):
    def run(*words):
        options = f"--data.name arrays --data.root {arrays} --sources.max_epochs 2 --jobs 1".split()
        return hatlit("zoo", "build", "--out", tmp_path / "zoo", *options, *words)

    return run


def test_build_list_show_verify(hatlit, build, tmp_path):
    assert build("--sources.encoders", "cnn_nano,tcn_nano")[0] == 0
    _, listed, _ = hatlit("zoo", "list", tmp_path / "zoo")
    assert all(f"person-{number}" in listed for number in range(4))
    assert listed.count("cnn_nano") == listed.count("tcn_nano") == 2
    _, shown, _ = hatlit("zoo", "show", tmp_path / "zoo", "person-1")
    assert '"encoder": "tcn_nano"' in shown
    code, verified, _ = hatlit("zoo", "verify", tmp_path / "zoo")
    assert code == 0
    assert "0 of 4 sources are broken" in verified


def test_a_second_build_trains_only_what_is_missing(build):
    assert build("--sources.encoders", "cnn_nano", "--leave_out", "person-3")[0] == 0
    assert "training sources: 1 done" in build("--sources.encoders", "cnn_nano")[1]
    assert "training sources" not in build("--sources.encoders", "cnn_nano")[1]


def test_a_model_trained_elsewhere_joins_and_serves(hatlit, build, train, arrays, tmp_path):
    build("--sources.encoders", "cnn_nano", "--leave_out", "person-3")
    model = Zoo.open(tmp_path / "zoo").load("person-2")
    weights = tmp_path / "elsewhere.safetensors"
    save_file(model.state_dict(), weights)
    spec = tmp_path / "spec.json"
    spec.write_text(model.input_spec.model_dump_json())
    code, output, errors = hatlit(
        *("zoo", "add", tmp_path / "zoo", "--weights", weights, "--encoder", "cnn_nano", "--input_spec", spec),
        *("--domain", "person-2", "--id", "guest", "--data.name", "arrays", "--data.root", arrays),
    )
    assert (code, errors) == (0, "")
    assert "added guest" in output
    zoo = Zoo.open(tmp_path / "zoo")
    assert zoo.card("guest").sha256 == zoo.card("person-2").sha256
    assert zoo.card("guest").accuracy == zoo.card("person-2").accuracy
    assert zoo.card("guest").centroids == zoo.card("person-2").centroids
    assert train("--zoo", tmp_path / "zoo", "--target", "person-3")[0] == 0


PLUGIN = """
from torch import nn
from hatlit.encoders.base import register_encoder

@register_encoder("imu")
class Flat(nn.Module):
    '''One linear map over a whole window.'''

    def __init__(self, input_spec):
        super().__init__()
        self.input_spec, self.feature_dim = input_spec, 8
        self.map = nn.Sequential(nn.Flatten(), nn.Linear(input_spec.num_channels * input_spec.shape[0], 8))

    def forward(self, view):
        return self.map(view)
"""


@pytest.mark.slow
def test_verify_needs_the_plugin_whose_encoders_a_zoo_holds(build, tmp_path):
    plugin = tmp_path / "flat.py"
    plugin.write_text(PLUGIN)
    assert build("--plugin", plugin, "--sources.encoders", "flat")[0] == 0
    command = [sys.executable, "-m", "hatlit", "zoo", "verify", str(tmp_path / "zoo")]
    without = subprocess.run(command, capture_output=True, text=True)
    assert without.returncode == 2
    assert "Unknown imu encoder 'flat'" in without.stdout
    assert subprocess.run([*command, "--plugin", str(plugin)], capture_output=True, text=True).returncode == 0


def test_verify_ends_with_2_when_a_source_is_broken(hatlit, build, tmp_path):
    build("--sources.encoders", "cnn_nano")
    weights = tmp_path / "zoo" / "sources" / "person-0" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    code, output, _ = hatlit("zoo", "verify", tmp_path / "zoo")
    assert code == 2
    assert "1 of 4 sources are broken" in output
