"""Options of the commands beside training: lists, the cache, the zoo, and what becomes of a finished run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hatlit.config.checks import Names, at_least, names, not_empty
from hatlit.config.parts import DataConfig, DeviceConfig, SourcesConfig
from hatlit.errors import InputError

#: What the cache holds that can be computed again, each in a folder of its name.
CACHED = ("zoos", "outputs", "adapted")


@dataclass
class ListConfig:
    """Options of the commands that only show something.

    Args:
        plugin: Python files whose encoders, data sets and methods are registered first.
    """

    plugin: Names = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plugin = names(self.plugin)


@dataclass
class DoctorConfig:
    """Says what is installed, what computes, what the cache holds, and what is missing.

    Args:
        json: file that the same is written to.
    """

    json: str | None = None


@dataclass
class PruneConfig:
    """Removes from the cache what was not used for long. Data sets that were downloaded stay.

    Args:
        older_than: days; what was last used longer ago goes.
        keep_bytes: of what is left, so much stays and the rest goes, least recently used first; 0 empties the cache.
        kinds: which kinds, of zoos, outputs and adapted.
    """

    older_than: float | None = None
    keep_bytes: int | None = None
    kinds: Names = field(default_factory=lambda: list(CACHED))

    def __post_init__(self) -> None:
        self.kinds = names(self.kinds)
        unknown = [kind for kind in self.kinds if kind not in CACHED]
        if unknown:
            raise InputError(f"--kinds knows {', '.join(CACHED)}, not {unknown[0]}.")
        if self.older_than is None and self.keep_bytes is None:
            raise InputError("Say what may go: --older_than DAYS, --keep_bytes BYTES, or both.")
        at_least("", self, **{name: 0 for name in ("older_than", "keep_bytes") if getattr(self, name) is not None})


@dataclass
class PlotConfig:
    """Draws some samples of each domain.

    Args:
        out: PNG file.
        modality: what the samples are.
        data: which domains.
        domains: how many of them, evenly spread over the data set.
        plugin: Python files whose data sets are registered first.
    """

    out: str = "samples.png"
    modality: str = "imu"
    data: DataConfig = field(default_factory=DataConfig)
    domains: int = 4
    plugin: Names = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plugin = names(self.plugin)
        at_least("", self, domains=1)
        not_empty(self, "out", "name a PNG file, or leave the option out for samples.png")


@dataclass
class StudentsConfig:
    """Lists the architectures that can be students.

    Args:
        modality: what the samples are.
        data: the data set whose samples the student sees.
        device: what it sees of them, and what it may take.
        plugin: Python files whose encoders and data sets are registered first.
    """

    modality: str = "imu"
    data: DataConfig = field(default_factory=DataConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    plugin: Names = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plugin = names(self.plugin)


@dataclass
class ZooBuildConfig:
    """Trains one source a domain; those that are there already are left alone.

    Args:
        out: folder of the zoo.
        modality: what the samples are.
        data: which domains become sources.
        leave_out: domains that get no source.
        sources: how they are trained.
        jobs: processes that train side by side; 0 means one a core.
        plugin: Python files whose encoders and data sets are registered first.
    """

    out: str
    modality: str = "imu"
    data: DataConfig = field(default_factory=DataConfig)
    leave_out: Names = field(default_factory=list)
    sources: SourcesConfig = field(default_factory=SourcesConfig)
    jobs: int = 0
    plugin: Names = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plugin, self.leave_out = names(self.plugin), names(self.leave_out)
        at_least("", self, jobs=0)
        not_empty(self, "out", "name the folder of the zoo")


@dataclass
class ZooAddConfig:
    """Adds a trained model to a zoo: its weights, and the domain they were trained on.

    Args:
        weights: safetensors file of a classifier (`encoder.*`, `head.weight`, `head.bias`).
        encoder: architecture in the registry.
        domain: domain of the data set that it was trained on; statistics, centroids and accuracy come from there.
        id: name of the new source; without it, that of the domain.
        class_names: names of the head's outputs, in order; without it, the classes of the domain's training samples.
        input_spec: JSON file with the view that the model expects; without it, the domain as recorded, normalised over
            its training samples.
        modality: what the samples are.
        data: where the domain is.
        plugin: Python files whose encoders and data sets are registered first.
    """

    weights: str
    encoder: str
    domain: str
    id: str | None = None
    class_names: Names = field(default_factory=list)
    input_spec: str | None = None
    modality: str = "imu"
    data: DataConfig = field(default_factory=DataConfig)
    plugin: Names = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plugin, self.class_names = names(self.plugin), names(self.class_names)


@dataclass
class ZooAddRunConfig:
    """Adds the student of a finished run to a zoo, with the sources that taught it on its card.

    Args:
        id: name of the new source; without it, that of the target.
        plugin: Python files whose encoders are registered first.
    """

    id: str | None = None
    plugin: Names = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plugin = names(self.plugin)


@dataclass
class ExportConfig:
    """Turns the student of a run into a file for a device.

    Args:
        to: kind of the file: a graph that runs without hatlit (onnx, torch_export), or the weights alone (safetensors).
        quantize: whether the weights become whole numbers of 8 bits; only onnx can.
        batch: samples that the graph looks at at a time; dynamic leaves it open.
        out: the file; without it, one in the run folder under `export`.
        plugin: Python files whose encoders and data sets are registered first.
    """

    to: Literal["onnx", "torch_export", "safetensors"] = "onnx"
    quantize: Literal["int8"] | None = None
    batch: int | Literal["dynamic"] = "dynamic"
    out: str | None = None
    plugin: Names = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plugin = names(self.plugin)
        if self.quantize and self.to != "onnx":
            raise InputError(f"--quantize {self.quantize} makes onnx files, not {self.to}; leave one of the two out.")
        if self.batch != "dynamic":
            at_least("", self, batch=1)
            if self.to == "safetensors":
                raise InputError("--batch says how a graph is called, and safetensors holds none; leave it out.")


@dataclass
class SuggestConfig:
    """Says which unlabelled training samples of a finished run's target to label next.

    Args:
        n: how many.
        ranking: what counts: coverage of the samples in doubt, uncertainty, disagreement of the sources, or random.
        out: file that they are also written to: JSON where it ends in .json, else CSV.
        seed: for rankings that draw.
        plugin: Python files whose encoders, data sets, methods and rankings are registered first.
    """

    n: int = 20
    ranking: str = "coverage"
    out: str | None = None
    seed: int = 0
    plugin: Names = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plugin = names(self.plugin)
        at_least("", self, n=1, seed=0)


@dataclass
class PredictConfig:
    """Says what a student makes of files.

    Args:
        rate: samples per second (Hz) of files that do not say; without it, that of the student's recordings.
        plugin: Python files whose encoders are registered first.
    """

    rate: float | None = None
    plugin: Names = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plugin = names(self.plugin)
        if self.rate is not None and not self.rate > 0:
            raise InputError(f"--rate must be above 0, not {self.rate}.")


@dataclass
class RerunConfig:
    """Repeats a finished run with the options that it kept, and compares what comes out.

    Args:
        out: folder for the repetition; by default `rerun` in the folder of the run.
    """

    out: str | None = None
