"""Options are documented, bounded, and the settings that are shipped are settings that exist."""

import dataclasses
import inspect
import re
from typing import get_type_hints

import pytest
import yaml

import hatlit.config
from hatlit.cli import main
from hatlit.config import (
    AdaptConfig,
    CompareConfig,
    DictionaryConfig,
    ExpandConfig,
    ExpansionConfig,
    ExpertsConfig,
    InjectionConfig,
    LabelsConfig,
    MixerConfig,
    OptimizerConfig,
    PlotConfig,
    SelectionConfig,
    SourcesConfig,
    StudentsConfig,
    StudyConfig,
    TrainConfig,
    TrainerConfig,
    ZooAddConfig,
    ZooBuildConfig,
    names,
)
from hatlit.errors import InputError
from hatlit.options import CONFIGS, option_names, parse

CONFIG_CLASSES = [one for one in vars(hatlit.config).values() if dataclasses.is_dataclass(one)]
SHIPPED = sorted(CONFIGS.rglob("*.yaml"))


def args_section(kind):
    """The Args section of one docstring: name to text."""
    section = inspect.cleandoc(kind.__doc__ or "").partition("Args:\n")[2].split("\n\n")[0]
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def leaves(settings, prefix=""):
    """Every value of nested settings under its dotted name."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def value_of(config, dotted):
    for name in dotted.split("."):
        config = getattr(config, name)
    return config


@pytest.mark.parametrize("kind", CONFIG_CLASSES, ids=lambda kind: kind.__name__)
def test_every_option_is_documented_where_it_is_defined(kind):
    own = [name for name in inspect.get_annotations(kind) if name in {field.name for field in dataclasses.fields(kind)}]
    documented = args_section(kind)
    assert list(documented) == own
    for name, text in documented.items():
        assert len(text) > 3, name
        assert text.endswith("."), name


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("train", TrainConfig),
        ("compare", CompareConfig),
        ("expand", ExpandConfig),
        ("study labels", StudyConfig),
        ("students", StudentsConfig),
        ("zoo build", ZooBuildConfig),
        ("zoo add", ZooAddConfig),
    ],
)
def test_help_explains_every_option(command, kind, capsys):
    assert main([*command.split(), "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())

    def check(part, prefix=""):
        documented = {name: text for one in reversed(part.__mro__) for name, text in args_section(one).items()}
        for name, hint in get_type_hints(part).items():
            if dataclasses.is_dataclass(hint):
                check(hint, f"{prefix}{name}.")
            else:
                option, text = re.escape(f"{prefix}{name}"), re.escape(documented[name])
                assert re.search(rf"--{option} (?:(?! --(?!{option}\+)).)*{text}", shown), f"{prefix}{name}"

    check(kind)


def test_settings_are_shipped():
    assert "hat_paper.yaml" in [path.name for path in SHIPPED]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_shipped_settings_are_settings_that_exist(path):
    """As a --config file, where an unknown key or a wrong type is refused, they give just what they say."""
    settings = dict(leaves(yaml.safe_load(path.read_text())))
    assert settings, "a file without settings says nothing"
    for kind in (TrainConfig, CompareConfig):
        config = parse(kind, "x", "", ["--config", str(path)])
        for name, value in settings.items():
            found = value_of(config, name)
            assert found == value, name
            assert type(found) is type(value) or isinstance(value, int), name


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_shipped_settings_arrive_by_their_name(path):
    group, name = path.parent.name, path.stem
    words = [f"--{group}", name] if group == "modality" else []
    config = parse(CompareConfig, "x", "", words, method=name if group == "method" else None)
    for option, value in leaves(yaml.safe_load(path.read_text())):
        assert value_of(config, option) == value, option


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_shipped_settings_change_something(path):
    defaults = TrainConfig()
    settings = dict(leaves(yaml.safe_load(path.read_text())))
    assert {name: value_of(defaults, name) for name in settings} != settings


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("hat:\n  mixer:\n    prior_weights: 0.0\n", "prior_weights"),
        ("hat:\n  mixer:\n    prior_weight: none\n", "must be a number"),
        ("hat:\n  mixer: 3\n", "group of options"),
    ],
)
def test_the_check_of_shipped_settings_would_catch_a_fault(content, says, tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=says):
        test_shipped_settings_are_settings_that_exist(path)


@pytest.mark.parametrize(
    ("several", "expected"),
    [
        ("", []),
        ([], []),
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        (" a , b ,", ["a", "b"]),
        (["a", " b "], ["a", "b"]),
        (["", "a"], ["a"]),
    ],
)
def test_several_names(several, expected):
    assert names(several) == expected


def test_names_become_lists_wherever_they_are_an_option():
    assert SourcesConfig(encoders="a,b").encoders == ["a", "b"]
    assert SourcesConfig(statistics="a,b,a").statistics == ["a", "b"]
    assert TrainConfig(plugin="a.py").plugin == ["a.py"]
    compare = CompareConfig(methods="hat, labels_only", targets=["x", "y"])
    assert (compare.methods, compare.targets) == (["hat", "labels_only"], ["x", "y"])
    build = ZooBuildConfig(out="z", leave_out="a,b", plugin="p.py")
    assert (build.leave_out, build.plugin) == (["a", "b"], ["p.py"])
    add = ZooAddConfig(weights="w", encoder="e", domain="d", class_names="sit,walk", plugin="p.py")
    assert (add.class_names, add.plugin) == (["sit", "walk"], ["p.py"])


LEAST = [
    (LabelsConfig, "labels.", {"per_class": 0}),
    (SourcesConfig, "sources.", {"max_epochs": 1, "batch_size": 1, "learning_rate": 0, "weight_decay": 0, "seed": 0}),
    (AdaptConfig, "adapt.", {"steps": 0, "learning_rate": 0, "pull": 0}),
    (
        MixerConfig,
        "hat.mixer.",
        {"dim": 1, "heads": 1, "learning_rate": 0, "weight_decay": 0, "prior_weight": 0, "head_pull": 0},
    ),
    (InjectionConfig, "hat.injection.", {"weight": 0, "temperature": 0.01, "sharpen": 0, "hint_weight": 0}),
    (ExpertsConfig, "hat.experts.", {"count": 0, "steps": 1, "learning_rate": 0}),
    (OptimizerConfig, "optimizer.", {"learning_rate": 0, "weight_decay": 0, "clip_norm": 0, "accumulate": 1}),
    (
        TrainerConfig,
        "trainer.",
        {"max_epochs": 1, "batch_size": 2, "devices": 1, "num_nodes": 1, "checkpoint_seconds": 0},
    ),
    (ExpansionConfig, "", {"jobs": 0, "num_sources": 1}),
    (TrainConfig, "", {"jobs": 0, "num_sources": 1, "seed": 0}),
    (CompareConfig, "", {"jobs": 0, "num_sources": 1, "seeds": 1}),
    (ZooBuildConfig, "", {"jobs": 0}),
]


@pytest.mark.parametrize(
    ("kind", "prefix", "name", "bound"),
    [(kind, prefix, name, bound) for kind, prefix, least in LEAST for name, bound in least.items()],
)
def test_numbers_that_are_too_small_are_refused(kind, prefix, name, bound):
    others = {"out": "zoo"} if kind is ZooBuildConfig else {}
    if name == "dim":
        others["heads"] = 1
    assert getattr(kind(**{name: bound}, **others), name) == bound
    too_small = bound - 1 if isinstance(bound, int) else bound / 2
    for refused in (too_small, float("nan")):
        with pytest.raises(InputError) as error:
            kind(**{name: refused}, **others)
        assert str(error.value) == f"--{prefix}{name} must be at least {bound}, not {refused}."


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: LabelsConfig(per_class=1, fraction=0.5), "exclude each other"),
        (lambda: LabelsConfig(fraction=0.0), "--labels.fraction must lie above 0 and at most at 1, not 0.0."),
        (lambda: LabelsConfig(fraction=1.1), "--labels.fraction must lie above 0 and at most at 1, not 1.1."),
        (lambda: SourcesConfig(statistics=","), "--sources.statistics names none"),
        (lambda: SelectionConfig(keep=0.0), "--selection.keep must lie above 0 and at most at 1, not 0.0."),
        (lambda: SelectionConfig(keep=1.1), "--selection.keep must lie above 0 and at most at 1, not 1.1."),
        (lambda: MixerConfig(dim=10, heads=4), r"--hat.mixer.dim \(10\) must be a multiple of --hat.mixer.heads \(4\)"),
        (
            lambda: TrainerConfig(batch_size=5, devices=3, num_nodes=2),
            "--trainer.batch_size 5 leaves some of 6 processes without a sample",
        ),
        (lambda: DictionaryConfig(threshold=70), "--hat.dictionary.threshold must be a share from 0 to 1, not 70."),
        (lambda: DictionaryConfig(threshold=-0.1), "--hat.dictionary.threshold must be a share from 0 to 1, not -0.1."),
        (lambda: CompareConfig(methods=" ,"), "--methods names none"),
        (lambda: CompareConfig(controls=1, sources=SourcesConfig(controls=2)), "--controls 1 and --sources.controls 2"),
        (lambda: CompareConfig(controls=-1), "--controls"),
        (lambda: CompareConfig(controls=1, zoo="z"), "cannot change a given --zoo"),
        (lambda: CompareConfig(targets=[]), "--targets names none"),
    ],
)
def test_what_cannot_be_is_refused(build, says):
    with pytest.raises(InputError, match=says):
        build()


@pytest.mark.parametrize("kind", [TrainConfig, CompareConfig, ExpandConfig, StudyConfig, ZooBuildConfig, PlotConfig])
def test_an_empty_out_is_not_the_current_folder(kind):
    with pytest.raises(InputError, match="--out is empty; name "):
        kind(out="")


def test_the_whole_share_is_allowed():
    assert LabelsConfig(fraction=1.0).fraction == 1.0
    assert SelectionConfig(keep=1.0).keep == 1.0
    assert DictionaryConfig(threshold=1.0).threshold == 1.0


def test_option_names():
    found = list(option_names(TrainConfig))
    assert len(found) == len(set(found))
    assert {"target", "modality", "data.name", "hat.mixer.dim", "trainer.max_epochs"} <= set(found)
    assert not {"hat", "hat.mixer", "data"} & set(found), "a group is no option"
    assert list(option_names(SelectionConfig, "selection.")) == [
        "selection.statistics",
        "selection.similarity",
        "selection.keep",
        "selection.fine",
        "selection.doubt",
        "selection.students",
    ]
    shared = set(option_names(ExpansionConfig))
    assert shared < set(found)
    assert shared < set(option_names(CompareConfig))


def test_no_label_at_all_is_said_by_a_zero():
    assert LabelsConfig(per_class=0).none
    assert not LabelsConfig().none
    assert not LabelsConfig(fraction=0.1).none
    assert not LabelsConfig(per_class=0, also="some.csv").none
