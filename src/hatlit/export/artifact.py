"""What lies beside an exported student: how it was recorded, what it sees, what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, ValidationError

from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.files import file_hash, read_bounded, write_atomically
from hatlit.zoo.card import Names, Strict, invalid


class Recording(Strict):
    """How the device of a student records samples.

    Attributes:
        spec: their layout; not normalised.
        numbers: whether they are whole numbers, as a sound card gives, or fractions.
    """

    spec: InputSpec
    numbers: Literal["integer", "float"]

    @classmethod
    def of(cls, spec: InputSpec, dtype: np.dtype) -> Recording:
        """Describes samples that have a layout and a number type."""
        return cls(spec=spec, numbers="integer" if dtype.kind in "iu" else "float")

    @classmethod
    def read(cls, folder: Path) -> Recording:
        """Reads the one that was kept with a student.

        Raises:
            InputError: there is none.
        """
        path = folder / "recording.json"
        try:
            return cls.model_validate_json(read_bounded(path))
        except OSError as error:
            raise InputError(f"'{path}' cannot be read; train the student again, which writes it.") from error
        except ValidationError as error:
            raise invalid(error, f"'{path}'") from error

    def write(self, folder: Path) -> None:
        """Keeps it with a student."""
        write_atomically(folder / "recording.json", self.model_dump_json(indent=2) + "\n")


class Measures(Strict):
    """A number of the exported student, and the same of the student that it was made of.

    Attributes:
        exported: of the file.
        student: of the float32 student in PyTorch.
    """

    exported: float
    student: float


class Artifact(Strict):
    """The JSON beside an exported student.

    Attributes:
        format_version: version of this layout.
        format: what kind of file it is.
        number_format: of the weights.
        sha256: hash of the file.
        size_bytes: of the file.
        input_name: of the graph's input, ``samples`` as recorded or ``view`` as the student sees them.
        input_type: number type of the graph's input.
        input_shape: of the graph's input; the first is the batch, 0 where it is any.
        output_name: of the graph's output: (batch, classes) probabilities.
        preprocessing: whether the view is built inside the graph. Where it is not, ``view`` says how to build it.
        recording: how the device records samples.
        view: what the student sees of them.
        encoder: architecture of the student.
        class_names: in the order of the output.
        domain: that the student was made for.
        dataset: that the domain belongs to.
        parameters: numbers that were learned.
        macs: multiply-accumulate operations of the student for one sample.
        latency_ms: median milliseconds for a batch (of one where it is any), on the machine that exported it.
        largest_difference: between probabilities of the file and of the student, over the samples it was checked on.
        accuracy: on the target's test part; None where its data could not be read again.
        hatlit_version: that wrote it.
    """

    format_version: Literal[1] = 1
    format: Literal["onnx", "torch_export", "safetensors"]
    number_format: Literal["float32", "int8"]
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int
    input_name: Literal["samples", "view"]
    input_type: Literal["float32", "int64"]
    input_shape: tuple[int, ...]
    output_name: Literal["probabilities"] = "probabilities"
    preprocessing: Literal["inside", "outside"]
    recording: Recording
    view: InputSpec
    encoder: str
    class_names: Names
    domain: str
    dataset: str
    parameters: int
    macs: int
    latency_ms: Measures
    largest_difference: float
    accuracy: Measures | None
    hatlit_version: str

    @staticmethod
    def path_of(file: Path) -> Path:
        """Where the JSON of an exported file lies."""
        return file.with_name(f"{file.name}.json")

    @classmethod
    def read(cls, file: Path) -> Artifact:
        """Reads the JSON beside an exported file and checks that the file is the one it describes.

        Raises:
            InputError: either is missing, or they do not belong together.
        """
        beside = cls.path_of(file)
        try:
            described = cls.model_validate_json(read_bounded(beside))
            if file.stat().st_size != described.size_bytes:
                raise _another(file, beside)
            found = file_hash(file)
        except OSError as error:
            raise InputError(
                f"'{error.filename}' cannot be read ({error.strerror}); an exported student is a file and the JSON "
                "beside it."
            ) from error
        except ValidationError as error:
            raise invalid(error, f"'{beside}'") from error
        if found != described.sha256:
            raise _another(file, beside)
        return described

    def write(self, file: Path) -> None:
        """Writes the JSON beside an exported file."""
        write_atomically(self.path_of(file), self.model_dump_json(indent=2) + "\n")


def _another(file: Path, beside: Path) -> InputError:
    return InputError(f"'{file}' is not the file that '{beside.name}' describes; export the run again.")
