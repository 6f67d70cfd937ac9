"""A model file, float or quantized, as the float network whose structure is to be seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from converters.graph import Graph, Node
from converters.onnx_import.border import with_float_border
from converters.onnx_import.importer import import_onnx, import_quantized
from converters.onnx_import.load import load
from converters.onnx_import.quantized import is_quantized
from converters.operators import INFINITY, Clamp, Clamped, Requantize
from converters.passes import SIMPLIFY, run_passes
from converters.quantize.params import QuantParams
from converters.structure.read_tflite import read_tflite

SIX = 6.0


def read_network(path: Path) -> Graph:
    """Return the network with norms folded, activations fused, and no rounding.

    Raises: ConvertError: it cannot be read; UnsupportedModelError: with every reason; BackendError:
        LiteRT cannot open it.
    """
    if path.suffix == ".tflite":
        return read_tflite(path)
    model, _ = load(path)
    where = str(path)
    if is_quantized(model):
        graph, _ = import_quantized(with_float_border(model, where), where)
        graph = without_rounding(graph)
    else:
        graph = import_onnx(model, where)
    return run_passes(graph, SIMPLIFY)[0]


def without_rounding(graph: Graph) -> Graph:
    """Return the graph without Requantize; where its range begins at zero, that was a clamp.

    Writers of integers leave a ReLU to the range of what follows: what is below it is cut off.
    """
    instead: dict[str, str] = {}
    nodes: dict[str, Node] = {}  # by output
    for node in graph.nodes:
        inputs = tuple(instead.get(name, name) for name in node.inputs)
        if not isinstance(node.operator, Requantize):
            nodes[node.output] = replace(node, inputs=inputs)
            continue
        (value,) = inputs
        instead[node.output] = value
        maker, params = nodes.get(value), node.operator.params
        if maker is None or params is None or not isinstance(maker.operator, Clamped):
            continue
        clamp = _clamp(params)
        if clamp is not None and maker.operator.clamp is None:
            nodes[value] = replace(maker, operator=replace(maker.operator, clamp=clamp))
    outputs = tuple(instead.get(name, name) for name in graph.outputs)
    return replace(graph, nodes=tuple(nodes.values()), outputs=outputs)


def _clamp(params: QuantParams) -> Clamp | None:
    """Return the activation that a range stands for: one that begins at zero, and may end at 6."""
    if len(params.scale) > 1 or params.low != 0:
        return None
    is_six = abs(params.high - SIX) <= params.scale[0]
    return Clamp(0.0, SIX if is_six else INFINITY)
