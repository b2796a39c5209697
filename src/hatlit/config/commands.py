"""Options of the commands that train."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from hatlit.config.checks import Names, at_least, names, not_empty
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


@dataclass
class ExpansionConfig:
    """What every run and every comparison of runs has to know.

    Args:
        modality: what the samples are.
        data: which domains to work on.
        labels: how many labels the target has.
        zoo: folder or URL of sources; without it, they are trained on the other domains and kept in the cache.
        sources: how sources are trained where there is no zoo.
        num_sources: how many sources are selected; without it 5, or as many as there are.
        student: architecture of the student; without it, the modality's usual one (a `_nano`), or the largest within
            the limits of `--device`. `auto` ranks those that the device can carry, or where nothing limits it those up
            to the size `_tiny`, without training, and takes the best.
        device: what the student sees of a sample, and what it may take.
        selection: which sources are worth asking.
        adapt: fine-tuning of the selected sources before they are frozen, whatever the method.
        cache: how the outputs of the frozen sources are kept.
        hat: options of HaT.
        distillation: options that the other methods with a teacher share.
        optimizer: how the student learns.
        trainer: epochs, batches and hardware.
        tune: how many settings of learning rate and distillation weight are tried by cross-validation on the labelled
            few, for every method alike; 0 keeps the settings as they are. Oracles, and methods that neither changes,
            keep theirs in any case.
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
        not_empty(self, "zoo", "name a folder, or leave the option out to train the sources")
        not_empty(self, "out", "name a folder, or leave the option out for the usual one")
        drawn = self.labels.fraction is None and self.labels.also is None
        if self.tune and drawn and (1 if self.labels.per_class is None else self.labels.per_class) < 2:
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
        not_empty(self, "target", "name a domain, or leave the option out for the first one")


@dataclass
class CompareConfig(ExpansionConfig):
    """Runs methods on targets with several seeds, all on the same labels, and sets them side by side.

    Args:
        methods: which methods.
        targets: all, a number (that many, evenly spread over the data set), or names.
        seeds: how many seeds, from 0 on.
        controls: how many useless sources of each kind join the others, as `--sources.controls` does.
        out: folder of the comparison, with the runs in `OUT/runs` and the report in `OUT/report.html`.
        wandb: where Weights & Biases logs go, a run each and one that sums them up, in one group.
        markdown: file that the closing table is also written to.
        executor: what shares out the runs: processes on this machine, or Ray.
        ray: how Ray does, where it does.
    """

    methods: Names = "labels_only,best_source,hat"
    targets: Names = "all"
    seeds: int = 3
    controls: int = 0
    out: str = "runs"
    wandb: Literal["auto", "online", "offline", "off"] = "off"
    markdown: str | None = None
    executor: Literal["local", "ray"] = "local"
    ray: RayConfig = field(default_factory=RayConfig)

    def __post_init__(self) -> None:
        self.sources = self._with_controls()
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

    def _with_controls(self) -> SourcesConfig:
        at_least("", self, controls=0)
        if self.controls and self.sources.controls not in (0, self.controls):
            raise InputError(
                f"--controls {self.controls} and --sources.controls {self.sources.controls} contradict each other; "
                "give one of them."
            )
        return replace(self.sources, controls=self.controls or self.sources.controls)


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
        out: folder under which the expansion gets a folder of its own, with its zoo, its runs and its report.
        budgets: YAML, JSON or CSV file of limits by domain (`max_parameters`, `max_macs`, `max_bytes`,
            `max_latency_ms`), which go before those of `--device`.
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
    out: str = "runs"
    budgets: str | None = None
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
        if self.trainer.num_processes > 1:
            raise InputError(
                "An expansion shares its runs among --jobs; --trainer.devices and --trainer.num_nodes must stay 1."
            )
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
        out: folder of the study; where nothing is given, NAME is the study's name, as in study-labels.
    """

    targets: Names = "all"
    seeds: int = 3
    values: Names = field(default_factory=list)
    out: str = "study-NAME"

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
