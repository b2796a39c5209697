"""What is said later wins, and what cannot be is refused in one sentence."""

from operator import attrgetter

import pytest
import yaml

from hatlit.config import CompareConfig, ExpandConfig, TrainConfig, ZooAddConfig, ZooBuildConfig
from hatlit.errors import InputError
from hatlit.options import kept_settings, option_names, parse


def train_options(*words):
    return parse(TrainConfig, "train", "Trains.", [str(word) for word in words])


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Replaces the shipped settings; returns the function that writes them."""
    folder = tmp_path / "configs"
    monkeypatch.setattr("hatlit.options.CONFIGS", folder)

    def write(name, **settings):
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(settings))

    return write


@pytest.fixture
def file(tmp_path):
    """Returns a function that writes an options file from text or plain values and gives its path."""

    def write(content, name="options.yaml"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return write


def test_without_any_word_the_defaults_count(shipped):
    assert train_options() == TrainConfig()


def test_nothing_stays_of_what_was_read_before(file):
    first = train_options("--config", file({"trainer": {"max_epochs": 4}}), "--sources.encoders", "[a]")
    first.sources.encoders.append("b")
    first.data.channels = ("x",)
    with pytest.raises(InputError, match=r"--trainer\.max_epochs must be"):
        train_options("--trainer.max_epochs", "many")
    assert train_options() == TrainConfig()
    assert train_options("--sources.encoders", "[a]").sources.encoders == ["a"]


def test_what_is_said_later_wins(shipped, file):
    shipped("modality/imu", num_sources=2, trainer={"max_epochs": 2, "batch_size": 4, "devices": 2}, student="modality")
    shipped("method/hat", num_sources=3, trainer={"max_epochs": 3, "batch_size": 6})
    options = file({"num_sources": 4, "trainer": {"max_epochs": 4}})
    config = train_options("--config", options, "--num_sources", 5)
    assert config.num_sources == 5, "a flag beats the file"
    assert config.trainer.max_epochs == 4, "the file beats the method"
    assert config.trainer.batch_size == 6, "the method beats the modality"
    assert config.trainer.devices == 2, "the modality beats the default"
    assert config.student == "modality"
    assert config.trainer.accelerator == TrainConfig().trainer.accelerator, "what nobody names keeps its default"


def test_a_flag_wins_wherever_the_file_is_named(file):
    options = file({"num_sources": 4, "hat": {"mixer": {"dim": 64}}})
    for words in (
        ["--num_sources", 1, "--config", options],
        ["--config", options, "--num_sources", 1],
        ["--num_sources=1", f"--config={options}"],
    ):
        config = train_options(*words)
        assert (config.num_sources, config.hat.mixer.dim) == (1, 64), words


def test_of_two_files_the_later_wins(file):
    first = file({"num_sources": 4, "target": "a"}, "first.yaml")
    second = file({"num_sources": 5}, "second.yaml")
    config = train_options("--config", first, "--config", second)
    assert (config.num_sources, config.target) == (5, "a")


def test_shipped_settings_follow_a_method_that_the_file_names(shipped, file):
    shipped("method/other", num_sources=3)
    assert train_options("--config", file({"method": "other"})).num_sources == 3
    assert train_options("--config", file({"method": "other", "num_sources": 4})).num_sources == 4
    assert train_options("--config", file({"method": "other"}), "--method", "hat").num_sources is None


def test_shipped_settings_keep_their_types(shipped):
    shipped(
        "modality/imu",
        sources={"encoders": ["a", "b"], "learning_rate": "1e-3"},
        hat={"mixer": {"detach_query": False}},
        labels={"per_class": None, "fraction": 0.5},
        target="7",
    )
    config = train_options()
    assert config.sources.encoders == ["a", "b"]
    assert config.sources.learning_rate == 0.001
    assert config.hat.mixer.detach_query is False
    assert (config.labels.per_class, config.labels.fraction) == (None, 0.5)
    assert config.target == "7"


def test_a_command_takes_of_a_modality_what_it_has_options_for(shipped):
    shipped("modality/imu", student="cnn_tiny", hat={"mixer": {"dim": 64}}, sources={"max_epochs": 7})
    config = parse(ZooBuildConfig, "zoo build", "Builds.", ["--out", "zoo"])
    assert config.sources.max_epochs == 7
    added = parse(ZooAddConfig, "zoo add", "Adds.", "--weights w --encoder e --domain d".split())
    assert added.modality == "imu"


def test_unknown_shipped_settings_are_refused(shipped):
    shipped("modality/imu", studnet="cnn_tiny")
    with pytest.raises(InputError, match=r"Unknown option 'studnet': did you mean --student"):
        train_options()
    with pytest.raises(InputError, match=r"Unknown option 'studnet'"):
        parse(ZooBuildConfig, "zoo build", "Builds.", ["--out", "zoo"])


def test_the_preset_of_the_paper_arrives_and_flags_win_over_it():
    ours, paper = train_options(), train_options("--method", "hat_paper")
    assert (paper.adapt.steps, paper.hat.mixer.prior_weight, paper.hat.injection.loss) == (0, 0.0, "convex")
    assert (paper.selection.statistics, paper.selection.similarity) == ("handcrafted", "cosine")
    assert paper.hat.dictionary.strict is True
    assert ours.adapt.steps > 0
    assert ours.hat.injection.loss == "additive"
    changed = train_options("--method", "hat_paper", "--adapt.steps", 9, "--selection.similarity", "euclidean")
    assert (changed.adapt.steps, changed.selection.similarity) == (9, "euclidean")
    assert changed.hat.injection == paper.hat.injection


def test_in_a_comparison_each_method_gets_its_own_settings():
    words = ["--methods", "hat,hat_paper", "--hat.mixer.dim", "16"]
    ours, paper = (parse(CompareConfig, "compare", "Compares.", words, method=name) for name in ("hat", "hat_paper"))
    assert ours.methods == paper.methods == ["hat", "hat_paper"]
    assert (ours.hat.mixer.dim, paper.hat.mixer.dim) == (16, 32)
    assert (ours.adapt.steps > 0, paper.adapt.steps) == (True, 0)


def test_in_a_comparison_a_method_keeps_what_makes_it_what_it_is(file):
    about = (CompareConfig, "compare", "Compares.")
    words = ["--hat.injection.blends", "8", "--hat.mixer.dim", "16"]
    ours, without = (parse(*about, words, method=name).hat for name in ("hat", "hat_no_blends"))
    assert (ours.injection.blends, without.injection.blends) == (8, 0)
    assert ours.mixer.dim == without.mixer.dim == 16
    assert kept_settings(*about, words, "hat") == []
    assert kept_settings(*about, words, "hat_no_blends") == ["--hat.injection.blends"]
    in_file = ["--config", str(file({"adapt": {"steps": 7}}))]
    assert parse(*about, in_file, method="hat_fixed_heads").adapt.steps == 0
    assert kept_settings(*about, in_file, "hat_fixed_heads") == ["--adapt.steps"]


def test_names_come_with_commas_and_as_lists(file):
    assert train_options("--sources.encoders", "a,b").sources.encoders == ["a", "b"]
    assert train_options("--config", file("sources:\n  encoders: [a, b]\n")).sources.encoders == ["a", "b"]
    assert train_options("--config", file("sources:\n  encoders: a, b\n")).sources.encoders == ["a", "b"]


def test_a_name_that_looks_like_a_number_stays_a_name():
    assert train_options("--target", 3).target == "3"
    assert parse(CompareConfig, "compare", "", ["--targets", "3"]).targets == ["3"]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("--data.download", True),
        ("--data.download --seed 3", True),
        ("--seed 3 --data.download", True),
        ("--data.download true", True),
        ("--data.download=false --seed 3", False),
        ("--data.download false", False),
        ("--data.download --data.download false", False),
    ],
)
def test_what_is_true_or_false_needs_no_value(words, value):
    assert train_options(*words.split()).data.download is value


@pytest.mark.parametrize("words", [["--trainer.augment", "--config"], ["--config"]])
def test_what_is_true_without_a_value_stands_beside_a_file(file, words):
    config = train_options(*words, file({"trainer": {"augment": False}, "num_sources": 4}), "--hat.mixer.train_heads")
    assert (config.num_sources, config.hat.mixer.train_heads) == (4, True)
    assert config.trainer.augment is (len(words) == 2)


def test_every_option_of_true_or_false_may_stand_alone():
    usual = parse(ExpandConfig, "expand", "Grows.", ["--out", "fleet"])
    switches = [name for name in option_names(ExpandConfig) if isinstance(attrgetter(name)(usual), bool)]
    assert {"trainer.augment", "hat.dictionary.strict", "skip_failed"} < set(switches)
    config = parse(ExpandConfig, "expand", "Grows.", ["--out", "fleet", *[f"--{name}" for name in switches]])
    assert all(attrgetter(name)(config) for name in switches)


def test_nothing_can_be_said(file):
    assert train_options("--config", file({"num_sources": 4}), "--num_sources", "null").num_sources is None


def test_a_group_may_have_a_file_of_its_own(file):
    config = train_options("--trainer", file({"max_epochs": 5}), "--trainer.devices", 3)
    assert (config.trainer.max_epochs, config.trainer.devices) == (5, 3)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--num_source 3", "Unknown option 'num_source': did you mean --num_sources"),
        ("--num_source=3", "Unknown option 'num_source': did you mean --num_sources"),
        ("--confg x.yaml", "Unknown option 'confg': did you mean --config"),
        ("--hat.mixer.dimm 3", "Unknown option 'hat.mixer.dimm': did you mean --hat.mixer.dim"),
        ("--qqq 3", "Unknown option 'qqq': --help lists them."),
        ("stray", "'stray' stands alone on the command line; options begin with --."),
        ("--num_sources many", "--num_sources must be a whole number or nothing, not 'many'."),
        ("--labels.fraction half", "--labels.fraction must be a number or nothing, not 'half'."),
        ("--data.download stray", "--data.download must be true or false, not 'stray'."),
        ("--data.name --data.download", "--data.name needs a value."),
        ("--hat.mixer.train_heads perhaps", "--hat.mixer.train_heads must be true or false, not 'perhaps'."),
        ("--wandb maybe", "--wandb must be 'auto' or 'online' or 'offline' or 'off', not 'maybe'."),
        ("--num_sources", "--num_sources needs a value."),
        ("--target", "--target needs a value."),
        ("--plugin", "--plugin needs a value."),
        ("--config", "--config needs a value."),
        ("--config nowhere.yaml", "nowhere.yaml"),
        ("--seed -1", "--seed must be at least 0, not -1."),
    ],
)
def test_flags_that_cannot_be(words, says):
    with pytest.raises(InputError) as error:
        train_options(*words.split())
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value)[-1] in ".?"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("num_source: 3\n", "Unknown option 'num_source': did you mean --num_sources"),
        ("hat:\n  mixr:\n    dim: 3\n", "Unknown option 'hat.mixr.dim': did you mean --hat.mixer.dim"),
        ("hat:\n  mixer:\n    dimm: 3\n", "Unknown option 'hat.mixer.dimm': did you mean --hat.mixer.dim"),
        ("hat:\n  mixer:\n    dim: wide\n", "--hat.mixer.dim must be a whole number, not 'wide'."),
        ("num_sources: 2.5\n", "--num_sources must be a whole number or nothing, not '2.5'."),
        ("jobs: true\n", "--jobs must be a whole number, not 'True'."),
        ("adapt:\n  part: most\n", "--adapt.part must be 'all' or 'last_block' or 'head', not 'most'."),
        ("hat: 3\n", "'hat' is a group of options, so it cannot be the value '3'."),
        ("hat:\n  mixer: [1]\n", "'hat.mixer' is a group of options, so it cannot be the value '[1]'."),
        ("target: a\ntrainer:\n", "'trainer' is a group of options, so it cannot be left empty."),
        ("target: a\nseed:\n", "--seed is left empty; give it a value, or leave the line out."),
        ("hat:\n  mixer:\n    dim: null\n", "--hat.mixer.dim is left empty; give it a value, or leave the line out."),
        ("num_sources: [3\n", "The options cannot be read"),
        ("- num_sources\n", "The options cannot be read"),
        ("hat:\n  mixer:\n    dim: 10\n    heads: 4\n", "--hat.mixer.dim (10) must be a multiple"),
    ],
)
def test_files_that_cannot_be(file, content, says):
    with pytest.raises(InputError) as error:
        train_options("--config", file(content))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_required_options_are_asked_for():
    with pytest.raises(InputError, match=r"^--out is missing; give it\.$"):
        parse(ZooBuildConfig, "zoo build", "Builds.", [])
    with pytest.raises(InputError, match=r"^--weights, --encoder, --domain are missing; give them\.$"):
        parse(ZooAddConfig, "zoo add", "Adds.", [])
    with pytest.raises(InputError, match=r"^--weights is missing; give it\.$"):
        parse(ZooAddConfig, "zoo add", "Adds.", ["--encoder", "e", "--domain", "d"])
