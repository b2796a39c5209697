"""Opens what predicts: a run folder, a saved student, or a file exported of one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hatlit.errors import InputError
from hatlit.export.artifact import Artifact
from hatlit.export.deployed import Deployed
from hatlit.export.onnx import OnnxModel
from hatlit.export.predict import Predictor
from hatlit.export.student import Student
from hatlit.export.write import answer
from hatlit.zoo.weights import build_as_told, check_tensors, parse_tensors


def load(path: str | Path) -> Predictor:
    """Makes a student ready to predict.

    Args:
        path: a run folder, a saved student, or a file exported as onnx or safetensors, with the JSON beside it.

    Returns:
        A ``Student`` where ``path`` is a folder, which says more of itself; else a ``Predictor``.

    Raises:
        InputError: nothing that predicts lies there, it is damaged, or a library is missing.
    """
    path = Path(path)
    if path.is_dir():
        return Student(path)
    if not path.is_file():
        raise InputError(f"There is no '{path}'; give a run folder or an exported file.")
    described = Artifact.read(path)
    if described.format == "torch_export":
        raise InputError(
            f"'{path}' is an archive of torch.export, which may hold pickles, so hatlit does not open it; "
            "torch.export.load does, or predict from an onnx file."
        )
    if described.format == "safetensors":
        deployed = _from_weights(path, described)
        return Predictor(described.class_names, described.recording, deployed.input_form, partial(answer, deployed))
    form = described.recording.spec if described.input_name == "samples" else described.view
    batch, *_ = described.input_shape
    answers = OnnxModel(path.read_bytes())
    return Predictor(described.class_names, described.recording, form, answers, batch or None)


def _from_weights(path: Path, described: Artifact) -> Deployed:
    subject = f"The weights in '{path}'"
    tensors = parse_tensors(path.read_bytes(), subject)
    told_by = f"'{Artifact.path_of(path)}'"
    classes, size = len(described.class_names), described.size_bytes
    student = build_as_told(described.encoder, described.view, classes, size, told_by)
    check_tensors(tensors, student.state_dict(), described.encoder, subject)
    student.load_state_dict(tensors)
    return Deployed(student, described.recording.spec)
