"""Options of data, labels, sources, selection, optimisation and hardware."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hatlit.config.checks import Names, at_least, names
from hatlit.errors import InputError


@dataclass
class DataConfig:
    """Which domains to work on.

    Args:
        name: data set in the registry (`hatlit data` lists them); demo is synthetic and needs no files.
        root: file or folder of the data set.
        download: whether it is fetched from where it was published, into `root` or into the cache.
        class_map: YAML or JSON file that says which domains, or sources of a given `--zoo`, call a class by another
            name.
    """

    name: str = "demo"
    root: str | None = None
    download: bool = False
    class_map: str | None = None


@dataclass
class LabelsConfig:
    """How many labels the target has. Without an option it is one a class.

    Args:
        per_class: labelled samples a class; 1 where neither this nor `--labels.fraction` is given. With 0 the target
            has no label at all, and the sources have to do.
        fraction: share of the training samples that are labelled, class by class, at least one each.
        also: CSV file with the columns domain and row, such as `hatlit suggest-labels` writes; these training samples
            are labelled besides.
    """

    per_class: int | None = None
    fraction: float | None = None
    also: str | None = None

    def __post_init__(self) -> None:
        if self.per_class is not None and self.fraction is not None:
            raise InputError("--labels.per_class and --labels.fraction exclude each other; give one of them.")
        if self.per_class is not None:
            at_least("labels.", self, per_class=0)
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise InputError(f"--labels.fraction must lie above 0 and at most at 1, not {self.fraction}.")

    @property
    def none(self) -> bool:
        """Whether the target is to be learned without a single label."""
        return self.per_class == 0 and self.also is None


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
        modality: what the sources see, where that is another modality of the same (paired) samples.
        controls: how many useless sources of each kind join the others, to see that they are not chosen: ones with
            random weights, and ones trained on shuffled labels.
        card_noise: standard deviation of the Gaussian noise on statistics and centroids of a card, relative to how far
            each number varies from sample to sample.
        statistics: what every card carries, for the coarse stage to choose from.
    """

    encoders: Names = field(default_factory=list)
    max_epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    seed: int = 0
    modality: str | None = None
    controls: int = 0
    card_noise: float = 0.0
    statistics: Names = "handcrafted,random_kernels"

    def __post_init__(self) -> None:
        self.encoders, self.statistics = names(self.encoders), list(dict.fromkeys(names(self.statistics)))
        if not self.statistics:
            raise InputError("--sources.statistics names none; give at least one.")
        at_least("sources.", self, max_epochs=1, batch_size=1, learning_rate=0, weight_decay=0, controls=0)
        at_least("sources.", self, seed=0, card_noise=0)


#: What a device may limit.
LIMITS = ("max_parameters", "max_macs", "max_bytes", "max_latency_ms")


@dataclass
class DeviceConfig:
    """What the target's device can see of a sample, of which sources still see all, and what it can carry.

    Args:
        channels: names of the channels it has; empty means all.
        rate: its samples per second (Hz), at most the recorded rate.
        shape: sizes of the axes behind the channels, such as `16,16`; empty leaves them as recorded.
        max_parameters: of the student. Where no student is named, the largest within all limits is taken.
        max_macs: multiply-accumulate operations of one pass of the student over one sample.
        max_bytes: of the student's weights.
        max_latency_ms: milliseconds of one pass of the student over one sample, as measured on this machine.
    """

    channels: Names = field(default_factory=list)
    rate: float | None = None
    shape: list[int] | str = field(default_factory=list)
    max_parameters: int | None = None
    max_macs: int | None = None
    max_bytes: int | None = None
    max_latency_ms: float | None = None

    def __post_init__(self) -> None:
        self.channels = names(self.channels)
        if isinstance(self.shape, str):
            sizes = names(self.shape)
            if not all(size.isdecimal() for size in sizes):
                raise InputError(f"--device.shape wants sizes such as 16,16, not '{self.shape}'.")
            self.shape = [int(size) for size in sizes]
        if any(size < 1 for size in self.shape):
            raise InputError(f"--device.shape wants sizes of at least 1, not {','.join(map(str, self.shape))}.")
        if self.rate is not None and not self.rate > 0:
            raise InputError(f"--device.rate must be above 0, not {self.rate}.")
        for name, limit in self.limits.items():
            if not limit > 0:
                raise InputError(f"--device.{name} must be above 0, not {limit}.")

    @property
    def limits(self) -> dict[str, float]:
        """By option, what the student may take at most, as far as anything limits it."""
        limits = {name: getattr(self, name) for name in LIMITS}
        return {name: limit for name, limit in limits.items() if limit is not None}


@dataclass
class SelectionConfig:
    """Which sources are worth asking.

    Args:
        statistics: what cards and target compare in the coarse stage.
        similarity: how they compare it.
        keep: share of the sources that the coarse stage keeps (eta), never fewer than `num_sources`.
        fine: score of the candidates on the labelled few, and on what is not labelled.
        doubt: whether candidates are doubted, whatever the score: where too few of them are of use, the next ones of
            the coarse stage are judged as well, and of copies one counts.
        students: whether students that have become sources may be asked, or only sources that had all labels.
    """

    statistics: str = "random_kernels"
    similarity: str = "rbf_mmd"
    keep: float = 0.3
    fine: str = "centroid_accuracy_agreement"
    doubt: bool = True
    students: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise InputError(f"--selection.keep must lie above 0 and at most at 1, not {self.keep}.")


@dataclass
class OptimizerConfig:
    """How the student learns; the same for every method.

    Args:
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        schedule: of the learning rates of all optimizers, over the whole run.
        clip_norm: largest norm of the gradient of one optimizer; 0 leaves it alone.
        accumulate: batches whose gradients are averaged before a step.
    """

    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    schedule: Literal["constant", "cosine"] = "cosine"
    clip_norm: float = 0.0
    accumulate: int = 1

    def __post_init__(self) -> None:
        at_least("optimizer.", self, learning_rate=0, weight_decay=0, clip_norm=0, accumulate=1)


@dataclass
class TrainerConfig:
    """Options of the Lightning Trainer and of the batches it gets.

    Args:
        max_epochs: passes over the target's training samples.
        max_steps: batches after which no further pass begins, so that many unlabelled samples do not take for ever.
        batch_size: samples a step, labelled and unlabelled together.
        augment: whether the student's view is randomly changed while training; and that of the target's own experts.
        accelerator: cpu, gpu, or auto.
        devices: processes that train together on each machine (Lightning DDP above one).
        num_nodes: machines that train together; torchrun starts the processes on each.
        precision: number format of activations, as Lightning names it.
        checkpoint_seconds: shortest time between two checkpoints; 0 writes one after each epoch.
    """

    max_epochs: int = 60
    max_steps: int = 2000
    batch_size: int = 32
    augment: bool = True
    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    checkpoint_seconds: float = 10.0

    def __post_init__(self) -> None:
        at_least("trainer.", self, max_epochs=1, max_steps=1, batch_size=2, devices=1, num_nodes=1)
        at_least("trainer.", self, checkpoint_seconds=0)
        if self.batch_size < self.num_processes:
            raise InputError(
                f"--trainer.batch_size {self.batch_size} leaves some of {self.num_processes} processes without a "
                "sample; make it at least as large as --trainer.devices times --trainer.num_nodes."
            )

    @property
    def num_processes(self) -> int:
        """How many processes train together, on all machines."""
        return self.devices * self.num_nodes


@dataclass
class RayConfig:
    """How Ray runs what it is given.

    Args:
        address: of a cluster that is there, such as `auto` or `ray://host:10001`; without it, Ray starts on this
            machine, with as many workers as there are jobs. A cluster sees the same files under the same names.
        cpus: CPU cores that a run takes.
        gpus: GPUs that a run takes; a part of one lets several share it.
        retries: how often a run is tried again whose worker was lost.
    """

    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    retries: int = 3

    def __post_init__(self) -> None:
        at_least("ray.", self, gpus=0, retries=0)
        if not self.cpus > 0:
            raise InputError(f"--ray.cpus must be above 0, not {self.cpus}.")


@dataclass
class AdaptConfig:
    """A short fine-tuning of each selected source on the target's rows, after which it is frozen again.

    Args:
        part: what may move.
        steps: gradient steps; 0 skips the stage.
        learning_rate: of Adam.
        pull: weight of the squared distance to the start (L2-SP).
        indecision: weight of being undecided about unlabelled rows, or of naming classes more or less often there than
            they are labelled; 0 leaves those rows out.
    """

    part: Literal["all", "last_block", "head"] = "all"
    steps: int = 100
    learning_rate: float = 3e-4
    pull: float = 0.0
    indecision: float = 0.1

    def __post_init__(self) -> None:
        at_least("adapt.", self, steps=0, learning_rate=0, pull=0, indecision=0)


@dataclass
class CacheConfig:
    """How the outputs of frozen sources on the training samples are kept.

    Args:
        dtype: number format of the features; float16 takes half the space and rounds to three digits.
        map_above: megabytes of one source's features above which they stay on disk and are read row by row.
    """

    dtype: Literal["float32", "float16"] = "float32"
    map_above: float = 256.0

    def __post_init__(self) -> None:
        at_least("cache.", self, map_above=0)

    @property
    def map_above_bytes(self) -> int:
        """``map_above`` in bytes."""
        return int(self.map_above * 1e6)


@dataclass
class DistillationConfig:
    """How what the sources say weighs in the loss of the methods that HaT is compared with; the same for all of them.

    Args:
        weight: factor of the distillation loss.
        temperature: softens both sides of it.
        hint_weight: factor of the loss on features, in methods that have one.
    """

    weight: float = 4.0
    temperature: float = 1.0
    hint_weight: float = 1.0

    def __post_init__(self) -> None:
        at_least("distillation.", self, weight=0, temperature=0.01, hint_weight=0)
