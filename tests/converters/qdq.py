"""Files that are already quantized, as other tools write them, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from converters.graph import Graph
from converters.onnx_import.border import with_float_border
from converters.onnx_import.importer import import_quantized
from converters.onnx_import.runnable import runnable
from converters.passes import GIVEN_PASSES, run_passes
from converters.quantize.given import Given, take
from converters.quantize.given_gains import fold_gains
from converters.quantize.quantized import QuantizedGraph
from converters.tflite.writer import write_tflite
from edge.tensors import F32, Array
from tests.converters.artifacts import CARD, float_in_litert, opcodes
from tests.converters.models import build, normal, run


@dataclass(frozen=True)
class Taken:
    """A quantized file, and what was made of it."""

    model: onnx.ModelProto  # float32 in and out
    given: Given

    @property
    def quantized(self) -> QuantizedGraph:
        return self.given.quantized

    @property
    def graph(self) -> Graph:
        return self.quantized.graph

    @cached_property
    def tflite(self) -> bytes:
        return write_tflite(self.quantized, CARD, io="float32")

    @property
    def opcodes(self) -> list[str]:
        return opcodes(self.tflite)

    def scale(self, value: str) -> float:
        return self.quantized.activations[value].scale[0]

    def zero_point(self, value: str) -> int:
        return self.quantized.activations[value].zero_point[0]

    def steps_apart(self, step: float, spread: float = 1.0) -> float:
        """Return by how many steps of `step` LiteRT is off the source in ONNX Runtime."""
        worst = 0.0
        for seed in range(4):
            x = normal(*self.graph.input_shape, seed=20 + seed, spread=spread)
            (theirs,) = run(runnable(self.model), x, session__x64quantprecision="1")
            (ours,) = float_in_litert(self.tflite, x).values()
            worst = max(worst, float(np.abs(ours.reshape(theirs.shape) - theirs).max()) / step)
        return round(worst, 3)  # a product of a whole number and a float32 scale


def taken(model: onnx.ModelProto) -> Taken:
    """Read a quantized file as the command does."""
    model = with_float_border(model, "tiny.onnx")
    graph, constants = import_quantized(model, "tiny.onnx")
    graph, constants = fold_gains(graph, constants)
    graph, _ = run_passes(graph, GIVEN_PASSES)
    return Taken(model, take(graph, constants))


def pair(source: str, output: str, meaning: str) -> str:
    """Return a QuantizeLinear and a DequantizeLinear; `meaning` names scale and zero point."""
    q = f"{output}_q"
    return f"{q} = QuantizeLinear({source}, {meaning}) {output} = DequantizeLinear({q}, {meaning}) "


def text(
    body: str, x: str = "float[1,3,8,8]", *, opset: int = 17, **constants: Array
) -> onnx.ModelProto:
    """Return a quantized model of nodes in ONNX's text form."""
    arrays: dict[str, Any] = constants
    return build(body, x, opset=opset, **arrays)


class _Noise(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, shape: tuple[int, ...]) -> None:
        self._pictures = iter([{"x": normal(*shape, seed=seed)} for seed in range(8)])

    def get_next(self) -> dict[str, F32] | None:
        return next(self._pictures, None)


def by_onnxruntime(
    model: onnx.ModelProto,
    folder: Path,
    *,
    classes: int,
    activation: QuantType = QuantType.QUInt8,
    weight: QuantType = QuantType.QInt8,
    per_channel: bool = True,
    **options: object,
) -> onnx.ModelProto:
    """Quantize a model of an input "x" by onnxruntime's own tool, to minima and maxima of noise."""
    kind = model.graph.output[0].type.tensor_type
    kind.elem_type = TensorProto.FLOAT
    for side in (1, classes):
        kind.shape.dim.add().dim_value = side
    source, output = folder / "float.onnx", folder / "quantized.onnx"
    onnx.save(model, source)
    shape = tuple(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)
    quantize_static(
        source,
        output,
        _Noise(shape),
        quant_format=QuantFormat.QDQ,
        per_channel=per_channel,
        activation_type=activation,
        weight_type=weight,
        extra_options=options,
    )
    return onnx.load(output)
