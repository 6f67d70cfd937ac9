"""Every tensor of both artifacts against float, and against each other."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import onnx
from ai_edge_litert.interpreter import Interpreter

from converters.calibrate import FloatGraph
from converters.graph import Graph
from converters.onnx_qdq.session import exact_session
from converters.quantize.quantized import Io, QuantizedGraph
from converters.tflite.layout import of_input
from converters.tflite.numbers import Int8Numbers
from converters.tflite.writer import layouts
from edge.backends.quiet import without_info
from edge.tensors import F32, Array

SOURCE = "source"
DEQUANTIZE = ("DequantizeLinear",)


@dataclass(frozen=True, slots=True)
class TensorCheck:
    """One value: how far each artifact is from what is right, and the two from each other.

    `sqnr_db`: by format, over all images, empty where nothing can be compared; `steps`: the largest
    difference between the two artifacts' integers (or those of the one and of a source that was
    already quantized), and `equal` the share of them that do not differ, both None where only one
    keeps the value.
    """

    name: str
    kind: str
    sqnr_db: Mapping[str, float]
    steps: int | None
    equal: float | None


@dataclass(slots=True)
class _Sums:
    signal: float = 0.0
    noise: dict[str, float] = field(default_factory=dict)
    steps: int | None = None
    equal: int = 0
    compared: int = 0


class _Runner(Protocol):
    def run(self, x: F32) -> dict[str, Array]:
        """Return each value's integers as int8 counts them, in ONNX's layout."""
        ...


class OnnxTensors:
    """The ONNX artifact with each value's integers as an output, with exact kernels."""

    def __init__(self, model: bytes, quantized: QuantizedGraph) -> None:
        proto = onnx.load_from_string(model)
        given = proto.graph.input[0]
        self.io = _io(given.type.tensor_type.elem_type == onnx.TensorProto.FLOAT)
        names = {v: quantized.integer_name(v, self.io) for v in quantized.activations}
        made = {name for node in proto.graph.node for name in node.output}
        self.names = {value: name for value, name in names.items() if name in made}
        zero_point = f"{quantized.graph.input}/zero_point"
        elements = {i.name: i.data_type for i in proto.graph.initializer}
        self.dtype = "uint8" if elements[zero_point] == onnx.TensorProto.UINT8 else "int8"
        outputs = {output.name for output in proto.graph.output}
        for value, name in self.names.items():
            if name not in outputs:
                element = elements[f"{value}/zero_point"]
                proto.graph.output.append(onnx.helper.make_tensor_value_info(name, element, None))
        self._session = exact_session(proto)
        self.quantized = quantized

    def run(self, x: F32) -> dict[str, Array]:
        graph = self.quantized.graph
        params = self.quantized.activations[graph.input]
        feed = x if self.io == "float32" else params.spec("", (), self.dtype).quantize(x)
        results = self._session.run(list(self.names.values()), {graph.input: feed})
        return {value: _int8(result) for value, result in zip(self.names, results, strict=True)}


class _SourceTensors:
    """A source that was already quantized, with each QuantizeLinear's integers as an output."""

    def __init__(self, model: bytes, quantized: QuantizedGraph) -> None:
        proto = onnx.load_from_string(model)
        made = {n.output[0] for n in proto.graph.node if n.op_type == "QuantizeLinear"}
        read = {n.output[0]: n.input[0] for n in proto.graph.node if n.op_type in DEQUANTIZE}
        names = {value: read.get(value, value) for value in quantized.activations}
        self.names = {value: name for value, name in names.items() if name in made}
        for name in self.names.values():
            proto.graph.output.append(onnx.ValueInfoProto(name=name))
        self._session = exact_session(proto)
        self.given = quantized.graph.input

    def run(self, x: F32) -> dict[str, Array]:
        results = self._session.run(list(self.names.values()), {self.given: x})
        return {value: _int8(result) for value, result in zip(self.names, results, strict=True)}


class _TfliteTensors:
    """The TFLite artifact in LiteRT, keeping every tensor."""

    def __init__(self, model: bytes, quantized: QuantizedGraph) -> None:
        with warnings.catch_warnings(), without_info():
            # It warns that keeping every tensor costs memory, which is what is wanted here.
            warnings.simplefilter("ignore", UserWarning)
            self._interpreter: Any = Interpreter(
                model_content=model, experimental_preserve_all_tensors=True, num_threads=2
            )
            self._interpreter.allocate_tensors()
        self.given = self._interpreter.get_input_details()[0]
        dtype = np.dtype(self.given["dtype"]).name
        self.io: Io = "integer" if dtype == "int8" else "uint8" if dtype == "uint8" else "float32"
        self.layouts = layouts(quantized, self.io)
        names = Int8Numbers(quantized, self.io)
        values = {names.name(v): v for v in quantized.activations}
        self.indices = {
            values[detail["name"]]: detail["index"]
            for detail in self._interpreter.get_tensor_details()
            if values.get(detail["name"]) in self.layouts
        }
        self.quantized = quantized

    def run(self, x: F32) -> dict[str, Array]:
        feed: Array = of_input(x.shape).from_onnx(x).reshape(self.given["shape"])
        if self.io != "float32":
            params = self.quantized.activations[self.quantized.graph.input]
            feed = params.spec("", (), np.dtype(self.given["dtype"]).name).quantize(feed)
        self._interpreter.set_tensor(self.given["index"], feed)
        self._interpreter.invoke()
        return {
            name: self.layouts[name].to_onnx(self._interpreter.get_tensor(index))
            for name, index in self.indices.items()
        }


def _int8(integers: Array) -> Array:
    """Return int8 or uint8 integers as int8 counts them: a uint8 has its highest bit turned."""
    flip = np.uint8(128 if integers.dtype == np.uint8 else 0)
    return (integers.view(np.uint8) ^ flip).view(np.int8)


def _io(takes_float: bool) -> Io:
    return "float32" if takes_float else "integer"


def check_tensors(
    quantized: QuantizedGraph, artifacts: Mapping[str, bytes], inputs: Iterable[F32]
) -> tuple[TensorCheck, ...]:
    """Return a check of every value that an operator makes, in the order of the graph.

    What is right is the float network's value, or the source's where that was already quantized:
    its float network may be another, with clamps that only its integers' ranges are.

    Args: artifacts: file contents by format, "onnx" and "tflite", one or both, or "tflite" and the
        "source" that was already quantized;
        inputs: float32 [1, C, H, W], a few.
    """
    graph: Graph = quantized.graph
    values = [node.output for node in graph.nodes]
    reference = None if SOURCE in artifacts else FloatGraph(graph, values)
    makers: dict[str, Callable[[bytes, QuantizedGraph], _Runner]] = {
        SOURCE: _SourceTensors,
        "onnx": OnnxTensors,
        "tflite": _TfliteTensors,
    }
    runners = {name: makers[name](data, quantized) for name, data in artifacts.items()}
    sums = {value: _Sums() for value in values}
    for x in inputs:
        integers = {name: runner.run(x) for name, runner in runners.items()}
        real = _dequantized(integers[SOURCE], quantized) if reference is None else reference.run(x)
        for value in values:
            if value in real and value in quantized.activations:  # else float in the artifact too
                _add(sums[value], real[value], value, integers, quantized)
    return tuple(
        TensorCheck(
            node.output,
            node.kind,
            {name: _db(total.signal, noise) for name, noise in total.noise.items()},
            total.steps,
            total.equal / total.compared if total.compared else None,
        )
        for node in graph.nodes
        for total in (sums[node.output],)
    )


def _add(
    total: _Sums,
    real: Array,
    value: str,
    integers: Mapping[str, Mapping[str, Array]],
    quantized: QuantizedGraph,
) -> None:
    params = quantized.activations[value]
    total.signal += _energy(real)
    held = {name: of[value] for name, of in integers.items() if value in of}
    for name in held.keys() - {SOURCE}:
        error = params.dequantize(held[name]) - real
        total.noise[name] = total.noise.get(name, 0.0) + _energy(error)
    if len(held) == 2:
        first, second = held.values()
        apart = np.abs(first.astype(np.int16) - second)
        total.steps = max(total.steps or 0, int(apart.max()))
        total.equal += int(np.count_nonzero(apart == 0))
        total.compared += apart.size


def _dequantized(integers: Mapping[str, Array], quantized: QuantizedGraph) -> dict[str, F32]:
    return {name: quantized.activations[name].dequantize(q) for name, q in integers.items()}


def _energy(values: Array) -> float:
    """Return the sum of squares of float32 values: in float32, which moves no dB that is shown."""
    return float(np.vdot(values, values))


def _db(signal: float, noise: float) -> float:
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")
