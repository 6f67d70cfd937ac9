"""One operator of a quantized network, opened by itself in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from converters.graph import Graph, Node
from converters.onnx_qdq.session import exact_session
from converters.onnx_qdq.writer import write_network
from converters.operators import Constant, Requantize
from converters.quantize.quantized import QuantizedGraph

# What a caller has to hold, by value name.
Integers = Mapping[str, NDArray[np.uint8]]


def sources(graph: Graph, node: Node) -> tuple[str, ...]:
    """Return the values whose integers the session of a node is given."""
    inner = [part for part in _inner(graph, node) if isinstance(part.operator, Requantize)]
    instead = {part.output: part.inputs[0] for part in inner}
    held = {part.output for part in _inner(graph, node)} - instead.keys()
    return tuple(dict.fromkeys(instead.get(x, x) for x in node.inputs if x not in held))


def _inner(graph: Graph, node: Node) -> list[Node]:
    """Return the nodes before this one that have no integers of their own.

    Those are constants, and what the writer leaves to the reader to round.
    """
    before = [graph.producers[name] for name in node.inputs if name in graph.producers]
    kinds = (Constant, Requantize)
    return [part for part in dict.fromkeys(before) if isinstance(part.operator, kinds)]


class NodeSession:
    """One node with exact kernels, as an Arm board computes it, from integers to integers.

    It holds the nodes before it that have no integers of their own.
    """

    def __init__(self, quantized: QuantizedGraph, node: Node) -> None:
        graph = quantized.graph
        self.inputs = sources(graph, node)
        part = Graph(
            node.name,
            {name: graph.shapes[name] for name in self.inputs},
            (node.output,),
            (*_inner(graph, node), node),
        )
        network = QuantizedGraph(part, quantized.activations, quantized.weights)
        self._session = exact_session(write_network(network))

    def run(self, integers: Integers, picture: int) -> NDArray[np.uint8]:
        """Return uint8 of the output's shape. Args: integers: uint8 [N, *shape] of each input."""
        feeds = {name: integers[name][picture] for name in self.inputs}
        result: NDArray[np.uint8] = self._session.run(None, feeds)[0]
        return result
