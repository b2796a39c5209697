"""What a method is: it turns sources and target data into a student."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import lightning as L
import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn

from hatlit.config import OptimizerConfig, TrainConfig
from hatlit.cuda_check import ask_briefly
from hatlit.encoders.base import Classifier, InputSpec, build_classifier
from hatlit.registry import Registry
from hatlit.students.skeletons import default_student
from hatlit.types import UNLABELLED, Batch
from hatlit.zoo.card import Centroids

if TYPE_CHECKING:
    from hatlit.datamodules.base import Domain
    from hatlit.datamodules.target.data import TargetData, TargetRows


@dataclass(frozen=True)
class SelectedSource:
    """A source that selection chose.

    Attributes:
        id: its name in the zoo.
        encoder: its architecture.
        model: with frozen or free weights; methods that change them work on a copy.
        class_names: of its head's outputs.
        domain: name of the domain it was trained on.
        centroids: per class the mean feature vector (feature_dim,) of its training rows, None for one it never saw.
        round: when it joined; above 0 for the student of earlier sources.
    """

    id: str
    encoder: str
    model: Classifier
    class_names: tuple[str, ...]
    domain: str = ""
    centroids: Centroids = ()
    round: int = 0


@dataclass(frozen=True)
class TransferTask:
    """Everything a method may use. The test part of the target is not in it.

    Attributes:
        target: the target's training part.
        student_spec: the view that the student sees.
        sources: the selected sources, best first; empty for methods that need none.
        config: the options of the run.
        source_domains: the recordings that the sources, save students, were trained on, in the order of the sources;
            only there for methods that need them, which a company that keeps its users' data apart cannot use.
    """

    target: TargetData
    student_spec: InputSpec
    sources: Sequence[SelectedSource]
    config: TrainConfig
    source_domains: Sequence[Domain] = ()

    @property
    def num_classes(self) -> int:
        """K, the number of the target's classes."""
        return len(self.target.class_names)

    @cached_property
    def student_encoder(self) -> str:
        """Name of the student's architecture."""
        return self.config.student or default_student(self.student_spec)

    def new_student(self) -> Classifier:
        """An untrained student; the same seed gives every method the same initial weights."""
        with torch.random.fork_rng():
            torch.manual_seed(self.config.seed)
            return build_classifier(self.student_encoder, self.student_spec, self.num_classes)


class TransferMethod(L.LightningModule, ABC):
    """Base of all methods: one manual-optimisation loop that steps every named optimizer.

    A method says what trains (``trained_parts``), what it costs (``losses``) and what it predicts in the end;
    everything else is here. Each trained part has an optimizer of its own; the losses are added up and go backward
    together, so a part is moved by whatever loss reaches it. Lightning's ``global_step`` counts the steps of every
    optimizer: two parts, two a batch. A method without trained parts is ready when it is built.

    Args:
        view: what the method's own rows look like.
        optimizer: how it learns.
    """

    #: Whether selected sources are needed; a run without them skips the zoo.
    needs_sources: ClassVar[bool] = True

    #: Whether it needs the recordings that sources were trained on, which no device would have.
    needs_source_data: ClassVar[bool] = False

    #: Whether it can do nothing for a target that has no label at all.
    needs_labels: ClassVar[bool] = True

    #: Whether rows without a label teach it anything; else its batches hold the labelled rows alone.
    uses_unlabelled: ClassVar[bool] = True

    #: Whether it knows what no method could know, and only marks what there is to gain.
    is_oracle: ClassVar[bool] = False

    #: Whether learning rate or weight of distillation make a difference to it, so that ``--tune`` has something to try.
    tunable: ClassVar[bool] = True

    #: Parts of the options that it never looks at; its finished runs stay valid when those change.
    unread_options: ClassVar[tuple[str, ...]] = ("hat",)

    #: What predicts in the end: the student that the options name, a source of its own size, or several sources.
    leaves: ClassVar[Literal["student", "source", "ensemble"]] = "student"

    def __init__(self, view: InputSpec, optimizer: OptimizerConfig) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.view = view
        self.optimizer_config = optimizer
        self._sums: dict[str, Tensor] = {}
        self._batches = 0
        self._rng: Tensor | None = None

    @classmethod
    @abstractmethod
    def build(cls, task: TransferTask) -> Self:
        """Sets the method up for one target."""

    @abstractmethod
    def predict(self, rows: TargetRows) -> Tensor:
        """Class probabilities (N, K) of rows, outside training."""

    @abstractmethod
    def models(self) -> Sequence[nn.Module]:
        """Everything that ``predict`` runs: what a device would have to hold."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of each trained part on a batch, as scalars."""
        return {}

    def trained_parts(self) -> dict[str, Sequence[nn.Parameter]]:
        """The parameters of each trained part, each with an optimizer of its own."""
        return {}

    def rows(self, task: TransferTask) -> TargetRows:
        """The training rows, as this method sees them."""
        return task.target.rows(self.view, deal_unlabelled=self.uses_unlabelled)

    def optimizer_settings(self, part: str) -> dict[str, float]:
        """Learning rate and weight decay of one part's AdamW."""
        return {"lr": self.optimizer_config.learning_rate, "weight_decay": self.optimizer_config.weight_decay}

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        """One AdamW a trained part, all on the same schedule."""
        optimizers = [self.optimizer_of(part, parameters) for part, parameters in self.trained_parts().items()]
        steps = self._planned_steps()
        return optimizers, [schedule for one in optimizers for schedule in self.schedules_of(one, steps)]

    def optimizer_of(self, part: str, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        """What moves one part."""
        ask_briefly()
        return torch.optim.AdamW([{"params": parameters, **self.optimizer_settings(part)}], fused=True)

    def schedules_of(self, optimizer: torch.optim.Optimizer, steps: int) -> list[Any]:
        """What changes the learning rate over so many steps, if anything does."""
        if self.optimizer_config.schedule == "constant":
            return []
        return [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)]

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds the losses up, goes backward once, and steps every optimizer when its batches are complete."""
        losses = self.losses(batch)
        every = self.optimizer_config.accumulate
        self.manual_backward(torch.stack(list(losses.values())).sum() / self._group_size(batch_idx))
        for name, loss in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + loss.detach()
        self._batches += 1
        if (batch_idx + 1) % every == 0 or self.trainer.is_last_batch:
            self._step()
        self.after_batch(batch)

    def after_batch(self, batch: Batch) -> None:
        """Called after each batch; for methods that look at themselves while they learn."""

    def after_epoch(self) -> dict[str, float]:
        """Called after each pass over the training rows; what it returns is logged."""
        return {}

    @property
    def weighed(self) -> Sequence[str]:
        """Names of all that a mixer weighs, in the order of the weights of ``explain``; empty where there is none."""
        return ()

    def suspicious(self) -> dict[str, str]:
        """By id, why a source looks broken or useless on the training rows; empty where the method cannot tell."""
        return {}

    def explain(self, rows: TargetRows) -> tuple[Tensor | None, Tensor | None]:
        """Fused predictions (N, K) and weights (N, ``weighed``) on given rows; None where there is no mixer."""
        return None, None

    def on_train_start(self) -> None:
        """Continues the random numbers of an interrupted run."""
        if self._rng is not None:
            torch.set_rng_state(self._rng)
            self._rng = None

    def on_train_epoch_end(self) -> None:
        """Logs the mean losses of the epoch and what the method found."""
        losses = {f"loss/{name}": float(total / self._batches) for name, total in self._sums.items()}
        self._sums, self._batches = {}, 0
        found = losses | self.after_epoch()
        values = torch.tensor(list(found.values()), device=self.device)
        if _world_size() > 1:
            values = self.trainer.strategy.reduce(values, reduce_op="mean")
        row = dict(zip(found, values.tolist(), strict=True)) | {"epoch": float(self.current_epoch)}
        for logger in self.trainer.loggers:  # a dozen numbers through `self.log` take as long as a small student's step
            logger.log_metrics(row, self.global_step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the state of the random numbers."""
        checkpoint["rng"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the state of the random numbers, for the start of training to restore."""
        self._rng = checkpoint["rng"]

    def _group_size(self, batch_idx: int) -> int:
        """How many batches share this one's step; the last group of an epoch may be smaller."""
        every, batches = self.optimizer_config.accumulate, self.trainer.num_training_batches
        left_over = int(batches % every) if batches != float("inf") else 0
        return left_over if left_over and batch_idx >= batches - left_over else every

    def _step(self) -> None:
        optimizers = self.optimizers()
        for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
            if self.optimizer_config.clip_norm:
                # Lightning refuses to clip for a fused optimizer in mixed precision, where nothing is scaled here.
                parameters = [one for group in optimizer.param_groups for one in group["params"]]
                nn.utils.clip_grad_norm_(parameters, self.optimizer_config.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
        schedulers = self.lr_schedulers() or []
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            scheduler.step()  # type: ignore[call-arg]

    def _planned_steps(self) -> int:
        epochs = max(1, self.trainer.max_epochs or 1)
        batches = max(1, round(self.trainer.estimated_stepping_batches / epochs))
        return epochs * -(-batches // self.optimizer_config.accumulate)


class StudentMethod(TransferMethod):
    """Base of the methods that end with one model; as it stands, it learns from the labels alone.

    Args:
        student: what is left at the end.
        optimizer: how it learns.
    """

    def __init__(self, student: Classifier, optimizer: OptimizerConfig) -> None:
        super().__init__(student.input_spec, optimizer)
        self.student = student

    @classmethod
    def build(cls, task: TransferTask) -> Self:
        """Takes a new student."""
        return cls(task.new_student(), task.config.optimizer)

    def forward(self, view: Tensor) -> Tensor:
        """Maps the student's views (B, channels, *shape) to logits (B, K)."""
        return self.student(view)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """What the rows of a batch cost."""
        return self.cost(self.look_up(batch))

    def look_up(self, batch: Batch) -> Any:
        """All that ``cost`` has to know of a batch, as a nest of tensors: of its rows, or of the target as a whole."""
        return batch.target, batch.label

    def cost(self, seen: Any) -> dict[str, Tensor]:
        """The loss of each trained part, from what was looked up and the trained parts alone.

        Many students can then be trained in one go, see ``hatlit.experiments.batched``. Here: cross-entropy on the
        labelled rows.
        """
        view, label = seen
        return {"student": mean_over_rows(*label_losses(self.student(view), label))}

    def trained_parts(self) -> dict[str, Sequence[nn.Parameter]]:
        """The student."""
        return {"student": list(self.student.parameters())}

    def models(self) -> Sequence[nn.Module]:
        """The student."""
        return [self.student]

    @torch.no_grad()
    def predict(self, rows: TargetRows) -> Tensor:
        """What the student says of rows, in eval mode: (N, K)."""
        self.student.eval()
        device = next(self.student.parameters()).device
        chunks = rows.target.split(self.student.input_spec.rows_a_pass)
        return torch.cat([self.student(chunk.to(device)).softmax(-1).cpu() for chunk in chunks])


METHODS: Registry[type[TransferMethod]] = Registry("method", home="hatlit.methods", group="hatlit.methods")


def register_method(name: str | None = None) -> Any:
    """Returns a decorator that names a method class."""
    return METHODS.register(name)


def label_losses(logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each row of logits (B, K), and the mask (B,) of the labelled rows it counts for."""
    return F.cross_entropy(logits, label, ignore_index=UNLABELLED, reduction="none"), label != UNLABELLED


def mean_over_rows(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of the masked values (B,) over all processes; zero, but part of the graph, where no row counts.

    Without a mask all rows count.

    Every process divides by the global count, and by its own share of the gradient averaging that DDP does, so that the
    averaged gradient is the one a single process would have computed.
    """
    if mask is None and _world_size() == 1:
        return values.mean()
    mask = torch.ones_like(values, dtype=torch.bool) if mask is None else mask
    count = sum_over_processes(mask.sum())
    return torch.where(mask, values, torch.zeros_like(values)).sum() * _world_size() / count.clamp_min(1)


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum of what each process has, the same to the last bit in all of them; no gradient passes through."""
    if _world_size() == 1:
        return values
    total = values.detach().clone()
    torch.distributed.all_reduce(total)
    return total


def _world_size() -> int:
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
