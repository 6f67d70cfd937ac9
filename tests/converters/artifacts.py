"""Both artifacts of a small Graph, made and run as a user would, in integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from onnx import ModelProto
from onnx.checker import check_model

from converters.calibrate import calibrate
from converters.graph import Graph
from converters.onnx_qdq.writer import Activation, write_float, write_qdq
from converters.operators import Conv, Gemm
from converters.passes import run_passes
from converters.quantize.assign import assign
from converters.quantize.params import from_range
from converters.quantize.quantized import QuantizedGraph
from converters.tflite.writer import write_tflite
from edge.card import ModelCard
from edge.preprocess import PreprocessSpec
from edge.tensors import F32, Array
from tests.converters.models import Constants, build, imported, normal, run

CARD = ModelCard(
    name="tiny",
    preprocess=PreprocessSpec(),
    labels=("tree", "Straße", "鳥"),
    quantization={"observer": "minmax"},
    source_sha256="ab" * 32,
    versions={"edge-deploy": "0"},
)
SPREAD = 2.0
Outputs = Mapping[str, Array]  # by name, in ONNX's layout


@dataclass(frozen=True)
class Artifacts:
    """A QuantizedGraph, its files, and what they compute on the integers `x`."""

    quantized: QuantizedGraph
    x: Array  # int8 [1, C, H, W]

    @property
    def graph(self) -> Graph:
        return self.quantized.graph

    @cached_property
    def onnx(self) -> ModelProto:
        return self.write_onnx("uint8")

    def write_onnx(self, activation: Activation) -> ModelProto:
        model = write_qdq(self.quantized, CARD, activation=activation)
        check_model(model, full_check=True)
        return model

    @cached_property
    def tflite(self) -> bytes:
        return write_tflite(self.quantized, CARD)

    def step(self, name: str) -> float:
        return self.quantized.activations[name].scale[0]

    def real(self, name: str, integers: Array) -> F32:
        return self.quantized.activations[name].dequantize(integers)

    def exact(self) -> Outputs:
        """Return the outputs in float arithmetic on the very integers: nothing is rounded.

        The inputs, weights and biases are those that the artifacts hold; what an artifact may add
        is the rounding of its outputs, saturated where an int8 ends.
        """
        nodes = []
        for node in self.graph.nodes:
            operator = node.operator
            if isinstance(operator, Conv | Gemm):
                constants = self.quantized.weights[node.name]
                weight = constants.params.dequantize(constants.weight)
                bias = constants.bias.astype(np.float64) * constants.bias_scale
                operator = replace(operator, weight=weight, bias=bias.astype(np.float32))
            nodes.append(replace(node, operator=operator))
        model = write_float(self.graph.with_nodes(nodes))
        outputs = self._named(run(model, self.real(self.graph.input, self.x)))
        ends = {name: self.quantized.activations[name] for name in outputs}
        return {n: np.clip(y, ends[n].low, ends[n].high) for n, y in outputs.items()}

    def in_onnx(self, activation: Activation = "uint8") -> Outputs:
        """Return int8 outputs of ONNX Runtime with kernels that do not saturate."""
        shift = 128 if activation == "uint8" else 0
        model = self.onnx if activation == "uint8" else self.write_onnx(activation)
        x = (self.x.astype(np.int16) + shift).astype(activation)
        outputs = run(model, x, session__x64quantprecision="1")
        assert {str(y.dtype) for y in outputs} == {activation}
        return self._named([(y.astype(np.int16) - shift).astype(np.int8) for y in outputs])

    def in_litert(self) -> Outputs:
        """Return int8 outputs of LiteRT with its default kernels."""
        interpreter = Interpreter(model_content=self.tflite, num_threads=1)
        interpreter.allocate_tensors()
        (detail,) = interpreter.get_input_details()
        assert detail["name"] == self.graph.input
        interpreter.set_tensor(detail["index"], self.x.transpose(0, 2, 3, 1))
        interpreter.invoke()
        outputs = {}
        for detail in interpreter.get_output_details():
            y = interpreter.get_tensor(detail["index"])
            assert y.dtype == np.int8
            outputs[detail["name"]] = y.transpose(0, 3, 1, 2) if y.ndim == 4 else y
        return {name: outputs[name] for name in self.graph.outputs}

    def _named(self, outputs: list[Array]) -> Outputs:
        return dict(zip(self.graph.outputs, outputs, strict=True))


def quantize(graph: Graph, seed: int = 3) -> Artifacts:
    """Return the artifacts of `graph` calibrated on four pictures of noise, and the first one.

    The noise is of integers of the input, so that nothing is lost before the first operator, and
    the ranges hold every value of the picture that the artifacts are run on.
    """
    params = from_range(-3 * SPREAD, 2.5 * SPREAD)
    noise = [normal(*graph.input_shape, seed=seed + index, spread=SPREAD) for index in range(4)]
    integers = [params.spec("x", x.shape, "int8").quantize(x) for x in noise]
    ranges = calibrate(graph, [params.dequantize(q) for q in integers]).ranges("minmax")
    return Artifacts(assign(graph, params, ranges), integers[0])


def make(
    body: str, x: str = "float[1,3,8,8]", *, outputs: tuple[str, ...] = ("y",), **constants: Array
) -> Artifacts:
    """Return the artifacts of a model in ONNX's text form, after the passes."""
    arrays: Constants = constants
    graph, _ = run_passes(imported(build(body, x, outputs=outputs, **arrays)))
    return quantize(graph)


def steps_apart(a: Array, b: Array) -> int:
    """Return the largest difference of two int8 arrays of one shape."""
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b).max())


def opcodes(model: bytes) -> list[str]:
    """Return the names of a TFLite file's operators, in order."""
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    unpacked = schema.ModelT.InitFromPackedBuf(model, 0)
    codes = [names[code.builtinCode] for code in unpacked.operatorCodes]
    return [codes[operator.opcodeIndex] for operator in unpacked.subgraphs[0].operators]
