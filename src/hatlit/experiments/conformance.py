"""What every encoder must do, hatlit's own and everybody else's: one check a promise of the contract."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from hatlit.datamodules.base import DATASETS, MODALITIES, build_view
from hatlit.encoders.base import ENCODERS, Classifier, InputSpec, build_encoder, check_encoder, find_encoder
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.export.deployed import Deployed
from hatlit.export.onnx import OnnxModel, to_onnx
from hatlit.registry import load_plugin

#: Rows of a view that an encoder is shown.
ROWS = 5

#: Sizes of the axes of samples made up for layouts that the demo data do not have.
SIZES = {"time": 96, "height": 32, "width": 32, "bin": 24, "mel": 40, "point": 64, "byte": 128, "token": 32}


@dataclass(frozen=True)
class Case:
    """One encoder and samples that it can look at.

    Attributes:
        name: of the encoder.
        spec: the view that is there, fitted to the samples.
        samples: (N, channels, *shape) as recorded.
        recorded: how they are laid out.
    """

    name: str
    spec: InputSpec
    samples: Tensor
    recorded: InputSpec

    def build(self, spec: InputSpec | None = None, seed: int = 0) -> nn.Module:
        """The encoder, untrained, in eval mode."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build_encoder(self.name, spec or self.spec, pretrained=False).eval()

    @cached_property
    def encoder(self) -> nn.Module:
        """One that is built once, for checks that leave it as it is."""
        return self.build()

    @cached_property
    def own_spec(self) -> InputSpec:
        """The view that the encoder wants."""
        assert isinstance(self.encoder.input_spec, InputSpec)
        return self.encoder.input_spec

    @cached_property
    def view(self) -> Tensor:
        """The samples as the encoder wants to see them."""
        return build_view(self.samples, self.recorded, self.own_spec)


#: A check raises AssertionError with what is wrong.
CHECKS: dict[str, Callable[[Case], None]] = {}


def _check(function: Callable[[Case], None]) -> Callable[[Case], None]:
    CHECKS[function.__name__] = function
    return function


@_check
def has_all_members(case: Case) -> None:
    """It is a module with feature_dim, input_spec and forward."""
    check_encoder(case.encoder, case.name)


@_check
def maps_views_to_features(case: Case) -> None:
    """Views (B, channels, *shape) become features (B, feature_dim), float32 and finite."""
    with torch.no_grad():
        features = case.encoder(case.view)
    wanted = (len(case.samples), case.encoder.feature_dim)
    assert tuple(features.shape) == wanted, f"features have shape {tuple(features.shape)}, not {wanted}"
    assert features.dtype == torch.float32, f"features are {features.dtype}, not float32"
    assert features.isfinite().all(), "features are not finite"


@_check
def keeps_its_own_view(case: Case) -> None:
    """Built for its own input_spec, it keeps it; that is how sources are rebuilt from their cards."""
    spec = case.own_spec
    assert case.build(spec).input_spec == spec, "built for its own input_spec, it wants another one"
    assert InputSpec.model_validate_json(spec.model_dump_json()) == spec, "its input_spec does not survive JSON"


@_check
def answers_alike_every_time(case: Case) -> None:
    """In eval mode the same view gives the same features, bit for bit."""
    with torch.no_grad():
        assert torch.equal(case.encoder(case.view), case.encoder(case.view)), "two passes over one view differ"


@_check
def looks_at_each_row_alone(case: Case) -> None:
    """In eval mode the features of a row do not depend on its neighbours."""
    with torch.no_grad():
        together, alone = case.encoder(case.view), torch.cat([case.encoder(row[None]) for row in case.view])
    assert torch.allclose(together, alone, rtol=1e-3, atol=1e-4), "a row's features change with its neighbours"


@_check
def leaves_the_view_alone(case: Case) -> None:
    """The view is not changed in place; others look at it too."""
    view = case.view.clone()
    case.encoder(view)
    assert torch.equal(view, case.view), "the view is changed in place"


@_check
def learns_with_every_parameter(case: Case) -> None:
    """A gradient reaches every parameter that wants one, in training mode."""
    encoder = case.build().train()
    features = encoder(case.view)
    (features * torch.randn(features.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    silent = [name for name, one in encoder.named_parameters() if one.requires_grad and one.grad is None]
    assert not silent, f"no gradient reaches {', '.join(silent)}"


@_check
def can_be_copied(case: Case) -> None:
    """A copy that learns leaves the original alone; adaptation works on copies."""
    encoder, twin = case.encoder, copy.deepcopy(case.encoder)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1.0)
        assert any(not torch.equal(a, b) for a, b in zip(encoder.parameters(), twin.parameters(), strict=True))


@_check
def survives_safetensors(case: Case) -> None:
    """Saved and loaded into a newly built encoder, the weights give the same features."""
    other = case.build(case.own_spec, seed=1)
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in case.encoder.state_dict().items()}
    other.load_state_dict(load(save(tensors)))
    with torch.no_grad():
        assert torch.equal(case.encoder(case.view), other(case.view)), "after loading, the features differ"


@_check
def follows_the_seed(case: Case) -> None:
    """The same global seed gives the same initial weights."""
    one, same = case.encoder.state_dict(), case.build().state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one), "the same seed gives other initial weights"


def exports_to_onnx(case: Case) -> bool | None:
    """Whether a student with the encoder can leave as ONNX, with all that comes before it, and answers there as here
    in batches of any size; None where the libraries are not installed."""
    if find_spec("onnxruntime") is None or find_spec("onnx") is None:
        return None
    deployed = Deployed(Classifier(case.encoder, num_classes=3), case.recorded)
    given = deployed.prepare(case.samples)
    try:
        graph = OnnxModel(to_onnx(deployed, given, (deployed.input_name, "probabilities")))
        found = [graph(rows.numpy()) for rows in (given, given[:1])]
    except Exception:  # whatever stands in the way, the answer is no
        return False
    with torch.no_grad():
        expected = deployed(given).numpy()
    return all(np.allclose(some, expected[: len(some)], rtol=1e-3, atol=1e-4) for some in found)


def cases(name: str, modality: str) -> list[Case]:
    """Every form of samples of a modality that an encoder can look at.

    The demo samples come first; layouts that they do not have are made up of noise.
    """
    found = []
    for samples, recorded in _examples(modality):
        spec = MODALITIES.get(modality).fit(samples, recorded)
        try:
            find_encoder(name, modality, pretrained=False)(spec)
        except InputError:
            continue
        found.append(Case(name, spec, torch.from_numpy(samples[:ROWS].astype(np.float32)), recorded))
    return found


def check_plugins(plugins: Sequence[str | Path], display: Display) -> bool:
    """Runs every check on every encoder that some Python files register; returns whether all passed.

    Raises:
        InputError: a file cannot be imported, or registers no encoder.
    """
    known = {(entry.modality, entry.name) for entry in ENCODERS}
    for path in plugins:
        load_plugin(path)
    new = [entry for entry in ENCODERS if (entry.modality, entry.name) not in known]
    if not new:
        files = ", ".join(map(str, plugins)) or "no file"
        raise InputError(f"{files} registers no encoder; decorate one with @register_encoder(modality).")
    rows = [row for entry in new for row in _verdicts(entry.name, entry.modality or "imu")]
    display.table("encoders checked", rows)
    return all(row["verdict"] != "FAILED" for row in rows)


def _verdicts(name: str, modality: str) -> Iterator[dict[str, str]]:
    suitable = cases(name, modality)
    if not suitable:
        yield _row(name, modality, "can look at something", "FAILED", "it refuses every layout of its modality")
    for case in suitable:
        layout = f"{modality}: {' x '.join(case.recorded.axes)}"
        for promise, check in CHECKS.items():
            yield _row(name, layout, promise.replace("_", " "), *_outcome(check, case))
        exportable = {True: "yes", False: "no", None: "not tried"}[exports_to_onnx(case)]
        yield _row(name, layout, "exports to ONNX", exportable, "" if exportable != "not tried" else "no onnxruntime")


def _outcome(check: Callable[[Case], None], case: Case) -> tuple[str, str]:
    try:
        check(case)
    except Exception as fault:  # a plugin may fail in any way
        return "FAILED", str(fault).splitlines()[0] if str(fault) else type(fault).__name__
    return "passed", ""


def _row(name: str, layout: str, promise: str, verdict: str, why: str) -> dict[str, str]:
    return {"encoder": name, "samples": layout, "promise": promise, "verdict": verdict, "why": why}


@cache
def _examples(modality: str) -> list[tuple[np.ndarray, InputSpec]]:
    """Recorded samples (N, channels, *shape) of each layout of a modality: of the demo where it has one, or noise."""
    layouts, found = list(MODALITIES.get(modality).layouts), []
    if any(entry.name == "demo" for entry in DATASETS.entries(modality)):
        domain = DATASETS.get("demo", modality)(None, modality).domains[0]
        found.append((domain.samples[:: max(1, len(domain) // 32)], domain.recorded))
        layouts.remove(domain.recorded.axes)
    random = np.random.default_rng(0)
    for axes in layouts:
        shape = tuple(SIZES[axis] for axis in axes)
        rate = 50.0 if "time" in axes else None
        channels = ("one", "two", "three")
        recorded = InputSpec(modality=modality, channels=channels, shape=shape, axes=axes, rate=rate)
        found.append((random.normal(size=(32, 3, *shape)).astype(np.float32), recorded))
    return found
