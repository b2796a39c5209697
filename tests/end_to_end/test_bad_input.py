"""Bad input gets one clear sentence and exit code 2, and nothing is half-written."""

import json
import shutil

import numpy as np
import pytest
import torch


@pytest.fixture
def refused(train, tmp_path):
    """Asserts that a command is refused with a sentence that says certain things, and leaves nothing behind."""

    def check(*words, says, **options):
        code, _, errors, _ = train(*words, **options)
        assert code == 2
        assert errors.startswith("hatlit: ")
        assert errors.count("\n") == 1, errors
        assert "Traceback" not in errors
        for text in says if isinstance(says, tuple) else (says,):
            assert text in errors
        assert not (tmp_path / "runs").exists()

    return check


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--modality imuu", ("Unknown modality 'imuu'", "did you mean imu")),
        ("--data.name spr", ("Unknown imu data set 'spr'", "spar")),
        ("--method hatt", ("Unknown method 'hatt'", "hat")),
        ("--student cnn_nan", ("Unknown imu encoder 'cnn_nan'", "cnn_nano")),
        ("--student aut", "Unknown imu encoder 'aut': did you mean auto?"),
        ("--sources.encoders tcn_tyni", ("Unknown imu encoder 'tcn_tyni'", "tcn_tiny")),
        ("--selection.similarity cosin", ("Unknown similarity 'cosin'", "cosine")),
        ("--selection.statistics handcraft", ("Unknown imu statistic 'handcraft'", "handcrafted")),
        (
            "--selection.statistics random_kernels --sources.statistics handcrafted",
            ("--selection.statistics random_kernels is not among --sources.statistics handcrafted", "add it there"),
        ),
        ("--selection.fine centroid_acuracy", ("Unknown fine score", "centroid_accuracy")),
        ("--hat.injection.schedule acuracy", ("Unknown injection schedule", "accuracy")),
        ("--hat.injection.loss additiv", ("Unknown injection loss", "additive")),
        ("--num_source 3", ("Unknown option 'num_source'", "--num_sources")),
        ("--hat.mixr.dim 3", ("Unknown option 'hat.mixr.dim'", "--hat.mixer.dim")),
        ("--target nobody", ("Unknown domain 'nobody' of data set 'arrays'", "person-0")),
        ("--num_sources 99", "--num_sources 99 asks for more sources than the 3 that the zoo can offer"),
        ("--num_sources 0", "--num_sources must be at least 1, not 0"),
        ("--num_sources many", "--num_sources must be a whole number or nothing, not 'many'"),
        ("--labels.per_class 1 --labels.fraction 0.5", "exclude each other"),
        ("--labels.fraction 2", "--labels.fraction must lie above 0 and at most at 1, not 2.0"),
        ("--hat.mixer.dim 10 --hat.mixer.heads 3", "must be a multiple of"),
        ("--labels.per_class -1", "--labels.per_class must be at least 0"),
        (
            "--labels.per_class 0 --method fixmatch",
            ("Method 'fixmatch' learns from labels, and --labels.per_class 0 leaves none", "there are hat, "),
        ),
        ("--trainer.max_epochs 0", "--trainer.max_epochs must be at least 1"),
        ("--trainer.accelerator abacus", "The Trainer cannot be set up"),
        ("--plugin nowhere.py", "There is no plugin file 'nowhere.py'"),
        ("--config nowhere.yaml", "nowhere.yaml"),
        ("--zoo nowhere", "'nowhere' is not a zoo"),
        ("stray", "'stray' stands alone"),
        ("--target=", "--target is empty"),
        ("--zoo=", "--zoo is empty"),
        ("--out=", "--out is empty"),
    ],
)
def test_options(refused, words, says):
    refused(*words.split(), says=says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("num_source: 3\n", ("Unknown option 'num_source'", "--num_sources")),
        ("hat:\n  mixr:\n    dim: 3\n", ("Unknown option 'hat.mixr.dim'", "--hat.mixer.dim")),
        ("num_sources: [3\n", "The options cannot be read"),
        ("trainer:\n  max_epochs: soon\n", "--trainer.max_epochs must be a whole number, not 'soon'"),
    ],
)
def test_options_in_a_file(refused, tmp_path, content, says):
    file = tmp_path / "options.yaml"
    file.write_text(content)
    refused("--config", file, says=says)


def with_nan(array):
    array = array.astype(np.float32)
    array[7, 1, 3] = np.nan
    return array


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"y": None}, "'y'"),
        ({"x": None}, "'x'"),
        ({"class_names": None}, "'class_names'"),
        ({"x": with_nan}, ("1 ", "finite")),
        ({"y": lambda y: y[:-1]}, ("unequal length", "y 239")),
        ({"domain": lambda domain: domain[:10]}, ("unequal length", "domain 10")),
        ({"y": lambda y: y.astype(object)}, "'y'"),
        ({"y": lambda y: y + 1}, "'y'"),
        ({"class_names": lambda names: np.append(names, "fly")}, "Class 'fly'"),
        ({"y": lambda y: np.where(np.arange(len(y)) < 60, -1, y)}, "Target 'person-0' has no labelled sample"),
    ],
)
def test_arrays(refused, arrays, tmp_path, changes, says):
    with np.load(arrays) as file:
        content = {name: file[name] for name in file.files}
    for name, change in changes.items():
        changed = change(content.pop(name)) if change else content.pop(name) is None
        if change:
            content[name] = changed
    broken = tmp_path / "broken.npz"
    np.savez(broken, **content)
    refused("--target", "person-0", data=broken, says=says)


def test_a_file_that_is_no_npz(refused, tmp_path):
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"these are not arrays")
    refused(data=broken, says="broken.npz")


@pytest.fixture(scope="module")
def good_zoo(tmp_path_factory, arrays, session_cache):
    from hatlit.cli import main

    folder = tmp_path_factory.mktemp("zoos") / "zoo"
    options = f"--data.name arrays --data.root {arrays} --sources.encoders cnn_nano --sources.max_epochs 2 --jobs 1"
    assert main(["zoo", "build", "--out", str(folder), *options.split()]) == 0
    return folder


@pytest.fixture
def zoo(good_zoo, tmp_path):
    return shutil.copytree(good_zoo, tmp_path / "zoo")


def test_a_card_whose_hash_does_not_match(refused, zoo):
    for card in zoo.glob("sources/*/card.json"):
        content = json.loads(card.read_text())
        content["sha256"] = "0" * 64
        card.write_text(json.dumps(content))
    refused("--zoo", zoo, says="do not match its card: their sha256")


def test_weights_that_are_a_pickle(refused, zoo, tmp_path):
    executed = tmp_path / "executed"

    class Bomb:
        def __reduce__(self):
            return open, (str(executed), "w")

    for weights in zoo.glob("sources/*/model.safetensors"):
        torch.save(Bomb(), weights)
    refused("--zoo", zoo, says="are a pickle")
    assert not executed.exists()


def test_a_zoo_without_the_statistics_that_are_asked_for(refused, zoo):
    refused("--zoo", zoo, "--selection.statistics", "moments", says=("statistics", "not 'moments'"))


def test_a_zoo_of_another_modality(refused, zoo):
    info = zoo / "zoo.json"
    info.write_text(info.read_text().replace('"imu"', '"audio"'))
    refused("--zoo", zoo, says=("of modality 'audio', not 'imu'"))


def test_label_names_that_do_not_overlap(refused, zoo):
    for card in zoo.glob("sources/*/card.json"):
        content = json.loads(card.read_text())
        content["class_names"] = ["p", "q", "r"]
        card.write_text(json.dumps(content))
    refused("--zoo", zoo, "--target", "person-0", says="no class name in common with the target")


def test_a_target_that_lacks_the_channels_of_every_source(refused, arrays, zoo, tmp_path):
    with np.load(arrays) as file:
        content = {name: file[name] for name in file.files}
    content["channel_names"] = np.array(["left", "right", "up"])
    other = tmp_path / "other.npz"
    np.savez(other, **content)
    refused("--zoo", zoo, data=other, says="has no channel acc_x, acc_y, acc_z")


@pytest.mark.parametrize("command", ["train", "compare", "expand --rounds 1 --join 1 --initial 3", "study labels"])
def test_an_out_that_is_a_file_is_refused_before_anything_is_done(hatlit, arrays, command):
    code, output, errors = hatlit(*command.split(), "--data.name", "arrays", "--data.root", arrays, "--out", arrays)
    assert (code, output) == (2, "")
    assert errors == f"hatlit: '{arrays}' cannot be written (Not a directory); choose another --out.\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trian"], "Unknown command 'trian': did you mean train"),
        (["zoo", "lst", "x"], "zoo list"),
        (["zoo", "list"], "wants DIR"),
        (["zoo", "list", "nowhere"], "is not a zoo"),
        (["zoo", "build"], "out"),
        (["zoo", "add", "nowhere", "--weights", "w", "--encoder", "cnn_nano"], "domain"),
    ],
)
def test_commands(hatlit, words, says):
    code, _, errors = hatlit(*words)
    assert code == 2
    assert says in errors
    assert errors.count("\n") == 1
