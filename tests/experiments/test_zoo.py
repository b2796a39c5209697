"""What ``hatlit zoo`` does, on a zoo of three people."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hatlit.cli import main
from hatlit.config import DataConfig, ZooAddConfig, ZooBuildConfig
from hatlit.datamodules.base import build_view
from hatlit.encoders.base import build_classifier
from hatlit.errors import InputError
from hatlit.experiments.zoo import add, build, list_sources, show, verify
from hatlit.zoo.store import Zoo


@pytest.fixture(scope="module")
def built(tmp_path_factory, arrays):
    folder = tmp_path_factory.mktemp("zoos") / "zoo"
    options = f"--data.name arrays --data.root {arrays} --sources.encoders cnn_nano --sources.max_epochs 2 --jobs 1"
    assert main(["zoo", "build", "--out", str(folder), *options.split()]) == 0
    return folder


@pytest.fixture
def zoo(built, tmp_path):
    """A copy of the zoo that a test may break."""
    return shutil.copytree(built, tmp_path / "zoo")


@pytest.fixture
def hatlit(capsys):
    """Runs ``hatlit zoo ...``; returns exit code, standard output and standard error."""

    def run(*words):
        code = main(["zoo", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_build_leaves_out_whom_it_is_told_to(arrays, display, tmp_path):
    config = ZooBuildConfig(str(tmp_path / "zoo"), data=DataConfig("arrays", str(arrays)), leave_out="ann", jobs=1)
    config.sources.encoders, config.sources.max_epochs = ["cnn_nano"], 1
    assert build(config, display).ids() == ["bob", "cid"]
    assert "has 2 sources" in display.shown()
    config.leave_out = ["anne"]
    with pytest.raises(InputError, match="did you mean ann"):
        build(config, display)


def test_list(built, display, hatlit):
    list_sources(str(built), display)
    for card in Zoo.open(built).cards():
        (line,) = [line for line in display.shown().splitlines() if f" {card.id} " in line]
        for text in ("arrays", "cnn_nano", f"{card.accuracy:.3f}", str(card.num_samples)):
            assert text in line
    assert "3 sources" in display.shown()
    assert hatlit("list", built)[0] == 0


def test_list_of_an_empty_zoo(built, display, tmp_path):
    (tmp_path / "zoo.json").write_bytes((built / "zoo.json").read_bytes())
    list_sources(str(tmp_path), display)
    assert f"{tmp_path}: 0 sources" in display.shown()


def test_show_is_the_card_without_its_long_lists(built, hatlit):
    code, output, errors = hatlit("show", built, "ann")
    assert (code, errors) == (0, "")
    shown, card = json.loads(output), Zoo.open(built).card("ann")
    assert (shown["id"], shown["sha256"], shown["accuracy"]) == ("ann", card.sha256, card.accuracy)
    assert shown["class_names"] == ["slow", "fast", "still"]
    assert shown["statistics"] == {name: f"{len(one.mean)} numbers" for name, one in card.statistics.items()}
    assert shown["centroids"] == f"3 of {card.feature_dim} numbers"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["list", "nowhere"], "'nowhere' is not a zoo"),
        (["show", "nowhere", "ann"], "'nowhere' is not a zoo"),
        (["verify", "nowhere"], "'nowhere' is not a zoo"),
    ],
)
def test_there_must_be_a_zoo(hatlit, words, says):
    code, _, errors = hatlit(*words)
    assert code == 2
    assert says in errors


def test_show_of_an_unknown_source_names_the_nearest(built, display):
    with pytest.raises(InputError, match="did you mean ann"):
        show(str(built), "anne", display)


def test_verify_of_a_sound_zoo(built, hatlit):
    code, output, _ = hatlit("verify", built)
    assert code == 0
    assert [line for line in output.splitlines() if line.endswith(": sound")] == [
        "ann: sound",
        "bob: sound",
        "cid: sound",
    ]
    assert output.endswith("0 of 3 sources are broken\n")


def test_verify_names_what_is_broken(zoo, hatlit):
    weights = zoo / "sources" / "bob" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"1234")
    (zoo / "sources" / "cid" / "card.json").write_text("{}")
    code, output, _ = hatlit("verify", zoo)
    assert code == 2
    lines = dict(line.split(": ", 1) for line in output.splitlines()[:3])
    assert lines["ann"] == "sound"
    assert "do not match its card" in lines["bob"]
    assert "is not valid" in lines["cid"]
    assert output.endswith("2 of 3 sources are broken\n")


def test_verify_answers_with_whether_all_are_sound(built, zoo, display):
    assert verify(str(built), display) is True
    (zoo / "sources" / "ann" / "model.safetensors").unlink()
    assert verify(str(zoo), display) is False


@pytest.fixture
def elsewhere(people):
    """A model as somebody else might have trained it, with the view it expects."""
    torch.manual_seed(0)
    return build_classifier("cnn_tiny", people.domains[0].recorded, 3).eval()


@pytest.fixture
def to_add(elsewhere, arrays, tmp_path):
    """Returns a function that makes the options of ``zoo add`` from changes to tensors and options."""

    def make(tensors=None, **changes):
        weights, spec = tmp_path / "weights.safetensors", tmp_path / "spec.json"
        save_file(elsewhere.state_dict() if tensors is None else tensors, weights)
        spec.write_text(elsewhere.input_spec.model_dump_json())
        options = {"weights": str(weights), "encoder": "cnn_tiny", "domain": "ann", "input_spec": str(spec)}
        return ZooAddConfig(**{**options, "id": "new", "data": DataConfig("arrays", str(arrays)), **changes})

    return make


def test_a_model_trained_elsewhere_joins(zoo, to_add, display, elsewhere, people):
    add(str(zoo), to_add(), display)
    opened = Zoo.open(zoo)
    assert opened.ids() == ["ann", "bob", "cid", "new"]
    card, model = opened.card("new"), opened.load("new")
    domain = people.domains[0]
    view = build_view(domain.tensor(), domain.recorded, card.input_spec)
    assert torch.equal(model(view), elsewhere(view))
    assert (card.domain, card.encoder, card.class_names) == ("ann", "cnn_tiny", ("slow", "fast", "still"))
    assert set(card.statistics) == set(opened.info.statistics.names)
    ann = opened.card("ann")
    assert card.statistics == ann.statistics
    assert card.num_samples == ann.num_samples
    assert (
        f"added new: cnn_tiny, {card.size_bytes / 1000:.1f} kB, accuracy at home {card.accuracy:.3f}" in display.shown()
    )
    assert all(fault is None for _, fault in opened.verify())


def test_what_a_card_says_of_a_model_can_be_checked(built, zoo, to_add, display):
    """The very weights of a source come to the very same card when they are added by hand."""
    source = Zoo.open(built).card("bob")
    spec = zoo.parent / "bob.json"
    spec.write_text(source.input_spec.model_dump_json())
    tensors = load_file(built / "sources" / "bob" / "model.safetensors")
    add(str(zoo), to_add(tensors, encoder="cnn_nano", domain="bob", input_spec=str(spec)), display)
    again = Zoo.open(zoo).card("new")
    assert again.accuracy == source.accuracy
    assert np.allclose(again.centroids, source.centroids, atol=1e-5)
    assert again.statistics == source.statistics


def test_the_view_is_the_normalised_recording_unless_told(built, zoo, to_add, display):
    add(str(zoo), to_add(domain="bob", input_spec=None), display)
    assert Zoo.open(zoo).card("new").input_spec == Zoo.open(built).card("bob").input_spec


def test_without_an_id_it_has_that_of_its_domain(zoo, to_add, display):
    with pytest.raises(InputError, match="another source 'ann' already"):
        add(str(zoo), to_add(id=None), display)


def test_a_new_zoo_is_made_where_there_is_none(tmp_path, to_add, display):
    add(str(tmp_path / "fresh"), to_add(id=None), display)
    assert Zoo.open(tmp_path / "fresh", "imu").ids() == ["ann"]


def test_the_order_of_the_outputs_can_be_told(zoo, to_add, display):
    for name, class_names in (("one", "slow,fast,still"), ("two", "still,slow,fast")):
        add(str(zoo), to_add(id=name, class_names=class_names), display)
    one, two = (Zoo.open(zoo).card(name) for name in ("one", "two"))
    assert one.class_names == ("slow", "fast", "still")
    assert two.class_names == ("still", "slow", "fast")
    assert two.centroids == (one.centroids[2], one.centroids[0], one.centroids[1])


def without(tensors, name):
    return {key: value for key, value in tensors.items() if key != name}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tensors: tensors | {"head.weight": tensors["head.weight"][:, :-1].contiguous()}, "head.weight"),
        (lambda tensors: without(tensors, "head.bias"), "head.bias"),
        (lambda tensors: tensors | {"optimizer": torch.zeros(2)}, "optimizer"),
        (lambda tensors: {}, "do not fit"),
        (lambda tensors: tensors | {"head.bias": torch.full((3,), float("nan"))}, "finite"),
    ],
)
def test_weights_of_another_form_are_refused(zoo, to_add, elsewhere, display, change, says):
    with pytest.raises(InputError, match=says) as error:
        add(str(zoo), to_add(change(elsewhere.state_dict())), display)
    assert "\n" not in str(error.value)
    assert Zoo.open(zoo).ids() == ["ann", "bob", "cid"]


@pytest.mark.parametrize("class_names", ["slow,fast", "slow,fast,still,fly"])
def test_another_number_of_classes_is_refused(zoo, to_add, display, class_names):
    with pytest.raises(InputError, match=r"do not fit encoder 'cnn_tiny'.*head"):
        add(str(zoo), to_add(class_names=class_names), display)


def test_class_names_that_repeat_are_refused(zoo, to_add, display):
    with pytest.raises(InputError, match="differ"):
        add(str(zoo), to_add(class_names="slow,slow,still"), display)
    assert Zoo.open(zoo).ids() == ["ann", "bob", "cid"]


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_is_never_opened(zoo, to_add, display, tmp_path):
    weights = tmp_path / "checkpoint.pt"
    torch.save({"head.bias": Bomb(tmp_path / "executed")}, weights)
    with pytest.raises(InputError, match=r"is not a safetensors file .*pickles and torch checkpoints are never opened"):
        add(str(zoo), to_add(weights=str(weights)), display)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"weights": "nowhere.safetensors"}, "'nowhere.safetensors' cannot be read"),
        ({"input_spec": "nowhere.json"}, "'nowhere.json' cannot be read"),
        ({"encoder": "cnn_tyni"}, "did you mean cnn_tiny"),
        ({"encoder": "tcn_tiny"}, "do not fit encoder 'tcn_tiny'"),
        ({"domain": "anne"}, "did you mean ann"),
        ({"id": "../escaped"}, "cannot name a source"),
    ],
)
def test_what_else_cannot_be(zoo, to_add, display, tmp_path, changes, says):
    with pytest.raises(InputError, match=says):
        add(str(zoo), to_add(**changes), display)
    assert Zoo.open(zoo).ids() == ["ann", "bob", "cid"]
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("content", ["", "{}", '{"modality": "imu", "channels": ["x"], "shape": [32], "colour": 1}'])
def test_an_input_spec_that_is_none(zoo, to_add, display, tmp_path, content):
    spec = tmp_path / "odd.json"
    spec.write_text(content)
    with pytest.raises(InputError, match=r"The input spec .*odd.json' is not valid"):
        add(str(zoo), to_add(input_spec=str(spec)), display)


def test_a_view_that_the_domain_cannot_give_is_refused(zoo, to_add, display, tmp_path):
    spec = tmp_path / "wide.json"
    spec.write_text('{"modality": "imu", "channels": ["x", "y", "w"], "shape": [32], "rate": 16.0}')
    with pytest.raises(InputError, match="no channel w"):
        add(str(zoo), to_add(input_spec=str(spec)), display)


def test_add_on_the_command_line(zoo, to_add, hatlit, arrays):
    config = to_add()
    words = f"--encoder cnn_tiny --domain ann --id new --data.name arrays --data.root {arrays}".split()
    code, output, errors = hatlit("add", zoo, "--weights", config.weights, *words)
    assert (code, errors) == (0, "")
    assert "added new" in output
