"""A quantized network without its roundings: floats in, floats through, floats out."""

from __future__ import annotations

from dataclasses import replace

import onnx

from converters.graph import Graph


def unrounded_source(model: onnx.ModelProto) -> tuple[onnx.ModelProto, frozenset[str]]:
    """Return a copy of a QDQ model in which what activations are rounded to is read as they are.

    Returns: it, and the outputs of the QuantizeLinears that nobody reads any more. Those stay
        whose integers another node than a DequantizeLinear reads, or that make the model's output.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in made.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    held = {tensor.name for tensor in made.graph.initializer}
    kept = {output.name for output in made.graph.output}
    real: dict[str, str] = {}  # what a DequantizeLinear gives, and what was rounded to it
    gone = set()
    for node in made.graph.node:
        if node.op_type != "QuantizeLinear" or node.input[0] in held:
            continue
        (q,) = node.output
        reads = readers.get(q, [])
        if all(r.op_type == "DequantizeLinear" and r.output[0] not in kept for r in reads):
            gone.add(q)
            real |= {reader.output[0]: node.input[0] for reader in reads}
    for node in made.graph.node:
        for index, name in enumerate(node.input):
            while name in real:
                name = real[name]  # noqa: PLW2901 (one rounding may be of another's)
            node.input[index] = name
    return made, frozenset(gone)


def unrounded(graph: Graph, gone: frozenset[str]) -> Graph:
    """Return a graph without the Requantizes that make the values `gone`."""
    real: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        inputs = tuple(real.get(name, name) for name in node.inputs)
        if node.output in gone:
            real[node.output] = inputs[0]
        else:
            nodes.append(replace(node, inputs=inputs))
    return graph.with_nodes(nodes)
