"""The encoder contract: input specs, the registry, what is refused, and the classifier around an encoder."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from hatlit.encoders import base
from hatlit.encoders.base import (
    Classifier,
    Encoder,
    InputSpec,
    are_sound,
    build_classifier,
    build_encoder,
    check_encoder,
    register_encoder,
)
from hatlit.errors import InputError
from hatlit.registry import Registry

SPEC = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(32,), rate=50.0)


class Mean(nn.Module):
    """Averages each channel."""

    def __init__(self, input_spec: InputSpec) -> None:
        super().__init__()
        self.input_spec = input_spec
        self.feature_dim = input_spec.num_channels

    def forward(self, view: Tensor) -> Tensor:
        return view.mean(-1)


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """An empty registry in place of the shared one."""
    registry: Registry = Registry("encoder", home="hatlit.errors")
    monkeypatch.setattr(base, "ENCODERS", registry)
    return registry


def spec(**changes: object) -> InputSpec:
    return InputSpec.model_validate({**SPEC.model_dump(), **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modality": ""}, "at least 1 character"),
        ({"channels": ()}, "at least 1 item"),
        ({"channels": ("x", "y", "x")}, "must differ"),
        ({"shape": ()}, "at least 1 item"),
        ({"shape": (0,)}, "between 1 and 10,000,000"),
        ({"shape": (1, 2, 3, 4, 5)}, "at most 4 items"),
        ({"shape": (32.0,)}, "valid integer"),
        ({"rate": 0.0}, "greater than 0"),
        ({"rate": float("inf")}, "finite"),
        ({"mean": (0.0, 0.0, 0.0)}, "one number a channel each, or none"),
        ({"mean": (0.0,), "std": (1.0,)}, "one number a channel each, or none"),
        ({"mean": (0.0, 0.0, 0.0), "std": (1.0, 0.0, 1.0)}, "std must be positive"),
        ({"mean": (0.0, float("nan"), 0.0), "std": (1.0, 1.0, 1.0)}, "finite"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_input_spec_refuses_what_makes_no_sense(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        spec(**changes)


def test_input_spec_survives_json_and_cannot_change() -> None:
    full = spec(mean=(0.0, 1.0, 2.0), std=(1.0, 2.0, 3.0))
    assert InputSpec.model_validate_json(full.model_dump_json()) == full
    assert full.num_channels == 3
    with pytest.raises(ValidationError, match="frozen"):
        full.rate = 1.0


def test_registered_under_its_own_name_or_the_one_given(encoders: Registry) -> None:
    register_encoder("imu")(Mean)
    register_encoder("imu", name="average")(Mean)
    assert encoders.names("imu") == ["mean", "average"]
    assert isinstance(build_encoder("mean", SPEC), Mean)
    assert isinstance(build_encoder("average", SPEC), Mean)


def test_each_size_is_an_entry_that_knows_its_size(encoders: Registry) -> None:
    asked: list[str] = []

    @register_encoder("imu", sizes=("nano", "base"))
    def mean(input_spec: InputSpec, size: str) -> nn.Module:
        """Averages, in two sizes."""
        asked.append(size)
        return Mean(input_spec)

    for name in ("mean_nano", "mean_base"):
        build_encoder(name, SPEC)
    assert asked == ["nano", "base"]
    assert [entry.summary for entry in encoders] == ["Averages, in two sizes."] * 2
    with pytest.raises(InputError, match="Unknown imu encoder 'mean'"):
        build_encoder("mean", SPEC)


def test_the_same_name_in_two_modalities(encoders: Registry) -> None:
    class Other(Mean):
        pass

    register_encoder("imu", name="mean")(Mean)
    register_encoder("radar", name="mean")(Other)
    assert type(build_encoder("mean", SPEC)) is Mean
    assert type(build_encoder("mean", spec(modality="radar"))) is Other


def test_a_taken_name_is_refused(encoders: Registry) -> None:
    class Other(Mean):
        pass

    register_encoder("imu", name="mean")(Mean)
    with pytest.raises(InputError, match=r"'mean' of modality 'imu' is already taken by .*Mean"):
        register_encoder("imu", name="mean")(Other)


def test_an_encoder_of_another_modality_is_named_as_such() -> None:
    with pytest.raises(InputError, match=r"Unknown imu encoder 'pointnet_nano'.*belongs to modality radar"):
        build_encoder("pointnet_nano", SPEC)


def test_build_refuses_what_is_no_encoder(encoders: Registry) -> None:
    @register_encoder("imu")
    def bare_linear(input_spec: InputSpec) -> nn.Module:
        return nn.Linear(3, 3)

    with pytest.raises(InputError, match=r"'bare_linear' is not an encoder: feature_dim .*; input_spec"):
        build_encoder("bare_linear", SPEC)


def test_check_lists_every_fault_at_once() -> None:
    with pytest.raises(InputError) as caught:
        check_encoder(object(), "thing")
    assert str(caught.value) == (
        "'thing' is not an encoder: it is not a torch.nn.Module; feature_dim must be a positive int; "
        "input_spec must be the InputSpec it was built for; forward(view) is missing."
    )


@pytest.mark.parametrize("width", [0, -1, 3.0, "3", None])
def test_check_refuses_a_width_that_is_none(width: object) -> None:
    encoder = Mean(SPEC)
    encoder.feature_dim = width  # type: ignore[assignment]
    with pytest.raises(InputError, match=r"^'Mean' is not an encoder: feature_dim must be a positive int\.$"):
        check_encoder(encoder)


def test_any_module_with_the_members_is_an_encoder() -> None:
    check_encoder(Mean(SPEC))
    assert isinstance(Mean(SPEC), Encoder)
    assert not isinstance(nn.Linear(3, 3), Encoder)


def test_classifier_shapes() -> None:
    classifier = Classifier(Mean(SPEC), num_classes=5)
    view = torch.randn(4, 3, 32)
    features, logits = classifier.both(view)
    assert features.shape == (4, 3)
    assert logits.shape == (4, 5)
    torch.testing.assert_close(classifier.features(view), features)
    torch.testing.assert_close(classifier(view), logits)
    assert classifier.feature_dim == 3
    assert classifier.input_spec == SPEC


def test_answers_are_sound_where_features_are_finite_and_logits_within_reason() -> None:
    features = torch.zeros(6, 2)
    features[0, 1], features[1, 0] = torch.nan, torch.inf
    logits = torch.zeros(6, 3)
    logits[2, 0], logits[3, 1], logits[4, 2], logits[5, 2] = torch.nan, -torch.inf, 1.1e6, -1e6
    assert are_sound(features, logits).tolist() == [False, False, False, False, False, True]


def test_build_classifier_by_name() -> None:
    classifier = build_classifier("cnn_nano", SPEC, num_classes=5)
    assert classifier(torch.randn(2, 3, 32)).shape == (2, 5)
    assert classifier.input_spec == SPEC
