"""Both artifacts of a small Graph, made and run as a user would, in integers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import get_args

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from onnx import ModelProto
from onnx.checker import check_model

from converters.calibrate import calibrate
from converters.graph import Graph, Node
from converters.onnx_qdq.writer import Activation, write_float, write_qdq
from converters.operators import Constant, Operator, Weighted
from converters.passes import run_passes
from converters.pipeline import Conversion
from converters.quantize.assign import assign
from converters.quantize.params import from_range
from converters.quantize.quantized import QuantizedGraph
from converters.tflite.layout import default, of_input
from converters.tflite.writer import write_tflite
from edge.card import ModelCard
from edge.preprocess import PreprocessSpec
from edge.tensors import F32, Array
from tests.converters.models import Constants, build, imported, normal, rng, run

CARD = ModelCard(
    name="tiny",
    preprocess=PreprocessSpec(),
    labels=("tree", "Straße", "鳥"),
    quantization={"observer": "minmax"},
    source_sha256="ab" * 32,
    versions={"edge-deploy": "0"},
)
SPREAD = 2.0
# One rounding: half a step. 2^-9 of a step for the kernels' own arithmetic: requantization in
# float32 or with a 31-bit multiplier, and the rounding of `exact` itself.
ROUNDING = 0.5 + 2**-9
EXACT = 1e-6
# What LiteRT adds to it where XNNPACK changes a scale alone: the factor has 8 fraction bits, so
# that it is 2^-9 off, times 255 steps.
REQUANTIZED = 255 * 2**-9
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

        The inputs, weights, biases and constants are those that the artifacts hold. An int8 kernel
        sums the same products in integers, without any error; what an artifact may add is the
        rounding of its outputs, saturated where an int8 ends.
        """
        nodes = [replace(n, operator=held(self.quantized, n)) for n in self.graph.nodes]
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
        x = default(self.x.shape).from_onnx(self.x).reshape(detail["shape"])
        interpreter.set_tensor(detail["index"], x)
        interpreter.invoke()
        outputs = {}
        for detail in interpreter.get_output_details():
            y = interpreter.get_tensor(detail["index"])
            assert y.dtype == np.int8
            is_turned = detail["name"] == self.graph.output and y.ndim == 4
            outputs[detail["name"]] = y.transpose(0, 3, 1, 2) if is_turned else y
        return {name: outputs[name] for name in self.graph.outputs}

    def _named(self, outputs: list[Array]) -> Outputs:
        return dict(zip(self.graph.outputs, outputs, strict=True))


def held(quantized: QuantizedGraph, node: Node) -> Operator:
    """Return a node's operator with the constants that the artifacts hold."""
    operator = node.operator
    if isinstance(operator, Constant):
        params = quantized.activations[node.output]
        integers = params.spec(node.output, (), "int8").quantize(operator.value)
        return Constant(params.dequantize(integers))
    if not isinstance(operator, Weighted):
        return operator
    constants = quantized.weights[node.name]
    weight = constants.params.dequantize(constants.weight)
    bias = (constants.bias.astype(np.float64) * constants.bias_scale).astype(np.float32)
    return replace(operator, weight=weight, bias=bias)


def quantize(
    graph: Graph,
    seed: int = 3,
    reals: tuple[float, float] | None = None,
    *,
    per_tensor: bool = False,
) -> Artifacts:
    """Return the artifacts of `graph` calibrated on four pictures of noise, and the first one.

    The noise is of integers of the input, so that nothing is lost before the first operator, and
    the ranges hold every value of the picture that the artifacts are run on. With `reals` it is
    spread evenly over them, ends included, else normal.
    """
    shape = graph.input_shape
    if reals is None:
        params = from_range(-3 * SPREAD, 2.5 * SPREAD)
        noise = [normal(*shape, seed=seed + index, spread=SPREAD) for index in range(4)]
    else:
        params = from_range(*reals)
        even = np.linspace(*reals, math.prod(shape), dtype=np.float32)
        noise = [rng(seed + index).permutation(even).reshape(shape) for index in range(4)]
    integers = [params.spec("x", x.shape, "int8").quantize(x) for x in noise]
    ranges = calibrate(graph, [params.dequantize(q) for q in integers]).ranges("minmax")
    return Artifacts(assign(graph, params, ranges, per_tensor=per_tensor), integers[0])


def make(
    body: str,
    x: str = "float[1,3,8,8]",
    *,
    outputs: tuple[str, ...] = ("y",),
    reals: tuple[float, float] | None = None,
    opset: int = 17,
    per_tensor: bool = False,
    **constants: Array,
) -> Artifacts:
    """Return the artifacts of a model in ONNX's text form, after the passes."""
    arrays: Constants = constants
    graph, _ = run_passes(imported(build(body, x, outputs=outputs, opset=opset, **arrays)))
    return quantize(graph, reals=reals, per_tensor=per_tensor)


def steps_apart(a: Array, b: Array) -> int:
    """Return the largest difference of two int8 arrays of one shape."""
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b).max())


def float_in_litert(model: bytes, x: F32) -> dict[str, Array]:
    """Return the outputs of a float file in LiteRT by name, in ONNX's layout."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    interpreter.set_tensor(given["index"], of_input(x.shape).from_onnx(x).reshape(given["shape"]))
    interpreter.invoke()
    tensors = {
        detail["name"]: interpreter.get_tensor(detail["index"])
        for detail in interpreter.get_output_details()
    }
    first, y = next(iter(tensors.items()))  # of a graph that does not know its scores
    return tensors | {first: y.transpose(0, 3, 1, 2) if y.ndim == 4 else y}


def opcodes(model: bytes) -> list[str]:
    """Return the names of a TFLite file's operators, in order."""
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    unpacked = schema.ModelT.InitFromPackedBuf(model, 0)
    codes = [names[code.builtinCode] for code in unpacked.operatorCodes]
    return [codes[operator.opcodeIndex] for operator in unpacked.subgraphs[0].operators]


def quantized_of(conversion: Conversion) -> QuantizedGraph:
    """Return what a conversion to int8 has quantized."""
    assert conversion.quantized is not None
    return conversion.quantized


def assert_within(
    made: Artifacts, allowed: float = ROUNDING, apart: int = 1, *, litert: float = 0.0
) -> None:
    """Hold the artifacts to `exact` within `allowed` steps, and to each other within `apart`.

    `litert`: how many steps more its kernel may be off.
    """
    exact, theirs = made.exact(), made.in_litert()
    for activation in get_args(Activation):
        onnx = made.in_onnx(activation)
        for name, expected in exact.items():
            for integers, limit in ((onnx[name], allowed), (theirs[name], allowed + litert)):
                error = np.abs(made.real(name, integers) - expected).max() / made.step(name)
                assert error <= limit, (name, activation, error)
            assert steps_apart(onnx[name], theirs[name]) <= apart
