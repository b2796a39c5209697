"""ONNX: writing a graph, making its numbers smaller, running it."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

from hatlit.errors import InputError, missing_library

#: Version of the operators.
OPSET = 17

#: What is computed in whole numbers after quantisation; all else stays in float32.
QUANTIZED = ("Conv", "MatMul", "Gemm", "Gather")


def require_onnx() -> None:
    """Refuses to go on without the libraries.

    Raises:
        InputError: one is not installed; the message names the command that brings it.
    """
    for library in ("onnx", "onnxruntime"):
        if find_spec(library) is None:
            raise missing_library(library, "export")


def to_onnx(model: nn.Module, sample: Tensor, names: tuple[str, str], batch: int | None = None) -> bytes:
    """Writes a module as an ONNX graph.

    Args:
        model: in eval mode; maps one tensor to one tensor.
        sample: (B, ...) what it can be given.
        names: of the graph's input and output.
        batch: rows of the graph's input; None leaves them open.

    Raises:
        InputError: the library is not installed.
        torch.onnx.errors.OnnxExporterError: the module does something that ONNX has no word for.
    """
    require_onnx()
    rows = sample if batch is None else sample[:1].expand(batch, *sample.shape[1:]).contiguous()
    open_axes = {name: {0: "batch"} for name in names} if batch is None else None
    graph = io.BytesIO()
    with _quiet(), torch.no_grad():
        model(rows[:1])  # what is computed once and kept is then a number in the graph
        # By tracing: a twentieth of the time of the newer exporter, and half the size for small graphs.
        torch.onnx.export(
            model,
            (rows,),
            graph,  # type: ignore[arg-type]  # any stream will do
            dynamo=False,
            opset_version=OPSET,
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_axes=open_axes,
        )
    return graph.getvalue()


def to_int8(graph: bytes, inside: str) -> bytes:
    """Turns the weights of a graph into whole numbers of 8 bits, and activations as they come.

    Dynamic quantisation: the range of an activation is found anew for each input. On hatlit's own students that costs
    less accuracy and fewer bytes than ranges learned once from training samples, and is about as fast.

    Args:
        graph: ONNX.
        inside: only nodes under this scope change; all others, such as preprocessing, keep their numbers.

    Raises:
        InputError: the library is not installed.
    """
    require_onnx()
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory() as folder, _quiet():
        given, prepared, made = (Path(folder) / name for name in ("given.onnx", "prepared.onnx", "made.onnx"))
        given.write_bytes(graph)
        quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)
        quantize_dynamic(
            prepared,
            made,
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            weight_type=QuantType.QUInt8,
            nodes_to_exclude=[one.name for one in onnx.load(prepared).graph.node if not one.name.startswith(inside)],
        )
        return made.read_bytes()


class OnnxModel:
    """A graph ready to run on the CPU, with as many threads as torch uses.

    Args:
        graph: ONNX with one input and one output.

    Raises:
        InputError: the library is not installed, or the graph is none that it can run.
    """

    def __init__(self, graph: bytes) -> None:
        require_onnx()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            (self._input,) = (one.name for one in self._session.get_inputs())
        except Exception as error:  # the library has many errors and no common one
            raise _unusable(error) from error

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Maps rows (B, ...) to the graph's output (B, ...).

        Raises:
            InputError: the graph cannot take them.
        """
        try:
            (found,) = self._session.run(None, {self._input: rows})
        except Exception as error:
            raise _unusable(error) from error
        return found


def _unusable(error: Exception) -> InputError:
    return InputError(f"The onnx graph cannot be run: {' '.join(str(error).split())[:300].rstrip('.')}.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the libraries, whose C++ prints past Python, from telling what the user cannot change."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
