"""Every encoder of every modality, every data module and every shipped YAML file keeps its promises."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import hatlit
from hatlit.cli import main
from hatlit.config import LabelsConfig, TrainConfig
from hatlit.datamodules.base import DATASETS, MODALITIES, Domain, build_view
from hatlit.datamodules.split import fit_view, split_domain
from hatlit.datamodules.target.batches import FewLabelSampler
from hatlit.datamodules.target.data import TargetData
from hatlit.encoders.base import ENCODERS
from hatlit.experiments.conformance import CHECKS, Case, cases, exports_to_onnx
from hatlit.options import parse
from hatlit.students.skeletons import default_student
from hatlit.types import UNLABELLED

MODALITIES_WITH_DEMO = [name for name in MODALITIES.names() if "demo" in [one.name for one in DATASETS.entries(name)]]
OWN = [(entry.modality, entry.name) for entry in ENCODERS if entry.modality]

cases = cache(cases)
every_encoder = pytest.mark.parametrize(("modality", "name"), OWN, ids=[f"{m}-{n}" for m, n in OWN])
every_demo = pytest.mark.parametrize("modality", MODALITIES_WITH_DEMO)


@cache
def demo(modality: str) -> tuple[Domain, ...]:
    return DATASETS.get("demo", modality)(None, modality).domains


def of(name: str, modality: str) -> list[Case]:
    found = cases(name, modality)
    assert found, "it can look at nothing of its modality"
    return found


def test_all_six_modalities_have_demo_data() -> None:
    assert {"image", "audio", "imu", "text", "depth", "radar"} <= set(MODALITIES_WITH_DEMO)


@every_encoder
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_an_encoder_keeps_its_promise(modality: str, name: str, check) -> None:
    for case in of(name, modality):
        check(case)


# The other sizes differ from these in width and depth alone.
@pytest.mark.parametrize(("modality", "name"), [(m, n) for m, n in OWN if n.endswith(("_nano", "_small"))])
def test_an_encoder_exports_to_onnx(modality: str, name: str) -> None:
    pytest.importorskip("onnxruntime")
    for case in of(name, modality):
        assert exports_to_onnx(case)


@every_encoder
def test_an_encoder_says_what_it_is(modality: str, name: str) -> None:
    (entry,) = (one for one in ENCODERS.entries(modality) if one.name == name and one.modality == modality)
    assert entry.summary.endswith((".", ":")), entry.summary


@every_demo
def test_a_demo_is_the_same_every_time_and_labelled(modality: str) -> None:
    again = DATASETS.get("demo", modality)(None, modality)
    assert again.is_demo
    assert len(again.domains) >= 6
    for one, same in zip(demo(modality), again.domains, strict=True):
        assert one.fingerprint == same.fingerprint
        assert one.recorded.modality == modality
        assert one.samples.shape[1:] == (one.recorded.num_channels, *one.recorded.shape)


@every_demo
def test_views_have_the_form_that_is_wanted(modality: str) -> None:
    domain = demo(modality)[0]
    spec = fit_view(domain, np.arange(len(domain)))
    view = build_view(domain.tensor(np.arange(4)), domain.recorded, spec)
    assert view.shape == spec.blank(4).shape
    assert view.dtype == spec.blank(4).dtype
    one_by_one = torch.cat([build_view(domain.tensor(np.array([n])), domain.recorded, spec) for n in range(4)])
    torch.testing.assert_close(view, one_by_one)
    assert build_view(domain.tensor(np.arange(0)), domain.recorded, spec).shape[0] == 0


@every_demo
def test_augmentation_changes_copies_alike_for_a_seed(modality: str) -> None:
    domain = demo(modality)[0]
    found = [cases(name, modality) for name in ENCODERS.names(modality) if name.endswith("_nano")]
    for case in [suitable[0] for suitable in found if suitable and suitable[0].recorded == domain.recorded]:
        spec = case.own_spec
        view = build_view(domain.tensor(np.arange(8)), domain.recorded, spec)
        before = view.clone()

        def changed(seed: int, view=view, spec=spec) -> torch.Tensor:
            return MODALITIES.get(modality).augment(view, spec, torch.Generator().manual_seed(seed))

        assert torch.equal(view, before)
        assert changed(0).shape == view.shape
        assert changed(0).dtype == view.dtype
        assert torch.equal(changed(0), changed(0))
        assert not torch.equal(changed(0), changed(1))
        assert not torch.equal(changed(0), view)
        assert torch.equal(view, before)


@every_demo
@pytest.mark.parametrize("per_class", [1, 3])
def test_splits_respect_groups_and_labels_and_keep_the_test_apart(modality: str, per_class: int) -> None:
    for domain in demo(modality)[:3]:
        split = split_domain(domain, LabelsConfig(per_class=per_class), seed=0)
        assert not set(split.train) & set(split.test)
        assert set(split.labelled) <= set(split.train)
        counts = np.bincount(domain.labels[split.labelled], minlength=len(domain.class_names))
        assert (counts[np.unique(domain.labels)] == per_class).all()
        for number in np.unique(domain.labels):
            groups = domain.groups[domain.labels == number]
            if len(np.unique(groups)) > 1:
                own = domain.labels == number
                train, test = (set(domain.groups[rows[own[rows]]]) for rows in (split.train, split.test))
                assert not train & test


@every_demo
def test_no_test_sample_ever_reaches_training(modality: str) -> None:
    """By identity: every row is stamped with its own number, and what training deals is looked at."""
    domain = demo(modality)[0]
    target = TargetData(domain, split_domain(domain, LabelsConfig(), seed=0))
    spec = ENCODERS.get(default_student(target.spec), modality)(target.spec).input_spec
    rows = target.rows(spec)
    test = target.test_rows(spec)
    known = rows.label != UNLABELLED
    sampler = FewLabelSampler(torch.nonzero(known).flatten(), torch.nonzero(~known).flatten(), 16, seed=0)
    dealt = {int(split_row) for plan in sampler for split_row in target.split.train[rows[plan].index.numpy()]}
    assert dealt == set(target.split.train.tolist())
    assert not dealt & set(target.split.test.tolist())
    assert len(rows) == len(target.split.train)
    assert len(test) == len(target.split.test)
    assert (rows.label != UNLABELLED).sum() == len(target.split.labelled)


@pytest.mark.parametrize(
    "path", sorted((Path(hatlit.__file__).parent / "configs").rglob("*.yaml")), ids=lambda p: p.stem
)
def test_a_shipped_yaml_file_sets_options_that_exist(path: Path) -> None:
    assert isinstance(parse(TrainConfig, "train", "", ["--config", str(path)]), TrainConfig)


PLUGIN = '''
from torch import nn
from hatlit.encoders.base import register_encoder

@register_encoder("imu", name="{name}")
class Mine(nn.Module):
    """Mine."""

    def __init__(self, input_spec):
        super().__init__()
        self.input_spec, self.feature_dim = input_spec, 4
        self.map = nn.Linear(input_spec.num_channels, 4)
        self.unused = nn.Linear(2, 2) if "{fault}" == "unused" else None

    def forward(self, view):
        features = self.map(view.mean(-1))
        return features + features.mean(0) if "{fault}" == "neighbours" else features
'''


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [("", 0, "passed"), ("unused", 2, "no gradient reaches unused.weight"), ("neighbours", 2, "neighbours")],
)
def test_a_third_party_encoder_runs_the_same_suite(tmp_path, capsys, fault, code, says) -> None:
    file = tmp_path / "my_encoders.py"
    file.write_text(PLUGIN.format(name=f"mine_{fault or 'sound'}", fault=fault))
    assert main(["check-encoder", str(file)]) == code
    shown = capsys.readouterr().out
    assert says in shown
    assert shown.count("mine_") == len(CHECKS) + 1


def test_a_plugin_without_encoders_is_refused(tmp_path, capsys) -> None:
    file = tmp_path / "nothing.py"
    file.write_text("")
    assert main(["check-encoder", str(file)]) == 2
    assert "registers no encoder" in capsys.readouterr().err
    assert main(["check-encoder"]) == 2
