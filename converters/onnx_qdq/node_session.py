"""One operator of a quantized network, opened by itself in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping

from converters.graph import Graph, Node
from converters.onnx_qdq.session import exact_session
from converters.onnx_qdq.writer import write_network
from converters.operators import Constant
from converters.quantize.quantized import QuantizedGraph
from edge.tensors import Array

# What a caller has to hold, by value name: uint8, or float32 where the value is float.
Numbers = Mapping[str, Array]


def sources(quantized: QuantizedGraph, node: Node) -> tuple[str, ...]:
    """Return the values that the session of a node is given."""
    inner = _inner(quantized, node)
    instead = {part.output: part.inputs[0] for part in inner if part.inputs}
    held = {part.output for part in inner} - instead.keys()
    return tuple(dict.fromkeys(instead.get(x, x) for x in node.inputs if x not in held))


def is_inner(quantized: QuantizedGraph, node: Node) -> bool:
    """Whether a node has no numbers of its own, but is part of the session of whoever reads it.

    Those are constants, and what the writer leaves to the reader to round.
    """
    return isinstance(node.operator, Constant) or quantized.is_left_to_reader(node)


def _inner(quantized: QuantizedGraph, node: Node) -> list[Node]:
    producers = quantized.graph.producers
    before = [producers[name] for name in node.inputs if name in producers]
    return [part for part in dict.fromkeys(before) if is_inner(quantized, part)]


class NodeSession:
    """One node with exact kernels, as an Arm board computes it, from integers to integers.

    Where the network is float, from or to float32. It holds the nodes before it that have no
    numbers of their own.
    """

    def __init__(self, quantized: QuantizedGraph, node: Node) -> None:
        graph = quantized.graph
        self.inputs = sources(quantized, node)
        part = Graph(
            node.name,
            {name: graph.shapes[name] for name in self.inputs},
            (node.output,),
            (*_inner(quantized, node), node),
        )
        network = QuantizedGraph(part, quantized.activations, quantized.weights)
        self._session = exact_session(write_network(network))

    def run(self, numbers: Numbers, picture: int) -> Array:
        """Return uint8 or float32 of the output's shape. Args: numbers: [N, *shape] of inputs."""
        feeds = {name: numbers[name][picture] for name in self.inputs}
        result: Array = self._session.run(None, feeds)[0]
        return result
