"""HaT: select, mix sample by sample, keep the best knowledge, distil it (arXiv 2412.04060)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from hatlit.config import HaTConfig, MixerConfig, OptimizerConfig
from hatlit.datamodules.target.data import Blends, TargetRows, some_of
from hatlit.encoders.base import Classifier
from hatlit.errors import InputError
from hatlit.fusion.bank import SourceBank, SourceOutputs
from hatlit.fusion.cache import weights_hash
from hatlit.fusion.consensus import Consensus, find_consensus
from hatlit.fusion.experts import voices_of_experts
from hatlit.fusion.mixer import (
    CrossAttentionMixer,
    conditional,
    divergence_from_prior,
    fuse,
    log_prior,
    mixer_loss,
)
from hatlit.injection.dictionary import KnowledgeDictionary, sharpen
from hatlit.injection.losses.base import INJECTION_LOSSES
from hatlit.injection.losses.distillation import distillation
from hatlit.injection.losses.hint import FeatureHint
from hatlit.injection.schedule import SCHEDULES
from hatlit.methods.base import (
    StudentMethod,
    TransferTask,
    label_losses,
    mean_over_rows,
    register_method,
    sum_over_processes,
)
from hatlit.methods.teachers import frozen_bank, own_experts, voices_of_sources
from hatlit.selection.labels import UNKNOWN
from hatlit.stopwatch import part
from hatlit.types import UNLABELLED, Batch

#: A source this far from chance, and no further, is suspicious; 1 is one that agrees with the others everywhere.
NEAR_CHANCE = 0.15

#: Rows that the mixer is measured on where none is labelled.
ROWS_MEASURED = 1024

#: Blends of all rows together; where there are more rows than this, they teach the student enough by themselves.
MOST_BLENDS = 16384


class Seen(NamedTuple):
    """One batch, before student and mixer have looked at it.

    Attributes:
        view: (B, channels, *shape) as the student sees it.
        outputs: what the sources say.
        log_prior: (B, N) what speaks for each of them before attention does.
        known: (B, K) what the dictionary holds.
        is_known: (B,) whether the student learns from that; of other rows it learns from the mixer as it is.
        alpha: () how much of the loss comes from there.
        label: (B,) class numbers, ``UNLABELLED`` where the class is not known.
    """

    view: Tensor
    outputs: SourceOutputs
    log_prior: Tensor
    known: Tensor
    is_known: Tensor
    alpha: Tensor
    label: Tensor


@register_method("hat")
class HaT(StudentMethod):
    """Trains a mixer over frozen sources and a student on what it fuses, in one loop.

    Args:
        student: untrained, with K outputs.
        bank: the frozen sources, and the target's own experts, with their outputs on ``rows``.
        rows: the target's training rows as the student sees them.
        config: the options of HaT.
        optimizer: how the student learns.
        voices: by id, how much the word of a source counts in the consensus, from 0 to 1; 1 where it is not given.

    Attributes:
        origins: by id, a hash of each source as it was selected; a checkpoint holds these in place of the weights.

    Raises:
        InputError: the options name a schedule or a loss that nobody registered.
    """

    needs_labels: ClassVar[bool] = False
    unread_options = ()

    alpha: Tensor
    _log_priors: Tensor
    _views: Tensor
    _labels: Tensor
    _labelled: Tensor

    def __init__(
        self,
        student: Classifier,
        bank: SourceBank,
        rows: TargetRows,
        config: HaTConfig,
        optimizer: OptimizerConfig,
        voices: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(student, optimizer)
        num_classes = student.head.out_features
        self.config = config
        self.bank = bank
        self.origins: dict[str, str] = {}
        self.mixer = _new_mixer(student, bank, config.mixer)
        recorded = slice(rows.num_recorded)  # behind those stand blends, which are in no dictionary
        self.dictionary = KnowledgeDictionary(rows.num_recorded, num_classes, config.dictionary)
        of_sources = bank.feature_dims[: len(bank.sources)]
        self.hint = FeatureHint(student.feature_dim, of_sources) if config.injection.hint_weight else None
        self._alpha_of = SCHEDULES.get(config.injection.schedule)
        self._injection_loss = INJECTION_LOSSES.get(config.injection.loss)
        self.register_buffer("alpha", torch.tensor(0.0))
        said = bank.predictions(torch.arange(len(rows)))
        self.consensus = self._agree(said[recorded], rows.label[recorded], voices or {})
        self.register_buffer("_log_priors", self.log_prior(said), persistent=False)
        self.register_buffer("_views", rows.target[recorded], persistent=False)
        self.register_buffer("_labels", rows.label[recorded], persistent=False)
        self.register_buffer("_labelled", rows.labelled, persistent=False)

    @classmethod
    def build(cls, task: TransferTask) -> Self:
        """Adapts the selected sources, freezes them, computes their outputs, and puts mixer and student beside them."""
        config = task.config.hat
        student = task.new_student()
        blends = blends_of(task)
        experts = own_experts(task, config.experts)
        bank = frozen_bank(task, config.mixer.train_heads, experts, blends, config.mixer.feature_width)
        rows = task.target.rows(student.input_spec, blends=blends)
        asks_voices = config.mixer.discount_sources and config.mixer.prior == "consensus"
        voices = voices_of_sources(task) if asks_voices else None
        with torch.random.fork_rng():
            torch.manual_seed(task.config.seed)
            method = cls(student, bank, rows, config, task.config.optimizer, voices)
        method.origins = {source.id: weights_hash(source.model) for source in task.sources}
        return method

    def rows(self, task: TransferTask) -> TargetRows:
        """The training rows, and their blends behind them."""
        return task.target.rows(self.view, blends=blends_of(task))

    def trained_parts(self) -> dict[str, Sequence[nn.Parameter]]:
        """The mixer with the sources' heads, as far as either learns, and the student with its hint."""
        mixer = [] if self.mixer is None else list(self.mixer.parameters())
        heads = [] if self.bank.heads is None else list(self.bank.heads.parameters())
        hint = [] if self.hint is None else list(self.hint.parameters())
        parts = {"mixer": [*mixer, *heads], "student": [*self.student.parameters(), *hint]}
        return {part: parameters for part, parameters in parts.items() if parameters}

    def optimizer_settings(self, part: str) -> dict[str, float]:
        """The mixer has a learning rate and weight decay of its own."""
        if part == "mixer":
            return {"lr": self.config.mixer.learning_rate, "weight_decay": self.config.mixer.weight_decay}
        return super().optimizer_settings(part)

    def look_up(self, batch: Batch) -> Seen:
        """Asks sources and dictionary about a batch; the dictionary knows no blends."""
        rows, recorded = batch.index, len(self._labels)
        known = self.dictionary(rows.clamp_max(recorded - 1))
        is_known = (rows < recorded) & (self.config.dictionary.when != "never")
        return Seen(batch.target, self.bank(rows), self._log_priors[rows], known, is_known, self.alpha, batch.label)

    def cost(self, seen: Seen) -> dict[str, Tensor]:
        """One pass of the student serves both: its features ask the mixer, its logits learn from what was fused."""
        features, logits = self.student.both(seen.view)
        query = features.detach() if self.config.mixer.detach_query else features
        weights, fused = self.mix(query, seen.outputs, seen.log_prior)
        student = self._student_loss(features, logits, fused, seen)
        if self.mixer is None and self.bank.heads is None:
            return {"student": student}
        return {"mixer": self._mixer_loss(weights, fused, seen.log_prior, seen.label), "student": student}

    def log_prior(self, probabilities: Tensor) -> Tensor:
        """Log weights (B, N) that sources have before attention: how much of what they say (B, N, K) is about the
        target's classes, times how far they agree."""
        known_mass = probabilities.sum(-1)
        if self.consensus is None:
            return log_prior(known_mass)
        return log_prior(known_mass * self.consensus.agreement(conditional(probabilities)))

    def mix(self, student_features: Tensor, outputs: SourceOutputs, log_prior: Tensor) -> tuple[Tensor, Tensor]:
        """Weights of the sources (B, N) and fused predictions (B, K).

        Args:
            student_features: (B, feature_dim)
            outputs: what the sources say.
            log_prior: (B, N) log weights before attention.
        """
        attend = self.mixer
        weights = attend(student_features, outputs.features, log_prior) if attend else log_prior.exp()
        return weights, fuse(weights, outputs.probabilities)

    def after_batch(self, batch: Batch) -> None:
        """Measures the mixer after each step, where the gate is asked that often."""
        if self.config.dictionary.when == "step":
            self._offer_knowledge()

    def after_epoch(self) -> dict[str, float]:
        """Measures the mixer, writes the dictionary where it got better, and logs how much each source counts."""
        accuracy, weights = self._offer_knowledge()
        attention = {f"attention/{name}": float(w) for name, w in zip(self.bank.names, weights, strict=True)}
        return {
            "mixer/accuracy": accuracy,
            "dictionary/writes": float(self.dictionary.writes),
            "dictionary/best": float(self.dictionary.best),
            "alpha": float(self.alpha),
            **attention,
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the hashes of the frozen sources in place of their weights."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["sources"] = self.origins

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses to go on with other sources than those the run began with.

        Raises:
            InputError: a source is missing, new or changed.
        """
        now, before = self.origins, checkpoint["sources"]
        differing = sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))
        if differing:
            raise InputError(
                f"The run began with other sources: {', '.join(differing)} differ; restore the zoo or start a new run."
            )
        super().on_load_checkpoint(checkpoint)

    @property
    def weighed(self) -> Sequence[str]:
        """The selected sources, then the target's own experts."""
        return self.bank.names

    def suspicious(self) -> dict[str, str]:
        """Sources that were left out, and those that agree with the consensus hardly more often than chance would."""
        found = dict.fromkeys(self.bank.left_out, "answers with numbers that are not finite or far too large")
        if self.consensus is None:
            return found
        probabilities = self.bank.predictions(torch.arange(len(self._labels), device=self._labels.device))
        known = torch.tensor([[column != UNKNOWN for column in columns] for columns in self.bank.columns])
        ahead = self.consensus.better_than_chance(conditional(probabilities), known.to(self._labels.device))
        for name, far in zip(self.bank.names[: len(self.bank.sources)], ahead.tolist(), strict=False):
            if far < NEAR_CHANCE:
                found[name] = f"agrees with the others hardly more often than chance ({far:.0%} of the way from there)"
        return found

    def explain(self, rows: TargetRows) -> tuple[Tensor, Tensor]:
        """What the mixer makes of given rows: fused predictions (N, K) and weights of the sources (N, N_p)."""
        outputs = self.bank.ask(rows.source, rows.target)
        weights, fused = self.fused(rows.target.to(self.device), outputs, self.log_prior(outputs.probabilities))
        return fused.cpu(), weights.cpu()

    @torch.no_grad()
    def fused(self, view: Tensor, outputs: SourceOutputs, log_prior: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (B, N) and fused predictions (B, K) outside training, for the student's views (B, ...)."""
        was_training = self.student.training
        self.student.eval()
        features = torch.cat(
            [self.student.features(chunk) for chunk in view.split(self.student.input_spec.rows_a_pass)]
        )
        self.student.train(was_training)
        return self.mix(features, outputs, log_prior)

    @part("consensus")
    def _agree(self, probabilities: Tensor, label: Tensor, voices: Mapping[str, float]) -> Consensus | None:
        if self.config.mixer.prior == "uniform":
            return None
        said = conditional(probabilities)
        num_sources = len(self.bank.sources)
        heard = said.new_tensor([voices.get(name, 1.0) for name in self.bank.names])
        if self.config.mixer.discount_experts:
            heard[num_sources:] = voices_of_experts(said, label, heard[:num_sources])
        return find_consensus(said, label, heard, self.config.mixer.discount_unsure)

    def _mixer_loss(self, weights: Tensor, fused: Tensor, log_prior: Tensor, label: Tensor) -> Tensor:
        labelled = label != UNLABELLED
        loss = mean_over_rows(mixer_loss(fused, label.clamp_min(0)), labelled)
        if self.config.mixer.prior_weight:
            loss = loss + self.config.mixer.prior_weight * mean_over_rows(divergence_from_prior(weights, log_prior))
        if self.bank.heads is not None:
            loss = loss + self.config.mixer.head_pull * self.bank.distance_to_start()
        return loss

    def _student_loss(self, features: Tensor, logits: Tensor, fused: Tensor, seen: Seen) -> Tensor:
        injection = self.config.injection
        knowledge = torch.where(seen.is_known.unsqueeze(1), seen.known, sharpen(fused.detach(), injection.sharpen))
        told = injection.weight * mean_over_rows(distillation(logits, knowledge, injection.temperature))
        loss = self._injection_loss(mean_over_rows(*label_losses(logits, seen.label)), told, seen.alpha)
        if self.hint is not None:
            missed = self.hint(features, seen.outputs.features[: len(self.bank.sources)])
            loss = loss + injection.hint_weight * mean_over_rows(missed)
        return loss

    def _offer_knowledge(self) -> tuple[float, Tensor]:
        """Measures the mixer on the labelled few; returns its accuracy and the mean weight (N,) of each source.

        Where nothing is labelled, the accuracy is what it would be if the mixer were right as often as it is sure.
        """
        few = self._labelled if len(self._labelled) else self._some_rows()
        weights, fused = self.fused(self._views[few], self.bank(few), self._log_priors[few])
        surest, said = fused.max(-1)
        right = (said == self._labels[few]).float() if len(self._labelled) else surest
        # Every process must open the gate or none, even where rounding differs between them.
        accuracy = self.trainer.strategy.broadcast(float(right.mean()))
        keeps = self.config.dictionary.when != "never"
        if keeps and not self.dictionary.accepts(accuracy):
            return accuracy, weights.mean(0)
        if keeps:
            fused = self._fused_everywhere()
            self.dictionary.write(accuracy, sharpen(fused, self.config.injection.sharpen))
        self.alpha.fill_(self._alpha_of(accuracy, fused.shape[-1]))
        return accuracy, weights.mean(0)

    def _some_rows(self) -> Tensor:
        """Numbers of up to ``ROWS_MEASURED`` training rows."""
        return some_of(torch.arange(len(self._labels)), ROWS_MEASURED).to(self._labels.device)

    def _fused_everywhere(self) -> Tensor:
        """Fused predictions (rows, K) on all training rows; several processes share the work and get the same."""
        rows, trainer = torch.arange(len(self._labels), device=self._labels.device), self.trainer
        share = -(-len(rows) // trainer.world_size)
        mine = rows[trainer.global_rank * share : (trainer.global_rank + 1) * share]
        # A portion at a time, so that features which stay on disk do not come into memory all at once.
        portions = mine.split(self.student.input_spec.rows_a_pass)
        fused = torch.cat(
            [self.fused(self._views[some], self.bank(some), self._log_priors[some])[1] for some in portions]
        )
        everywhere = fused.new_zeros(len(rows), fused.shape[-1])
        everywhere[mine] = fused
        return sum_over_processes(everywhere)


def blends_of(task: TransferTask) -> Blends:
    """The blends that HaT asks the sources about: as many of each row as the options say, but no more than fit."""
    fitting = MOST_BLENDS // len(task.target.train_labels)
    return Blends(min(task.config.hat.injection.blends, fitting), task.config.seed)


def _new_mixer(student: Classifier, bank: SourceBank, config: MixerConfig) -> CrossAttentionMixer | None:
    """The attention, or None where the weights stay at their prior and there is nothing to learn."""
    if config.weights == "prior":
        return None
    return CrossAttentionMixer(student.feature_dim, bank.feature_dims, config.dim, config.heads)
