"""Many targets at once: students of one form take each step together.

A small student's step is mostly overhead: Python, Lightning, the start of each operator. Students of one architecture
can share it. Their weights are stacked, ``torch.func.vmap`` runs all of them over their own batches, and one optimizer
moves all. Nothing passes from one target to another: order of rows, augmentation, gate and dictionary are each target's
own, so the results are those of one run after the other, but for rounding (sums are taken in another order).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_flatten, tree_map

from hatlit.config import TrainerConfig
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.errors import InputError
from hatlit.experiments.fitting import make_trainer, planned_epochs
from hatlit.methods.base import StudentMethod
from hatlit.types import Batch


def fit_together(
    methods: Sequence[StudentMethod], data: Sequence[TargetDataModule], config: TrainerConfig, seed: int
) -> None:
    """Trains one method on many targets, as ``fit`` would one after the other, but without logs and checkpoints.

    Targets share steps where everything about them has the same shape: classes, sources and widths of their features,
    batches of an epoch. Those that differ are trained in groups.

    Args:
        methods: one a target, built by ``build``; the same class with the same options.
        data: the batches of each target.
        config: epochs; hardware other than one CPU process is not asked for.
        seed: of dropout; the order of rows and augmentation come from ``data``.

    Raises:
        InputError: the method cannot be trained that way.
    """
    for method in methods:
        _refuse_what_cannot_be_stacked(method)
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, (method, one) in enumerate(zip(methods, data, strict=True)):
        groups[_form(method, one)].append(number)
    for numbers in groups.values():
        torch.manual_seed(seed)
        _fit_group([methods[number] for number in numbers], [data[number] for number in numbers], config)


class _Cost(nn.Module):
    """What a method's rows cost, as the forward pass of a module, for ``functional_call``."""

    def __init__(self, method: StudentMethod) -> None:
        super().__init__()
        self.method = method

    def forward(self, seen: Any) -> Tensor:
        return torch.stack(list(self.method.cost(seen).values())).sum()


class _Stack:
    """The trained parameters of several methods of one form, stacked; each method's own are views of the stack.

    Attributes:
        parts: by part of the method, its stacked parameters, each (methods, *shape).
    """

    def __init__(self, methods: Sequence[StudentMethod]) -> None:
        self._costs = [_Cost(method) for method in methods]
        own = [dict(cost.named_parameters()) for cost in self._costs]
        name_of = {id(parameter): name for name, parameter in own[0].items()}
        names = {
            part: [name_of[id(one)] for one in parameters] for part, parameters in methods[0].trained_parts().items()
        }
        self._stacked = {
            name: torch.stack([each[name].detach() for each in own]).requires_grad_()
            for several in names.values()
            for name in several
        }
        for name, stacked in self._stacked.items():
            for each, rows in zip(own, stacked.detach().unbind(), strict=True):
                each[name].data = rows
        self._own = own
        self.parts = {part: [self._stacked[name] for name in several] for part, several in names.items()}

    def take_apart(self) -> None:
        """Gives each method parameters of its own, so that one may be kept without the others."""
        for parameters in self._own:
            for name in self._stacked:
                parameters[name].data = parameters[name].detach().clone()

    def looks_no_further(self, seen: Sequence[Any]) -> bool:
        """Whether the losses depend on nothing but trained parameters and what each method has looked up.

        All else is the first method's while the stack learns; so it must make no difference whose it is.
        """
        for cost, own, its in zip(self._costs, self._own, seen, strict=True):
            shared = functional_call(self._costs[0], {name: own[name] for name in self._stacked}, (its,))
            if not torch.allclose(cost(its), shared, rtol=1e-6, atol=1e-6, equal_nan=True):
                return False
        return True

    def costs(self, seen: Sequence[Any]) -> Tensor:
        """The sum of the losses of each method (methods,), from what each has looked up."""

        def one(parameters: dict[str, Tensor], its: Any) -> Tensor:
            return functional_call(self._costs[0], parameters, (its,))

        stacked = tree_map(lambda *several: torch.stack(several), *seen)
        return vmap(one, randomness="different")(self._stacked, stacked)


def _fit_group(methods: Sequence[StudentMethod], data: Sequence[TargetDataModule], config: TrainerConfig) -> None:
    stack, epochs = _Stack(methods), planned_epochs(data[0], config)
    optimizers = [methods[0].optimizer_of(part, parameters) for part, parameters in stack.parts.items()]
    steps = epochs * data[0].steps_per_epoch
    schedulers = [schedule for one in optimizers for schedule in methods[0].schedules_of(one, steps)]
    with _as_if_in_a_trainer(methods, config):
        _refuse_what_looks_further(methods, stack, _look_up(methods, next(_batches(data, 0))))
        for epoch in range(epochs):
            for batches in _batches(data, epoch):
                stack.costs(_look_up(methods, batches)).sum().backward()
                for one in [*optimizers, *schedulers]:
                    one.step()
                for optimizer in optimizers:
                    optimizer.zero_grad()
                for method, batch in zip(methods, batches, strict=True):
                    method.after_batch(batch)
            for method in methods:
                method.after_epoch()
    stack.take_apart()


def _look_up(methods: Sequence[StudentMethod], batches: Sequence[Batch]) -> list[Any]:
    return [method.look_up(batch) for method, batch in zip(methods, batches, strict=True)]


def _batches(data: Sequence[TargetDataModule], epoch: int) -> Iterator[tuple[Batch, ...]]:
    """The batches of one pass, of all targets at a time."""
    loaders = [one.train_dataloader() for one in data]
    for loader in loaders:
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined] # what Lightning does
    return zip(*loaders, strict=True)


@contextmanager
def _as_if_in_a_trainer(methods: Sequence[StudentMethod], config: TrainerConfig) -> Iterator[None]:
    """Methods ask their trainer which process they are in; here all of them have the same one."""
    trainer = make_trainer(config, [], [])
    for method in methods:
        method.train()
        method.trainer = trainer
    try:
        yield
    finally:
        for method in methods:
            method.trainer = None


def _form(method: StudentMethod, data: TargetDataModule) -> Hashable:
    """What must be equal for two methods to be stacked: shapes of what is trained and of what is looked up."""
    loader = data.train_dataloader()
    leaves, nest = tree_flatten(method.look_up(next(iter(loader))))
    if any(leaf.requires_grad for leaf in leaves):
        raise InputError("Targets that are trained together have sources that stay as they are: no head may learn.")
    trained = tuple(tuple(one.shape) for several in method.trained_parts().values() for one in several)
    return trained, tuple((tuple(leaf.shape), leaf.dtype) for leaf in leaves), str(nest), len(loader)


def _refuse_what_cannot_be_stacked(method: StudentMethod) -> None:
    name, optimizer = type(method).__name__, method.optimizer_config
    if type(method).losses is not StudentMethod.losses:
        raise InputError(f"{name} cannot train many targets together: its losses are not a matter of `cost` alone.")
    if optimizer.clip_norm or optimizer.accumulate > 1:
        raise InputError(
            "Targets that are trained together neither clip nor accumulate gradients; leave --optimizer.clip_norm and "
            "--optimizer.accumulate as they are."
        )
    if any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in method.modules()):
        raise InputError(f"The student of {name} has batch norm, whose statistics cannot be stacked; take another.")
    if any(isinstance(one, nn.RNNBase) for one in method.modules()):
        raise InputError(f"The student of {name} is recurrent, which torch cannot stack; take another.")


@torch.no_grad()
def _refuse_what_looks_further(methods: Sequence[StudentMethod], stack: _Stack, seen: Sequence[Any]) -> None:
    for method in methods:
        method.eval()  # dropout would differ
    if not stack.looks_no_further(seen):
        raise InputError(
            f"{type(methods[0]).__name__} cannot train many targets together: what its rows cost depends on more of a "
            "target than `look_up` returns."
        )
    for method in methods:
        method.train()
