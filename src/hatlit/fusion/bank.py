"""The bank of frozen sources: constants, so their outputs are computed once."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hatlit.config import CacheConfig
from hatlit.datamodules.base import build_view
from hatlit.encoders.base import ROWS_A_PASS, Classifier, InputSpec, are_sound
from hatlit.errors import InputError
from hatlit.fusion.adapt import freeze, pull_to_start
from hatlit.fusion.cache import cached_outputs, output_key
from hatlit.fusion.projection import narrowed
from hatlit.fusion.silence import be_silent
from hatlit.selection.labels import UNKNOWN, align, to_target_classes

logger = logging.getLogger(__name__)

#: A feature that varies less than this over the training rows is left near zero instead of being blown up.
SMALLEST_STD = 1e-4


class SourceOutputs(NamedTuple):
    """What the sources say about some rows.

    Attributes:
        features: one (B, feature_dim_i) a source, standardised over the training rows; narrower where the bank says so.
        probabilities: (B, N, K) over the target's classes, also those that a source does not know (``be_silent``); rows
            sum to at most one.
    """

    features: list[Tensor]
    probabilities: Tensor

    @property
    def known_mass(self) -> Tensor:
        """(B, N) what each source gives to the target's classes."""
        return self.probabilities.sum(-1)


class SourceBank(nn.Module):
    """Holds the selected sources, frozen, and their outputs on the training rows.

    The sources are no submodules: nothing can put them in training mode, and neither checkpoints nor optimizers contain
    them. With ``train_heads`` the bank owns copies of their heads that learn (partial freezing); encoders stay
    constant, and so do the features. The target's own experts come after the sources; they see what the student sees.

    Args:
        sources: what to ask.
        names: ids of the sources, and names of the experts, for logs and reports.
        source_classes: class names of each source.
        target_classes: the K class names of the target.
        samples: (rows, channels, *shape) the training rows as recorded.
        recorded: how they are laid out.
        rows_fingerprint: a hash of the rows, for the cache.
        train_heads: whether copies of the heads learn.
        experts: models of the target itself, with its K classes; asked like sources.
        views: (rows, channels, *shape) the training rows as the experts see them; needed where there are experts.
        cache: how the outputs are kept; as the options are when nobody changes them, where it is not given.
        width: features that are wider are kept as so many random projections of them; 0 keeps all as they are, and so
            do heads that learn, which read them.

    Attributes:
        left_out: names of those whose answers on some row are not finite or far too large; they are not asked.

    Raises:
        InputError: a source shares no class name with the target, or cannot see the recording, or every source answers
            with numbers that are not finite or far too large.
    """

    def __init__(
        self,
        sources: Sequence[Classifier],
        names: Sequence[str],
        source_classes: Sequence[Sequence[str]],
        target_classes: Sequence[str],
        samples: Tensor,
        recorded: InputSpec,
        rows_fingerprint: str,
        train_heads: bool = False,
        experts: Sequence[Classifier] = (),
        views: Tensor | None = None,
        cache: CacheConfig | None = None,
        width: int = 0,
    ) -> None:
        super().__init__()
        self._width = 0 if train_heads else width
        self._sources = tuple(freeze(source) for source in sources)
        self._experts = tuple(freeze(expert) for expert in experts)
        self._recorded = recorded
        known_classes = [*source_classes, *[target_classes] * len(experts)]
        columns = [align(classes, target_classes) for classes in known_classes]
        cache = cache or CacheConfig()
        dtype, limit = getattr(torch, cache.dtype), cache.map_above_bytes

        def compute(places: list[int]) -> list[dict[str, Tensor]]:
            outputs = run([self._sources[place] for place in places], samples, recorded)
            return [_kept_of(one, self._width, dtype) for one in outputs]

        keys = [
            output_key(source, recorded, rows_fingerprint, self._form_of(source, cache)) for source in self._sources
        ]
        entries = cached_outputs(keys, compute, map_above=limit)
        of_experts = self._ask_experts(views)
        entries += [_kept_of(one, self._width, dtype) for one in of_experts]
        sound = [number for number, entry in enumerate(entries) if _is_sound(entry)]
        self.left_out = self._leave_out([names[number] for number in range(len(entries)) if number not in sound], names)
        self._sources = tuple(self._sources[number] for number in sound if number < len(sources))
        self._experts = tuple(self._experts[number - len(sources)] for number in sound if number >= len(sources))
        entries = [entries[number] for number in sound]
        self.names = tuple(names[number] for number in sound)
        self.columns = tuple(columns[number] for number in sound)
        self.feature_dims = tuple(entry["features"].shape[-1] for entry in entries)
        self.heads = nn.ModuleList(copy.deepcopy(member.head) for member in self.members) if train_heads else None
        if self.heads is not None:
            self.heads.requires_grad_(True)
        for number, entry in enumerate(entries):
            self._keep("mean", number, entry["mean"])
            self._keep("std", number, entry["std"])
        self._keep_features([entry["features"] for entry in entries], limit)
        self.register_buffer("probabilities", self._aligned([one["logits"] for one in entries]), persistent=False)

    def __len__(self) -> int:
        return len(self.members)

    @property
    def members(self) -> tuple[Classifier, ...]:
        """All that are asked: the sources, then the target's own experts."""
        return self._sources + self._experts

    @property
    def sources(self) -> tuple[Classifier, ...]:
        """The frozen sources themselves."""
        return self._sources

    def forward(self, rows: Tensor) -> SourceOutputs:
        """Looks up the outputs on training rows (B,)."""
        features = self._features(rows)
        if self.heads is None:
            return SourceOutputs(features, self.get_buffer("probabilities")[rows])
        return SourceOutputs(features, self._aligned(self._answers_of_heads(features)))

    @torch.no_grad()
    def predictions(self, rows: Tensor) -> Tensor:
        """The probabilities (B, N, K) on training rows (B,), of which there may be many: no features are looked up.

        Heads that learn need them, and get them for a portion of the rows at a time.
        """
        if self.heads is None:
            return self.get_buffer("probabilities")[rows]
        return torch.cat([self(portion).probabilities for portion in rows.split(ROWS_A_PASS)])

    def ask(self, samples: Tensor, views: Tensor | None = None) -> SourceOutputs:
        """Runs the sources on other recorded samples, such as the test part, and the experts on their views of them.

        One whose answer to a sample is not finite or far too large abstains there.

        Args:
            samples: (B, channels, *shape) as recorded.
            views: (B, channels, *shape) the same as the experts see them; needed where there are experts.
        """
        device = self.get_buffer("probabilities").device
        runs = run(self._sources, samples, self._recorded) + self._ask_experts(views)
        sound = torch.stack([are_sound(one["features"], one["logits"]) for one in runs], 1)
        sound = sound.to(device)
        features = [
            self._standardise(one["features"].to(device), number).where(sound[:, number, None], 0.0)
            for number, one in enumerate(runs)
        ]
        logits = [one["logits"].to(device) for one in runs] if self.heads is None else self._answers_of_heads(features)
        return SourceOutputs(features, self._aligned(logits).where(sound[:, :, None], 0.0))

    def distance_to_start(self) -> Tensor:
        """Squared distance of the learning heads to where they started (L2-SP); zero where none learns."""
        if self.heads is None:
            return torch.zeros((), device=self.get_buffer("probabilities").device)
        now = list(self.heads.parameters())
        start = [value.to(now[0].device) for member in self.members for value in member.head.parameters()]
        return pull_to_start(now, start)

    def _form_of(self, source: Classifier, cache: CacheConfig) -> str:
        narrow = f", {self._width} wide" if 0 < self._width < source.feature_dim else ""
        return f"standardised, {cache.dtype}{narrow}"

    def _leave_out(self, broken: list[str], names: Sequence[str]) -> tuple[str, ...]:
        if len(set(names[: len(self._sources)]) - set(broken)) == 0:
            raise InputError(
                "Every source answers with numbers that are not finite, or far too large, on some sample of the "
                "target; use other sources."
            )
        for name in broken:
            logger.warning(
                "Left out: source '%s' answers with numbers that are not finite, or far too large, on some sample.",
                name,
            )
        return tuple(broken)

    def _ask_experts(self, views: Tensor | None) -> list[dict[str, Tensor]]:
        if not self._experts:
            return []
        assert views is not None, "experts need the views that the student sees"
        return run_on_views(self._experts, views)

    def _answers_of_heads(self, features: list[Tensor]) -> list[Tensor]:
        assert self.heads is not None
        return [
            head(z * self._kept("std", number) + self._kept("mean", number))
            for number, (head, z) in enumerate(zip(self.heads, features, strict=True))
        ]

    def _aligned(self, logits: list[Tensor]) -> Tensor:
        answers = [
            to_target_classes(one.softmax(-1), columns) for one, columns in zip(logits, self.columns, strict=True)
        ]
        known = torch.tensor([[column != UNKNOWN for column in columns] for columns in self.columns])
        return be_silent(torch.stack(answers, dim=1), known.to(answers[0].device))

    def _standardise(self, features: Tensor, number: int) -> Tensor:
        return narrowed((features - self._kept("mean", number)) / self._kept("std", number), self._width)

    def _keep_features(self, features: list[Tensor], limit: int) -> None:
        """Keeps what is to be looked up: large ones, one a source, on disk, and all others side by side in memory."""
        # No buffers, so that they stay on disk wherever the others move.
        self._mapped = {number: one for number, one in enumerate(features) if one.nbytes > limit}
        held = [one for number, one in enumerate(features) if number not in self._mapped]
        self._held_dims = [one.shape[-1] for one in held]
        self.register_buffer("features", torch.cat([features[0][:, :0], *held], dim=-1), persistent=False)

    def _features(self, rows: Tensor) -> list[Tensor]:
        """One (B, feature_dim_i) a source: those in memory are looked up all at once, those on disk one by one."""
        held = iter(self.get_buffer("features").index_select(0, rows).split(self._held_dims, dim=-1))
        found = [self._read(number, rows) if number in self._mapped else next(held) for number in range(len(self))]
        probabilities = self.get_buffer("probabilities")
        return [features.to(probabilities) for features in found]  # where and as what all else is

    def _read(self, number: int, rows: Tensor) -> Tensor:
        return self._mapped[number][rows.cpu()]

    def _keep(self, kind: str, number: int, tensor: Tensor) -> None:
        self.register_buffer(f"{kind}_{number}", tensor, persistent=False)

    def _kept(self, kind: str, number: int) -> Tensor:
        return self.get_buffer(f"{kind}_{number}")


def _is_sound(outputs: dict[str, Tensor]) -> bool:
    finite = outputs["mean"].isfinite().all() and outputs["std"].isfinite().all()
    portions = zip(outputs["features"].split(ROWS_A_PASS), outputs["logits"].split(ROWS_A_PASS), strict=True)
    return bool(finite and all(are_sound(features, logits).all() for features, logits in portions))


def _kept_of(outputs: dict[str, Tensor], width: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """What is kept of a source's outputs; features (rows, feature_dim) get mean 0 and variance 1, kept as well."""
    features = outputs["features"]
    mean, std = features.mean(0), features.std(0, correction=0).clamp_min(SMALLEST_STD)
    kept = narrowed((features - mean) / std, width)
    return {"features": kept.to(dtype), "mean": mean, "std": std, "logits": outputs["logits"]}


@torch.no_grad()
def run(sources: Sequence[Classifier], samples: Tensor, recorded: InputSpec) -> list[dict[str, Tensor]]:
    """Runs sources on recorded samples (B, channels, *shape); those that want the same view share it.

    Returns:
        ``features`` (B, feature_dim_i) and ``logits`` (B, classes_i) of each source, float32.
    """
    rows = min((source.input_spec.rows_a_pass for source in sources), default=ROWS_A_PASS)
    parts = [_run_chunk(sources, chunk, recorded) for chunk in samples.split(rows)]
    return [_joined([part[number] for part in parts]) for number in range(len(sources))]


@torch.no_grad()
def run_on_views(models: Sequence[Classifier], views: Tensor) -> list[dict[str, Tensor]]:
    """Runs models on views (B, channels, *shape) that all of them share; returns what ``run`` does."""
    return [_joined([_answer(model, chunk) for chunk in views.split(ROWS_A_PASS)]) for model in models]


def _run_chunk(sources: Sequence[Classifier], samples: Tensor, recorded: InputSpec) -> list[dict[str, Tensor]]:
    views: dict[InputSpec, Tensor] = {}
    answers = []
    for source in sources:
        if source.input_spec not in views:
            views[source.input_spec] = build_view(samples, recorded, source.input_spec)
        answers.append(_answer(source, views[source.input_spec]))
    return answers


def _answer(model: Classifier, view: Tensor) -> dict[str, Tensor]:
    features, logits = model.both(view.to(next(model.parameters()).device))
    return {"features": features, "logits": logits}


def _joined(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]).float() for name in ("features", "logits")}
