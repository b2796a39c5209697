"""What does stacking the students of many targets save? Times the layers of a student, one by one and stacked.

    python benchmarks/stacking.py

`batched.py` times whole passes; this says where what it finds comes from. Each layer is timed alone, forward and
backward, on what reaches it in the student, with gradients of the input as well, so layers may add up to more than all.
Processor time, of one target.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from hatlit.config import Names, names
from hatlit.config.checks import at_least
from hatlit.datamodules.imu import augment
from hatlit.encoders.base import InputSpec, build_classifier
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.files import refuse_unwritable
from hatlit.options import parse
from measured import keep_figures

RESULTS = Path(__file__).parent / "results"

VIEW = InputSpec(modality="imu", channels=tuple("abcdef"), shape=(128,), rate=50.0)
BATCH, CLASSES = 32, 8

#: Kinds of layers that are timed together.
KINDS: dict[str, tuple[type[nn.Module], ...]] = {
    "convolutions": (nn.Conv1d,),
    "group norm and GELU": (nn.GroupNorm, nn.GELU),
}


@dataclass
class StackingConfig:
    """Times the layers of students, one target at a time and stacked.

    Args:
        students: architectures without batch norm and recurrence.
        targets: how many are stacked.
        repeats: how often everything is timed, in turns.
        threads: of torch.
        out: JSON file for the figures.
    """

    students: Names = "cnn_nano,tcn_nano,transformer_nano"
    targets: int = 32
    repeats: int = 5
    threads: int = 1
    out: str = str(RESULTS / "stacking.json")

    def __post_init__(self) -> None:
        self.students = names(self.students)
        at_least("", self, targets=1, repeats=1, threads=1)


def milliseconds(work: Callable[[], Any], targets: int) -> float:
    """Processor time of one target."""
    began = time.process_time()
    work()
    return 1000 * (time.process_time() - began) / targets


#: Forward and backward one by one, the same stacked, and the stacked parameters.
Ways = tuple[Callable[[], None], Callable[[], None], dict[str, Tensor]]


def ways(modules: list[nn.Module], views: list[Tensor]) -> Ways:
    """Forward and backward of modules of one form over their own inputs, one by one and stacked."""

    def one_by_one() -> None:
        for module, view in zip(modules, views, strict=True):
            module(view).sum().backward()

    parameters, buffers = stack_module_state(modules)
    all_views = torch.stack([view.detach() for view in views])
    all_views.requires_grad_(views[0].requires_grad)

    def together() -> None:
        def answer(own: dict[str, Tensor], its: dict[str, Tensor], view: Tensor) -> Tensor:
            return functional_call(modules[0], (own, its), (view,))

        vmap(answer)(parameters, buffers, all_views).sum().backward()

    return one_by_one, together, parameters


def inputs_of(model: nn.Module, view: Tensor) -> dict[str, Tensor]:
    """By name, what reaches each layer that is timed."""
    found: dict[str, Tensor] = {}

    def note(name: str) -> Callable[..., None]:
        return lambda _, given, __: found.__setitem__(name, given[0].detach().requires_grad_())

    kinds = tuple(kind for several in KINDS.values() for kind in several)
    hooks = [one.register_forward_hook(note(name)) for name, one in model.named_modules() if isinstance(one, kinds)]
    model(view)
    for hook in hooks:
        hook.remove()
    return found


def works_of(student: str, targets: int) -> dict[str, list[Ways]]:
    """What is timed of one student, either way: all of it, and its layers by kind.

    Raises:
        InputError: the student cannot be stacked.
    """
    torch.manual_seed(0)
    models: list[nn.Module] = [build_classifier(student, VIEW, CLASSES).train() for _ in range(targets)]
    if any(isinstance(module, nn.RNNBase) for module in models[0].modules()):
        raise InputError(f"The student '{student}' is recurrent, which torch cannot stack; take another.")
    views = [torch.randn(BATCH, VIEW.num_channels, *VIEW.shape) for _ in range(targets)]
    works = {"forward and backward": [ways(models, views)]}
    reach = [inputs_of(model, view) for model, view in zip(models, views, strict=True)]
    for called, kinds in KINDS.items():
        several = [name for name in reach[0] if isinstance(models[0].get_submodule(name), kinds)]
        works[called] = [
            ways([model.get_submodule(name) for model in models], [one[name] for one in reach]) for name in several
        ]
    return {called: several for called, several in works.items() if several}


def rows_of(student: str, config: StackingConfig) -> list[dict[str, Any]]:
    """A row for each kind of layer: milliseconds of a target, either way."""
    rows = []
    for called, several in works_of(student, config.targets).items():
        taken: tuple[list[float], list[float]] = ([], [])
        for repeat in range(1 + config.repeats):
            for way in range(2):
                spent = sum(milliseconds(pair[1] if way else pair[0], config.targets) for pair in several)
                if repeat:  # the first warms up
                    taken[way].append(spent)
        alone, stacked = map(median, taken)
        rows.append({"student": student, "part": called, "one by one": alone, "stacked": stacked})
    return rows


def augmentation(config: StackingConfig) -> dict[str, Any]:
    """The row of augmentation, which each target draws for itself either way."""
    views = torch.randn(BATCH, VIEW.num_channels, *VIEW.shape)
    generator = torch.Generator().manual_seed(0)
    taken = [milliseconds(lambda: augment(views, VIEW, generator), 1) for _ in range(20 * config.repeats)]
    return {"student": "any", "part": "augmentation", "one by one": median(taken), "stacked": median(taken)}


def main(words: list[str]) -> int:
    """Prints the figures and writes them."""
    display = Display()
    try:
        config = parse(StackingConfig, "stacking", "What does stacking students save?", words)
        refuse_unwritable(Path(config.out).parent)
        torch.set_num_threads(config.threads)
        rows = [row for student in config.students for row in rows_of(student, config)]
    except InputError as error:
        print(f"stacking: {error}", file=sys.stderr)
        return 2
    rows.append(augmentation(config))
    shown = [
        {name: f"{value:.2f}" if isinstance(value, float) else value for name, value in row.items()} for row in rows
    ]
    display.table(f"milliseconds of processor time a target, {config.targets} targets", shown)
    figures = {
        "rows": rows,
        "targets": config.targets,
        "repeats": config.repeats,
        "threads": config.threads,
    }
    keep_figures(config.out, figures, display)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
