"""Options of the commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hatlit.config.checks import Names, at_least, names
from hatlit.config.hat import HaTConfig
from hatlit.config.parts import (
    AdaptConfig,
    CacheConfig,
    DataConfig,
    DeviceConfig,
    DistillationConfig,
    LabelsConfig,
    OptimizerConfig,
    RayConfig,
    SelectionConfig,
    SourcesConfig,
    TrainerConfig,
)
from hatlit.errors import InputError

#: What the cache holds that can be computed again, each in a folder of its name.
CACHED = ("zoos", "outputs", "adapted")


@dataclass
class ExpansionConfig:
    """What every run and every comparison of runs has to know.

    Args:
        modality: what the samples are.
        data: which domains to work on.
        labels: how many labels the target has.
        zoo: folder of sources; without it, one is trained on the other domains and kept in the cache.
        sources: how sources are trained where there is no zoo.
        num_sources: how many sources are selected; without it 5, or as many as there are.
        student: architecture of the student; without it, the modality's smallest.
        device: what the student sees of a sample.
        selection: which sources are worth asking.
        adapt: fine-tuning of the selected sources before they are frozen, whatever the method.
        cache: how the outputs of the frozen sources are kept.
        hat: options of HaT.
        distillation: options that the other methods with a teacher share.
        optimizer: how the student learns.
        trainer: epochs, batches and hardware.
        tune: how many settings of learning rate and distillation weight are tried by cross-validation on the labelled
            few, for every method alike; 0 keeps the settings as they are.
        out: folder under which each run gets a folder of its own.
        jobs: processes that work side by side where the work can be shared out; 0 means one a core.
        plugin: Python files whose encoders, data sets and methods are registered first.
    """

    modality: str = "imu"
    data: DataConfig = field(default_factory=DataConfig)
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    zoo: str | None = None
    sources: SourcesConfig = field(default_factory=SourcesConfig)
    num_sources: int | None = None
    student: str | None = None
    device: DeviceConfig = field(default_factory=DeviceConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    adapt: AdaptConfig = field(default_factory=AdaptConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)
    hat: HaTConfig = field(default_factory=HaTConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    tune: int = 0
    out: str = "runs"
    jobs: int = 0
    plugin: Names = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plugin = names(self.plugin)
        at_least("", self, jobs=0, tune=0)
        if self.zoo == "":
            raise InputError("--zoo is empty; name a folder, or leave the option out to train the sources.")
        if self.tune and self.labels.fraction is None and (self.labels.per_class or 1) < 2:
            raise InputError(
                "--tune needs two labels of each class to hold some out; give --labels.per_class 2 or more."
            )
        if self.zoo is not None and self.sources.controls:
            raise InputError("--sources.controls joins sources that are trained here; it cannot change a given --zoo.")
        if self.num_sources is not None:
            at_least("", self, num_sources=1)


@dataclass
class TrainConfig(ExpansionConfig):
    """Expands a zoo to one target domain.

    Args:
        target: the new domain; without it, the first of the data set.
        method: what turns sources and target data into a student.
        seed: of labels, weights and batches.
        wandb: where Weights & Biases logs go; auto is online when a key is configured, else off.
        wandb_group: under which the run is filed there.
    """

    target: str | None = None
    method: str = "hat"
    seed: int = 0
    wandb: Literal["auto", "online", "offline", "off"] = "auto"
    wandb_group: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("", self, seed=0)
        if self.target == "":  # an unset shell variable must not silently mean the first domain
            raise InputError("--target is empty; name a domain, or leave the option out for the first one.")


@dataclass
class CompareConfig(ExpansionConfig):
    """Runs methods on targets with several seeds, all on the same labels, and sets them side by side.

    Args:
        methods: which methods.
        targets: all, a number (that many, evenly spread over the data set), or names.
        seeds: how many seeds, from 0 on.
        wandb: where Weights & Biases logs go, a run each and one that sums them up, in one group.
        markdown: file that the closing table is also written to.
        executor: what shares out the runs: processes on this machine, or Ray.
        ray: how Ray does, where it does.
    """

    methods: Names = "labels_only,best_source,hat"
    targets: Names = "all"
    seeds: int = 3
    wandb: Literal["auto", "online", "offline", "off"] = "off"
    markdown: str | None = None
    executor: Literal["local", "ray"] = "local"
    ray: RayConfig = field(default_factory=RayConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.methods, self.targets = names(self.methods), names(self.targets)
        for option in ("methods", "targets"):
            if not getattr(self, option):
                raise InputError(f"--{option} names none; give at least one.")
        at_least("", self, seeds=1)
        if self.trainer.num_processes > 1:
            raise InputError(
                "A comparison shares its runs among --jobs; --trainer.devices and --trainer.num_nodes must stay 1."
            )


@dataclass
class ExpandConfig(ExpansionConfig):
    """Lets new domains join a fleet round after round; the students of each round are sources of the next ones.

    Args:
        initial: the domains whose sources had all labels: a number (so many, drawn by the seed), or names. A given
            `--zoo` is the initial fleet instead.
        rounds: how many rounds.
        join: how many new domains join in each.
        method: what turns sources and target data into a student.
        seed: of the order in which domains join, of labels, weights and batches.
        compare_labels_only: whether a student that learns from the labels alone is trained beside each.
        skip_failed: whether a round ends without the domains whose run failed; else the expansion stops there, and the
            same command tries them again.
        executor: what shares out the runs: processes on this machine, or Ray.
        ray: how Ray does, where it does.
    """

    initial: Names = "8"
    rounds: int = 3
    join: int = 4
    method: str = "hat"
    seed: int = 0
    compare_labels_only: bool = True
    skip_failed: bool = False
    executor: Literal["local", "ray"] = "local"
    ray: RayConfig = field(default_factory=RayConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.initial = names(self.initial)
        at_least("", self, rounds=1, join=1, seed=0)
        if not self.initial:
            raise InputError("--initial names no domain; give a number or names.")
        if self.trainer.devices > 1:
            raise InputError("An expansion shares its runs among --jobs; --trainer.devices must stay 1.")
        if self.sources.modality not in (None, self.modality):
            raise InputError(
                f"Students of {self.modality} samples cannot become sources of {self.sources.modality} samples; "
                "leave --sources.modality out."
            )


@dataclass
class StudyConfig(ExpansionConfig):
    """Answers one question about the method with runs or measurements on several targets.

    Args:
        targets: all, a number (that many, evenly spread over the data set), or names.
        seeds: how many seeds, from 0 on.
        values: what the study goes through, such as numbers of labels; without it, the study's own list.
        out: folder of the study.
    """

    targets: Names = "all"
    seeds: int = 3
    values: Names = field(default_factory=list)
    out: str = "study"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.targets, self.values = names(self.targets), names(self.values)
        if not self.targets:
            raise InputError("--targets names none; give at least one.")
        at_least("", self, seeds=1)
        if self.trainer.num_processes > 1:
            raise InputError(
                "A study shares its runs among --jobs; --trainer.devices and --trainer.num_nodes must stay 1."
            )


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


@dataclass
class StudentsConfig:
    """Lists the architectures that can be students.

    Args:
        modality: what the samples are.
        data: the data set whose samples the student sees.
        device: what it sees of them.
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
