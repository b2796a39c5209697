"""What ``hatlit zoo`` does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from hatlit.config import LabelsConfig, SourcesConfig, ZooAddConfig, ZooAddRunConfig, ZooBuildConfig
from hatlit.datamodules.base import DomainSet
from hatlit.datamodules.split import fit_view, labelled_rows, split_domain
from hatlit.encoders.base import Classifier, InputSpec, build_classifier
from hatlit.errors import InputError
from hatlit.experiments.display import Display, counted, human_bytes
from hatlit.experiments.fleet import build_zoo, publish, read_domains, source_id, zoo_info
from hatlit.export.artifact import Recording
from hatlit.students.device import device_view
from hatlit.zoo.card import Card, Provenance, Training, check_id, invalid
from hatlit.zoo.store import Zoo
from hatlit.zoo.train_source import examine
from hatlit.zoo.weights import parse_tensors

if TYPE_CHECKING:
    from hatlit.methods.base import SelectedSource, StudentMethod, TransferTask


def build(config: ZooBuildConfig, display: Display) -> Zoo:
    """Trains one source a domain; those that are there already are left alone.

    Raises:
        InputError: the data cannot be read, or another zoo lies there.
    """
    data = read_domains(config.modality, config.data, display)
    left_out = {data.domain(name).name for name in config.leave_out}
    domains = [domain for domain in data.domains if domain.name not in left_out]
    if data.is_demo:
        display.say("demo data: simulated, not recorded; use --data.name for a real data set")
    there = Zoo.open(config.out).ids() if Zoo.is_at(config.out) else []
    if there:
        number = counted(len(there), "source")
        display.say(f"{config.out} has {number} already; what is there stays as it is, however it was trained")
    progress = partial(display.track, doing="training sources")
    zoo = build_zoo(data, domains, config.out, config.sources, config.jobs, config.plugin, progress)
    display.say(f"{config.out} has {counted(len(zoo.ids()), 'source')}")
    return zoo


def list_sources(url: str, display: Display) -> None:
    """Shows the sources of a zoo, a row each."""
    table = Zoo.open(url).index().table
    columns: dict[str, Iterable[str]] = {
        "id": table.ids,
        "data": table.datasets,
        "encoder": table.encoders,
        "classes": [str(len(table.kinds[kind].class_names)) for kind in table.kind],
        "accuracy at home": map(_share, table.accuracies),
        "samples": map(str, table.num_samples),
        "round": map(str, table.rounds),
        "size": map(human_bytes, table.size_bytes),
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    display.table(f"{url}: {counted(len(rows), 'source')}", rows)


def show(url: str, name: str, display: Display) -> None:
    """Shows the card of one source as JSON, long lists of numbers shortened."""
    card = Zoo.open(url).card(name)
    brief = card.model_dump(mode="json", exclude={"statistics", "centroids"})
    brief["statistics"] = {name: f"{len(one.mean)} numbers" for name, one in card.statistics.items()}
    brief["centroids"] = f"{sum(one is not None for one in card.centroids)} of {card.feature_dim} numbers"
    display.json(brief)


def verify(url: str, display: Display) -> bool:
    """Checks every source against its card; returns whether all are sound."""
    faults = 0
    for name, fault in Zoo.open(url).verify():
        display.say(f"{name}: {fault or 'sound'}")
        faults += fault is not None
    display.say(f"{faults} of {len(Zoo.open(url).ids())} sources are broken")
    return faults == 0


def rebuild_index(url: str, display: Display) -> None:
    """Makes the index of a zoo anew from its cards, and names each card that is of no use."""
    index = Zoo.open(url).rebuild_index()
    for fault in index.faults.values():
        display.say(f"left out: {fault}")
    display.say(f"{url} has {counted(len(index.ids), 'source')} in its index")


def add(url: str, config: ZooAddConfig, display: Display) -> None:
    """Adds a model that was trained elsewhere; its card is worked out on the domain that it was trained on.

    Raises:
        InputError: the weights do not fit the encoder, are a pickle, or the domain cannot be read.
    """
    data = read_domains(config.modality, config.data, display)
    domain = data.domain(config.domain)
    split = split_domain(domain, LabelsConfig(), seed=0)
    rows = labelled_rows(domain, split)
    spec = _read_spec(config.input_spec) if config.input_spec else fit_view(domain, split.train)
    present = [domain.class_names[number] for number in np.unique(domain.labels[rows])]
    class_names = config.class_names or present
    model = read_model(Path(config.weights), config.encoder, spec, len(class_names))
    training = Training(max_epochs=0, seed=0, labels=len(rows))
    source = examine(model, config.encoder, class_names, domain, rows, split.test, training)
    zoo = Zoo.open(url, config.modality) if Zoo.is_at(url) else Zoo.create(url, zoo_info(data, SourcesConfig()))
    card = publish(zoo, config.id or source_id(domain), data.name, domain, source)
    display.say(
        f"added {card.id}: {card.encoder}, {human_bytes(card.size_bytes)}, accuracy at home {_share(card.accuracy)}"
    )


def add_run(url: str, run: str, config: ZooAddRunConfig, display: Display) -> None:
    """Adds the student of a finished run, with its card as the run wrote it.

    Raises:
        InputError: the folder holds no student, or the zoo is of another kind.
    """
    folder = Path(run) / "student"
    if not Zoo.is_at(folder):
        raise InputError(f"'{run}' is not the folder of a finished run: it has no student.")
    student = Zoo.open(folder)
    zoo = Zoo.open(url, student.info.modality) if Zoo.is_at(url) else Zoo.create(url, student.info)
    if zoo.info != student.info:
        raise InputError(
            f"The zoo '{url}' computes its statistics otherwise than run '{run}' did; add the weights in '{folder}' "
            "with --weights, --encoder and --domain, so that they are computed again."
        )
    (name,) = student.ids()
    card = zoo.copy(student, name, id=check_id(config.id or name))
    display.say(
        f"added {card.id}: a student of round {card.round}, taught by {', '.join(card.parents) or 'labels alone'}"
    )


def provenance_of(teachers: Sequence[Card | SelectedSource]) -> Provenance:
    """What a student's card says of where it comes from: it joins one round after the last of its teachers."""
    rounds = [source.round for source in teachers]
    return Provenance(round=1 + max(rounds, default=0), parents=tuple(source.id for source in teachers))


def save_student(
    folder: Path, data: DomainSet, task: TransferTask, method: StudentMethod, encoder: str, provenance: Provenance
) -> None:
    """Keeps the student of a trained method as a zoo of one source, ready to be copied into another.

    Beside it stands how its device records. ``data`` are the domains in the student's own modality. Its card's accuracy
    is that on the target's test part, if there is any, its centroids are those of the labelled few.
    """
    from hatlit.methods.base import METHODS  # loads Lightning, which reading a zoo does not need

    target = task.target
    labels = len(target.split.labelled)
    training = Training(max_epochs=method.current_epoch, seed=task.config.seed, labels=labels)
    student = method.student.cpu().eval()
    domain = target.recording(student.input_spec.modality)
    rows, noise = target.split.labelled, task.config.sources.card_noise
    source = examine(student, encoder, target.class_names, domain, rows, target.split.test, training, noise)
    zoo = Zoo.create(folder, zoo_info(data, task.config.sources))
    publish(zoo, source_id(domain), data.name, domain, source, provenance)
    # A source that is left in the place of a student needs all that was recorded.
    narrow = METHODS.get(task.config.method).leaves == "student"
    form = device_view(domain.recorded, task.config.device) if narrow else domain.recorded
    Recording.of(form, domain.samples.dtype).write(folder)


def read_model(path: Path, encoder: str, spec: InputSpec, num_classes: int) -> Classifier:
    """Builds a classifier and gives it the weights of a safetensors file.

    Raises:
        InputError: the file is missing, is no safetensors file, or holds other tensors than the classifier has.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"The weights '{path}' cannot be read: {error.strerror}.") from error
    try:
        tensors = parse_tensors(data, f"The weights '{path}'")
    except InputError as error:
        raise InputError(
            f"'{path}' is not a safetensors file ({error.__cause__}); pickles and torch checkpoints are never opened, "
            "convert them with safetensors.torch.save_file."
        ) from error
    model = build_classifier(encoder, spec, num_classes)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        fault = " ".join(str(error).split("\n\t")[1].split()) if "\n\t" in str(error) else str(error)
        raise InputError(f"The weights '{path}' do not fit encoder '{encoder}': {fault}") from error
    return model.eval()


def _share(accuracy: float | None) -> str:
    return "-" if accuracy is None else f"{accuracy:.3f}"


def _read_spec(path: str) -> InputSpec:
    try:
        return InputSpec.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"The input spec '{path}' cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise invalid(error, f"The input spec '{path}'") from error
