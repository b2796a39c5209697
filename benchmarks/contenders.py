"""What is timed side by side: HaT, the student alone, and other tools, each as a function from a setting to a time."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional as F

from hatlit.config import LabelsConfig, TrainConfig, TrainerConfig
from hatlit.datamodules.base import Domain
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.datamodules.target.data import TargetData
from hatlit.encoders.base import Classifier, InputSpec, build_classifier
from hatlit.experiments.epoch_table import EpochTable
from hatlit.experiments.fitting import LastCheckpoint, fit, make_trainer
from hatlit.fusion.mixer import CrossAttentionMixer, fuse, log_prior, mixer_loss
from hatlit.injection.losses.distillation import distillation
from hatlit.methods.base import METHODS, SelectedSource, TransferMethod, TransferTask
from hatlit.options import parse
from hatlit.types import UNLABELLED

CLASSES = tuple(f"class-{number}" for number in range(8))
BATCH = 32

#: Width of the hidden layers, how many there are, and width of the features, by number of parameters.
SIZES = {"30k": (88, 2, 64), "1M": (496, 4, 128), "20M": (2160, 4, 512)}

#: Where torchdistill finds logits: in what the whole model puts out.
TO_LOGITS = {"path": ".", "io": "output"}


class Source(nn.Module):
    """A convolution and a stack of layers over the mean of time: many parameters, but little work a sample, so that
    tools which run the sources in each step are not made slower than they need be."""

    def __init__(self, spec: InputSpec, width: int, depth: int, feature_dim: int) -> None:
        super().__init__()
        self.input_spec, self.feature_dim = spec, feature_dim
        self.stem = nn.Conv1d(spec.num_channels, width, 7, stride=4, padding=3)
        hidden = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.GELU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, feature_dim))

    def forward(self, view: Tensor) -> Tensor:
        return self.layers(F.gelu(self.stem(view)).mean(-1))


@dataclass(frozen=True)
class Setting:
    """What is timed.

    Attributes:
        name: in the figures.
        num_sources: how many sources.
        size: one of ``SIZES``, or an encoder in the registry.
        rows: samples of the target.
        student: its architecture; empty for the one that hatlit takes by itself.
    """

    name: str
    num_sources: int
    size: str
    rows: int
    student: str = ""

    @cached_property
    def target(self) -> TargetData:
        """Noise: what is in the samples makes no difference to the time."""
        generator = np.random.default_rng(0)
        spec = InputSpec(modality="imu", channels=tuple("abcdef"), shape=(128,), rate=50.0)
        if self.size not in SIZES:
            spec = InputSpec(modality="image", channels=("red", "green", "blue"), shape=(64, 64))
        samples = generator.normal(size=(self.rows, spec.num_channels, *spec.shape)).astype(np.float32)
        domain = Domain("noise", samples, np.arange(self.rows) % len(CLASSES), np.arange(self.rows), spec, CLASSES)
        return TargetData(domain, split_domain(domain, LabelsConfig(per_class=None, fraction=0.1), seed=0))

    @cached_property
    def sources(self) -> list[Classifier]:
        """Untrained, in eval mode."""
        torch.manual_seed(0)
        spec = self.target.spec
        if self.size in SIZES:
            models = [Classifier(Source(spec, *SIZES[self.size]), len(CLASSES)) for _ in range(self.num_sources)]
        else:
            models = [build_classifier(self.size, spec, len(CLASSES), False) for _ in range(self.num_sources)]
        return [model.eval().requires_grad_(False) for model in models]

    @cached_property
    def task(self) -> TransferTask:
        """The task as ``hatlit train`` would put it, with its defaults; no time goes into adaptation."""
        config = TrainConfig(modality=self.target.spec.modality, student=self.student)
        config.adapt.steps = 0
        chosen = [SelectedSource(str(n), "source", model, CLASSES) for n, model in enumerate(self.sources)]
        return TransferTask(self.target, self.target.spec, chosen, config)

    @cached_property
    def batches(self) -> list[tuple[Tensor, Tensor]]:
        """The batches of one pass: views and labels."""
        rows = self.target.rows(self.target.spec)
        return [(batch.target, batch.label) for batch in TargetDataModule(rows, BATCH, seed=0).train_dataloader()]


#: Maps a setting and a number of batches to the seconds of a step.
Contender = Callable[[Setting, int], float]


def student_alone(setting: Setting, count: int) -> float:
    """Plain PyTorch: cross-entropy on the labels; all rows pass through the student."""
    student = setting.task.new_student().train()
    optimizer = adamw(student.parameters())

    def step(view: Tensor, label: Tensor) -> None:
        F.cross_entropy(student(view), label, ignore_index=UNLABELLED).backward()
        optimizer.step()
        optimizer.zero_grad()

    return by_hand(step, setting.batches[:count])


def hat_by_hand(setting: Setting, count: int) -> float:
    """Plain PyTorch: mixer and student, and the sources answer in each step."""
    student, sources = setting.task.new_student().train(), setting.sources
    mixer = CrossAttentionMixer(student.feature_dim, [source.feature_dim for source in sources])
    optimizers = [adamw(student.parameters()), adamw(mixer.parameters())]

    def step(view: Tensor, label: Tensor) -> None:
        with torch.no_grad():
            answers = [source.both(view) for source in sources]
        probabilities = torch.stack([logits.softmax(-1) for _, logits in answers], dim=1)
        features, logits = student.both(view)
        weights = mixer(features.detach(), [one for one, _ in answers], log_prior(probabilities.sum(-1)))
        fused, known = fuse(weights, probabilities), label != UNLABELLED
        loss = mixer_loss(fused[known], label[known]).mean() + distillation(logits, fused.detach(), 1.0).mean()
        (loss + F.cross_entropy(logits[known], label[known])).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    return by_hand(step, setting.batches[:count])


def of_method(kind: type[TransferMethod], task: TransferTask) -> float:
    """Seconds a step of a method as ``hatlit train`` runs it, with views that stay as they are; a whole pass."""
    method = kind.build(task)
    marks = Marks()
    data = TargetDataModule(method.rows(task), BATCH, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [marks, LastCheckpoint(Path(folder) / "last.ckpt", 10, print)]
        trainer = make_trainer(
            TrainerConfig(max_epochs=2, accelerator="cpu"), [EpochTable(Path(folder) / "metrics.csv", print)], callbacks
        )
        fit(method, data, trainer, 0, None)
    return marks.last / data.steps_per_epoch


def hat(setting: Setting, count: int) -> float:
    """HaT in hatlit, with metrics and checkpoint."""
    return of_method(METHODS.get("hat"), setting.task)


def hat_as_published(setting: Setting, count: int) -> float:
    """HaT in hatlit as it is published (``hat_paper``), the same work as that of HaT by hand, and a dictionary."""
    config = parse(TrainConfig, "train", "", ["--modality", setting.task.config.modality, "--method", "hat_paper"])
    config.student = setting.student
    return of_method(METHODS.get("hat_paper"), replace(setting.task, config=config))


def hatlit_kd(setting: Setting, count: int) -> float:
    """hatlit's plain distillation, the same work as that of the other tools: labels, and the mean of the sources."""
    return of_method(METHODS.get("kd"), setting.task)


def textbrewer(setting: Setting, count: int, cached: bool = False) -> float:
    """TextBrewer's MultiTeacherDistiller: labels, and the mean of the teachers' logits."""
    library = import_module("textbrewer")
    student, batches, marks = setting.task.new_student().train(), setting.batches[:count], Marks()
    with tempfile.TemporaryDirectory() as folder, silence():
        distiller = library.MultiTeacherDistiller(
            library.TrainingConfig(device="cpu", output_dir=folder),
            library.DistillationConfig(temperature=1, hard_label_weight=1, is_caching_logits=cached),
            [OfBatch(source) for source in setting.sources],
            OfBatch(student),
            lambda batch, logits: {"logits": [logits]},
            lambda batch, logits: {
                "logits": [logits],
                "losses": [F.cross_entropy(logits, batch[1], ignore_index=UNLABELLED)],
            },
        )
        distiller.train(adamw(student.parameters()), batches, num_epochs=2, callback=lambda **_: marks.set())
    return marks.last / len(batches)


def textbrewer_cached(setting: Setting, count: int) -> float:
    """The same with ``is_caching_logits``: batches and logits of the first pass are used for ever."""
    return textbrewer(setting, count, cached=True)


def torchdistill(setting: Setting, count: int) -> float:
    """torchdistill's DistillationBox: labels, and the mean of the teachers' logits, which are one module."""
    library = import_module("torchdistill.core.distillation")
    rows = [
        (view, -100 if label == UNLABELLED else int(label))
        for views, labels in setting.batches[:count]
        for view, label in zip(views, labels, strict=True)
    ]
    to_logits = {f"{who}_module_{what}": value for who in ("student", "teacher") for what, value in TO_LOGITS.items()}
    loss = {"key": "KDLoss", "kwargs": {**to_logits, "temperature": 1.0, "alpha": 0.5, "reduction": "batchmean"}}
    config = {
        "num_epochs": 2,
        "train_data_loader": {
            "dataset_id": "rows",
            "sampler": {"class_or_func": torch.utils.data.RandomSampler},
            "kwargs": {"batch_size": BATCH},
        },
        "teacher": {"forward_proc": "forward_batch_only", "requires_grad": False},
        "student": {"forward_proc": "forward_batch_only"},
        "optimizer": {"key": "AdamW", "kwargs": {"lr": 1e-3, "fused": True}},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"kd": {"criterion": loss, "weight": 1.0}}}},
    }
    student, teacher, cpu, marks = setting.task.new_student(), MeanLogits(setting.sources), torch.device("cpu"), Marks()
    with silence():
        box = library.get_distillation_box(teacher, student, {"rows": rows}, config, cpu, None, False, 1)
        for epoch in range(2):
            box.pre_epoch_process(epoch=epoch)
            for view, label, more in box.train_data_loader:
                box.post_forward_process(box.forward_process(view, label, more))
            marks.set()
    return marks.last * BATCH / len(rows)


class Marks(Callback):
    """Notes the end of each pass; a Lightning callback where there is Lightning."""

    def __init__(self) -> None:
        self._at: list[float] = []

    def set(self) -> None:
        """Notes the time."""
        self._at.append(time.perf_counter())

    @property
    def last(self) -> float:
        """Seconds of the last pass."""
        return self._at[-1] - self._at[-2]

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Notes the time; what is left of this epoch's work counts for the next one."""
        self.set()


class OfBatch(nn.Module):
    """A model that is given whole batches and looks at the views."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, view: Tensor, label: Tensor) -> Tensor:
        return self.model(view)


class MeanLogits(nn.Module):
    """Several models as one."""

    def __init__(self, models: Sequence[nn.Module]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)

    def forward(self, view: Tensor) -> Tensor:
        return torch.stack([model(view) for model in self.models]).mean(0)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keeps logs and progress bars off the terminal, which would take time, too."""
    logging.disable()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def adamw(parameters: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer that hatlit has as well."""
    return torch.optim.AdamW(parameters, lr=1e-3, fused=True)


def by_hand(step: Callable[[Tensor, Tensor], None], batches: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Seconds of a step: goes over the rows twice, the second time with the clock, and cuts batches from tensors."""
    views, labels = (torch.cat(several) for several in zip(*batches, strict=True))
    marks = Marks()
    for _ in range(2):
        for rows in torch.randperm(len(labels)).split(BATCH):
            step(views[rows], labels[rows])
        marks.set()
    return marks.last / len(batches)


CONTENDERS: dict[str, Contender] = {
    one.__name__: one
    for one in (
        student_alone,
        hat,
        hat_as_published,
        hat_by_hand,
        hatlit_kd,
        textbrewer,
        textbrewer_cached,
        torchdistill,
    )
}
