import torch

from hatlit.encoders.base import Classifier, InputSpec
from hatlit.files import cache_folder
from hatlit.fusion.cache import cached_outputs, output_key, weights_hash

SPEC = InputSpec(modality="imu", channels=("x",), shape=(8,))


class Flat(torch.nn.Flatten):
    feature_dim = 8

    def __init__(self, spec=SPEC):
        super().__init__()
        self.input_spec = spec


def make(seed=0, spec=SPEC):
    torch.manual_seed(seed)
    return Classifier(Flat(spec), 2)


def test_key_depends_on_weights_view_recording_and_rows():
    other_view = InputSpec(modality="imu", channels=("x",), shape=(8,), mean=(1.0,), std=(2.0,))
    other_recording = InputSpec(modality="imu", channels=("x",), shape=(16,))
    keys = {
        output_key(make(), SPEC, "rows"),
        output_key(make(seed=1), SPEC, "rows"),
        output_key(make(spec=other_view), SPEC, "rows"),
        output_key(make(), other_recording, "rows"),
        output_key(make(), SPEC, "other rows"),
    }
    assert len(keys) == 5
    assert output_key(make(), SPEC, "rows") in keys


def test_one_changed_weight_changes_the_hash():
    source = make()
    before = weights_hash(source)
    with torch.no_grad():
        source.head.bias[1] += 1e-6
    assert weights_hash(source) != before


def test_outputs_are_computed_once():
    asked = []

    def compute(places):
        asked.append(places)
        return [{"features": torch.full((3,), float(place))} for place in places]

    cached_outputs(["one"], compute)
    outputs = cached_outputs(["zero", "one", "two"], compute)
    assert asked == [[0], [0, 2]]
    assert [one["features"].tolist() for one in outputs] == [[0.0] * 3, [0.0] * 3, [2.0] * 3]
    assert [one["features"].tolist() for one in cached_outputs(["two", "one"], None)] == [[2.0] * 3, [0.0] * 3]


def test_a_broken_file_is_computed_again():
    file = cache_folder() / "outputs" / "key.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"half a file")
    for compute in (lambda places: [{"features": torch.ones(2)}], None):
        assert torch.equal(cached_outputs(["key"], compute)[0]["features"], torch.ones(2))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    occupied = tmp_path / "a file, not a folder"
    occupied.write_text("")
    (outputs,) = cached_outputs(["key"], lambda places: [{"features": torch.ones(2)}], occupied)
    assert torch.equal(outputs["features"], torch.ones(2))
