"""A quantized file as ONNX Runtime can run it in its exact kernels."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from converters.onnx_import.constants import Constants
from converters.onnx_import.load import opset_of
from converters.onnx_import.source import RefusedError
from edge.tensors import Array

LOWEST = "lowest of all floats"


def runnable(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that computes the same, without what ONNX Runtime (seen with 1.32) fails on.

    Each DequantizeLinear of a constant has a zero point of its own: where the exact kernels turn
    int8 weights into uint8 ones, it fails on zero points that are left out beside several scales,
    that two weights share, or that a node makes of a constant. And no operator stands right before
    a QuantizeLinear of several scales, to which it would be fused.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    held = _give_zero_points(made)
    graph = made.graph
    nodes = []
    for index, node in enumerate(graph.node):
        is_activation = node.op_type == "QuantizeLinear" and node.input[0] not in held
        if is_activation and held[node.input[1]].size > 1:
            name = f"{node.input[0]}/apart/{index}"
            nodes.append(helper.make_node("Max", [node.input[0], LOWEST], [name]))
            node.input[0] = name
        nodes.append(node)
    if len(nodes) > len(graph.node):
        lowest = np.asarray(np.finfo(np.float32).min)
        graph.initializer.append(numpy_helper.from_array(lowest, LOWEST))
        del graph.node[:]
        graph.node.extend(nodes)
    return made


def _give_zero_points(made: onnx.ModelProto) -> dict[str, Array]:
    """Change a model, and return its constants and what nodes make of them alone."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    constants = Constants(opset_of(made), held.values())
    # Integers that stand in the file, or that a QuantizeLinear makes of a float that does.
    types = {name: value.dtype for name, value in held.items()}
    for index, node in enumerate(made.graph.node):
        value = _constant(node, held, constants)
        if value is not None:
            held[node.output[0]] = value
            types[node.output[0]] = value.dtype
        means = [held[name] for name in node.input[1:] if name in held]
        is_held = len(means) == len(node.input) - 1
        if node.op_type == "QuantizeLinear" and node.input[0] in held and is_held:
            types[node.output[0]] = means[1].dtype if means[1:] else np.dtype(np.uint8)
        if node.op_type != "DequantizeLinear" or node.input[0] not in types or not is_held:
            continue
        zeros = np.zeros(means[0].shape, types[node.input[0]])
        own = numpy_helper.from_array(
            zeros if len(means) < 2 else means[1], f"{node.output[0]}/zero_point/{index}"
        )
        made.graph.initializer.append(own)
        del node.input[2:]
        node.input.append(own.name)
    return held


def _constant(node: onnx.NodeProto, held: dict[str, Array], constants: Constants) -> Array | None:
    """Return the constant that a node is or makes of others, None for any other node."""
    if node.op_type == "Constant" and node.attribute[0].HasField("t"):
        return numpy_helper.to_array(node.attribute[0].t)
    if len(node.output) != 1 or not all(name in held for name in node.input):
        return None
    try:
        made = constants.fold(node, [held[name] for name in node.input])
    except RefusedError:  # too large, or of no numbers: it is no zero point
        return None
    return None if made is None else made[0]
