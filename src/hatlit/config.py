"""Every option of a run. The fields are the command line, the YAML keys and the documentation at once.

Nothing here imports torch, so that ``--help`` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hatlit.errors import InputError

#: Several names: a list in YAML, or one text with commas.
Names = list[str] | str


def names(several: Names) -> list[str]:
    """Several names as a list."""
    parts = several.split(",") if isinstance(several, str) else several
    return [part.strip() for part in parts if part.strip()]


def _at_least(option: str, config: object, **least: float) -> None:
    """Refuses numbers that are too small, named as the user types them.

    Raises:
        InputError: one of them is.
    """
    for name, bound in least.items():
        value = getattr(config, name)
        if not value >= bound:
            raise InputError(f"--{option}{name} must be at least {bound}, not {value}.")


@dataclass
class DataConfig:
    """Which domains to work on.

    Args:
        name: data set in the registry (`hatlit data` lists them); demo is synthetic and needs no files.
        root: file or folder of the data set.
    """

    name: str = "demo"
    root: str | None = None


@dataclass
class LabelsConfig:
    """How many labels the target has. Without either option it is one a class.

    Args:
        per_class: labelled samples a class.
        fraction: share of the training samples that are labelled, class by class, at least one each.
    """

    per_class: int | None = None
    fraction: float | None = None

    def __post_init__(self) -> None:
        if self.per_class is not None and self.fraction is not None:
            raise InputError("--labels.per_class and --labels.fraction exclude each other; give one of them.")
        if self.per_class is not None:
            _at_least("labels.", self, per_class=1)
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise InputError(f"--labels.fraction must lie above 0 and at most at 1, not {self.fraction}.")


@dataclass
class SourcesConfig:
    """How the sources of a zoo are trained.

    Args:
        encoders: architectures, given to the domains in turn; empty means the modality's own list.
        max_epochs: passes over a domain's labelled training samples.
        batch_size: samples a step.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        seed: of initial weights, batch order and dropout.
    """

    encoders: Names = field(default_factory=list)
    max_epochs: int = 30
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        self.encoders = names(self.encoders)
        _at_least("sources.", self, max_epochs=1, batch_size=1, learning_rate=0, weight_decay=0)


@dataclass
class SelectionConfig:
    """Which sources are worth asking.

    Args:
        statistics: what cards and target compare in the coarse stage.
        similarity: how they compare it.
        keep: share of the sources that the coarse stage keeps (eta), never fewer than `num_sources`.
        fine: score of the candidates on the labelled few.
    """

    statistics: str = "random_kernels"
    similarity: str = "rbf_mmd"
    keep: float = 0.3
    fine: str = "centroid_accuracy"

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise InputError(f"--selection.keep must lie above 0 and at most at 1, not {self.keep}.")


@dataclass
class AdaptConfig:
    """A short fine-tuning of each selected source on the labelled few, after which it is frozen again.

    Args:
        part: what may move.
        steps: gradient steps; 0 skips the stage.
        learning_rate: of Adam.
        pull: weight of the squared distance to the start (L2-SP).
    """

    part: Literal["all", "last_block", "head"] = "all"
    steps: int = 100
    learning_rate: float = 3e-4
    pull: float = 0.0

    def __post_init__(self) -> None:
        _at_least("hat.adapt.", self, steps=0, learning_rate=0, pull=0)


@dataclass
class MixerConfig:
    """The cross-attention that weighs the sources sample by sample.

    Args:
        dim: width of queries and keys, over all heads.
        heads: number of attention heads.
        learning_rate: of the mixer's AdamW.
        weight_decay: of the mixer's AdamW.
        uniform_prior: weight of KL(attention to uniform); it holds the attention back until labels speak.
        detach_query: whether the mixer's loss stops at the student's features.
        train_heads: whether the sources' heads learn with the mixer (partial freezing).
        head_pull: weight of the squared distance of those heads to their start (L2-SP).
    """

    dim: int = 32
    heads: int = 2
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    uniform_prior: float = 1.0
    detach_query: bool = True
    train_heads: bool = False
    head_pull: float = 0.1

    def __post_init__(self) -> None:
        _at_least("hat.mixer.", self, dim=1, heads=1, learning_rate=0, weight_decay=0, uniform_prior=0, head_pull=0)
        if self.dim % self.heads:
            raise InputError(f"--hat.mixer.dim ({self.dim}) must be a multiple of --hat.mixer.heads ({self.heads}).")


@dataclass
class DictionaryConfig:
    """When the knowledge dictionary is written.

    Args:
        when: whether the mixer's accuracy is measured after each epoch or after each step.
        strict: whether it must exceed the best so far, or may equal it.
        threshold: accuracy below which nothing is written (b).
    """

    when: Literal["epoch", "step"] = "epoch"
    strict: bool = False
    threshold: float = 0.0


@dataclass
class InjectionConfig:
    """How the dictionary teaches the student.

    Args:
        loss: convex is (1 - alpha) labels + alpha dictionary; additive is labels + alpha dictionary.
        schedule: how the mixer's accuracy becomes the injection weight alpha.
        weight: factor of the dictionary's part.
        temperature: softens both sides of the distillation loss.
        sharpen: exponent on the fused predictions as the dictionary takes them; 1 leaves them alone.
        hint_weight: weight of the feature hint: a linear map of the student's features predicts the sources' features.
    """

    loss: str = "additive"
    schedule: str = "accuracy"
    weight: float = 4.0
    temperature: float = 1.0
    sharpen: float = 2.0
    hint_weight: float = 1.0

    def __post_init__(self) -> None:
        _at_least("hat.injection.", self, weight=0, temperature=0.01, sharpen=0, hint_weight=0)


@dataclass
class HaTConfig:
    """Options of HaT.

    Args:
        adapt: fine-tuning before the sources are frozen.
        mixer: the attention.
        dictionary: the gate.
        injection: the student's loss.
    """

    adapt: AdaptConfig = field(default_factory=AdaptConfig)
    mixer: MixerConfig = field(default_factory=MixerConfig)
    dictionary: DictionaryConfig = field(default_factory=DictionaryConfig)
    injection: InjectionConfig = field(default_factory=InjectionConfig)


@dataclass
class OptimizerConfig:
    """How the student learns; the same for every method.

    Args:
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        schedule: of the learning rates of all optimizers, over the whole run.
        clip_norm: largest norm of the gradient of one optimizer; 0 leaves it alone.
        accumulate: batches whose gradients are added up before a step.
    """

    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    schedule: Literal["constant", "cosine"] = "cosine"
    clip_norm: float = 0.0
    accumulate: int = 1

    def __post_init__(self) -> None:
        _at_least("optimizer.", self, learning_rate=0, weight_decay=0, clip_norm=0, accumulate=1)


@dataclass
class TrainerConfig:
    """Options of the Lightning Trainer and of the batches it gets.

    Args:
        max_epochs: passes over the target's training samples.
        batch_size: samples a step, labelled and unlabelled together.
        augment: whether the student's view is randomly changed while training.
        accelerator: cpu, gpu, or auto.
        devices: processes that train together (Lightning DDP above one).
        precision: number format, as Lightning names it.
        checkpoint_seconds: shortest time between two checkpoints; 0 writes one after each epoch.
    """

    max_epochs: int = 60
    batch_size: int = 32
    augment: bool = True
    accelerator: str = "auto"
    devices: int = 1
    precision: str = "32-true"
    checkpoint_seconds: float = 10.0

    def __post_init__(self) -> None:
        _at_least("trainer.", self, max_epochs=1, batch_size=2, devices=1, checkpoint_seconds=0)


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
        student: architecture of the student.
        selection: which sources are worth asking.
        hat: options of HaT.
        optimizer: how the student learns.
        trainer: epochs, batches and hardware.
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
    student: str = "cnn_nano"
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    hat: HaTConfig = field(default_factory=HaTConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    out: str = "runs"
    jobs: int = 0
    plugin: Names = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plugin = names(self.plugin)
        _at_least("", self, jobs=0)
        if self.num_sources is not None:
            _at_least("", self, num_sources=1)


@dataclass
class TrainConfig(ExpansionConfig):
    """Expands a zoo to one target domain.

    Args:
        target: the new domain; without it, the first of the data set.
        method: what turns sources and target data into a student.
        seed: of labels, weights and batches.
        wandb: where Weights & Biases logs go; auto is online when a key is configured, else off.
    """

    target: str | None = None
    method: str = "hat"
    seed: int = 0
    wandb: Literal["auto", "online", "offline", "off"] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        _at_least("", self, seed=0)


@dataclass
class CompareConfig(ExpansionConfig):
    """Runs methods on targets with several seeds, all on the same labels, and sets them side by side.

    Args:
        methods: which methods.
        targets: all, a number (that many, evenly spread over the data set), or names.
        seeds: how many seeds, from 0 on.
        markdown: file that the closing table is also written to.
    """

    methods: Names = "labels_only,best_source,hat"
    targets: Names = "all"
    seeds: int = 3
    markdown: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.methods, self.targets = names(self.methods), names(self.targets)
        for option in ("methods", "targets"):
            if not getattr(self, option):
                raise InputError(f"--{option} names none; give at least one.")
        _at_least("", self, seeds=1)


@dataclass
class StudentsConfig:
    """Lists the architectures that can be students.

    Args:
        modality: what the samples are.
        data: the data set whose samples the student sees.
        plugin: Python files whose encoders and data sets are registered first.
    """

    modality: str = "imu"
    data: DataConfig = field(default_factory=DataConfig)
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
        _at_least("", self, jobs=0)


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
