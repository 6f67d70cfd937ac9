"""TFLite models, in LiteRT or in its predecessor tflite-runtime."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edge.backends.base import (
    BackendError,
    ModelSpec,
    brief,
    only_input,
    raise_if_installed,
    scores_place,
)
from edge.backends.quiet import without_info
from edge.backends.tflite_metadata import MetadataError, read_metadata
from edge.card import CARD_KEY, ModelCard
from edge.errors import MissingExtraError
from edge.files import sha256
from edge.tensors import F32, Array, TensorSpec


class LiteRtBackend:
    """One TFLite model, on the CPU."""

    def __init__(self, path: Path, data: bytes, threads: int, scores: str = "") -> None:
        """Open `data`, the content of `path`. Raises: as `edge.backends.open_model`."""
        runtime, interpreter_class = _runtime()
        try:
            card = read_metadata(data, CARD_KEY)
            with without_info():
                interpreter = interpreter_class(model_content=data, num_threads=threads)
                interpreter.allocate_tensors()
            inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        except (MetadataError, ValueError, RuntimeError) as cause:
            raise BackendError(
                f"{path}: {runtime} cannot open it ({brief(cause)}); copy or convert it again"
            ) from cause
        only_input(path, [str(tensor["name"]) for tensor in inputs])
        held = None if card is None else ModelCard.from_json(card)
        given = [(str(tensor["name"]), tuple(map(int, tensor["shape"]))) for tensor in outputs]
        output = outputs[scores_place(path, given, scores, held)]
        self.spec = ModelSpec(
            path=str(path),
            runtime=runtime,
            input=_tensor(inputs[0]),
            output=_tensor(output),
            card=held,
            sha256=sha256(data),
            threads=threads,
        )
        self._interpreter: Any = interpreter
        self._input_index, self._output_index = inputs[0]["index"], output["index"]
        self._input = interpreter.tensor(self._input_index)
        # The others are never looked at.
        self._output = interpreter.tensor(self._output_index)
        self._scores: Array = np.empty(self.spec.classes, self.spec.output.dtype)

    def input_view(self) -> Array:
        # A new view each time (1 us): the interpreter refuses to run while anyone holds one.
        view: Array = self._input()
        return view

    def run(self) -> Array:
        self._invoke()
        # A copy, so that whoever keeps the scores does not stop the next run.
        np.copyto(self._scores, self._output().reshape(-1))
        return self._scores

    def run_all(self) -> dict[str, F32]:
        self._invoke()
        outputs = self._interpreter.get_output_details()
        tensors = {str(one["name"]): (_tensor(one), one["index"]) for one in outputs}
        return {
            name: spec.dequantize(self._interpreter.get_tensor(index))
            for name, (spec, index) in tensors.items()
        }

    def kernels(self) -> str:
        """As `OpenedModel`. A single piece that has input and output in it is all of the graph."""
        # There is no public way to ask; without one that knows, nothing is claimed.
        details = getattr(self._interpreter, "_get_ops_details", None)
        if details is None:
            return "kernels unknown"
        pieces = [op for op in details() if op["op_name"] == "DELEGATE"]
        if not pieces:
            return "built-in kernels, no XNNPACK"
        [first, *others] = pieces
        ends = self._input_index in first["inputs"] and self._output_index in first["outputs"]
        if ends and not others:
            return "XNNPACK"
        return f"XNNPACK for {len(pieces)} part(s) of the graph, else built-in ones"

    def _invoke(self) -> None:
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as cause:
            raise BackendError(
                f"{self.spec.path}: the inference failed ({brief(cause)})"
            ) from cause

    def close(self) -> None:
        self._input = self._output = self._interpreter = None


def _runtime() -> tuple[str, Any]:
    """Return the runtime's name and version, and its Interpreter."""
    try:
        from ai_edge_litert.interpreter import Interpreter

        return f"ai-edge-litert {version('ai-edge-litert')}", Interpreter
    except ImportError as cause:
        raise_if_installed("ai-edge-litert", cause)
    try:
        from tflite_runtime.interpreter import Interpreter

        return f"tflite-runtime {version('tflite-runtime')}", Interpreter
    except ImportError as cause:
        raise_if_installed("tflite-runtime", cause)
        raise MissingExtraError("ai-edge-litert", "tflite") from None


def _tensor(tensor: dict[str, Any]) -> TensorSpec:
    scale, zero_point = tensor["quantization"]
    dtype = np.dtype(tensor["dtype"]).name
    quantized = dtype != "float32"
    return TensorSpec(
        name=str(tensor["name"]),
        shape=tuple(int(size) for size in tensor["shape"]),
        dtype=dtype,
        scale=float(scale) if quantized else 1.0,
        zero_point=int(zero_point) if quantized else 0,
    )
