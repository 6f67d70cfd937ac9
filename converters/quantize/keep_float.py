"""Some nodes of a quantized network in float32, the rest as it is.

A float node reads what integers mean, and its weights are those of the float network. What it makes
stays float for the float nodes behind it, and is rounded, once, for all others: a row of float
nodes is entered and left once.
"""

from __future__ import annotations

from dataclasses import replace

from converters.graph import Graph, Node
from converters.operators import Constant, Requantize
from converters.quantize.quantized import QuantizedGraph
from converters.quantize.rules import Tie, rule_of


def copies(node: Node) -> bool:
    """Whether a node has no numbers of its own: it computes in whatever it is given."""
    return rule_of(node.operator).output is Tie.TO_INPUT


def is_computing(node: Node) -> bool:
    """Whether a node may be chosen to compute in float: it is neither constant nor a copy."""
    return not isinstance(node.operator, Constant | Requantize) and not copies(node)


def keep_float(quantized: QuantizedGraph, chosen: frozenset[str]) -> QuantizedGraph:
    """Return the network with the nodes named `chosen`, all of them computing ones, in float32.

    A copy between two of them is float as well. Values keep their names and parameters wherever
    they are integers; `/float` marks a value that is both.
    """
    return _Keeper(quantized, with_copies(quantized.graph, chosen)).kept()


def with_copies(graph: Graph, chosen: frozenset[str]) -> frozenset[str]:
    """Return the names of the nodes `chosen`, and of all copies on the way from one to another."""
    reads_float: set[str] = set()  # copies whose result ends in a float node
    for node in reversed(graph.nodes):
        readers = graph.consumers[node.output]
        if copies(node) and any(r.name in chosen or r.name in reads_float for r in readers):
            reads_float.add(node.name)
    found = set(chosen)
    for node in graph.nodes:
        maker = graph.producers.get(node.inputs[0]) if node.inputs else None
        if node.name in reads_float and maker is not None and maker.name in found:
            found.add(node.name)
    return frozenset(found)


class _Keeper:
    """Writes the nodes anew; `real`: what a value of the network is called as float32."""

    def __init__(self, quantized: QuantizedGraph, in_float: frozenset[str]) -> None:
        self.graph = quantized.graph
        self.in_float = in_float
        self.activations = dict(quantized.activations)
        self.weights = {k: v for k, v in quantized.weights.items() if k not in in_float}
        self.real: dict[str, str] = {}
        self.nodes: list[Node] = []

    def kept(self) -> QuantizedGraph:
        for node in self.graph.nodes:
            if node.name in self.in_float:
                inputs = tuple(self._source(name) for name in node.inputs)
                self._add_float(replace(node, inputs=inputs))
            elif isinstance(node.operator, Constant) and self._has_float_reader(node.output):
                self._add_float(node)
            elif isinstance(node.operator, Requantize):
                # What is float already is rounded once.
                self._add_requantize(node, self.real.get(node.inputs[0], node.inputs[0]))
            else:
                self.nodes.append(node)
        return QuantizedGraph(self.graph.with_nodes(self.nodes), self.activations, self.weights)

    def _source(self, name: str) -> str:
        """Return what a float node reads for a value: not what was requantized for its kernel."""
        maker = self.graph.producers.get(name)
        if maker is not None and isinstance(maker.operator, Requantize):
            (name,) = maker.inputs
        return self.real.get(name, name)

    def _add_float(self, node: Node) -> None:
        """Add a node whose output is float, and, for whoever else reads it, its integers."""
        value = node.output
        readers = self.graph.consumers[value]
        needs_integers = value in self.graph.outputs or any(
            not isinstance(reader.operator, Requantize) and reader.name not in self.in_float
            for reader in readers
        )
        if not needs_integers:
            del self.activations[value]
            self.real[value] = value
            self.nodes.append(node)
            return
        self.real[value] = f"{value}/float"
        name = f"{node.name}/float" if isinstance(node.operator, Constant) else node.name
        self.nodes.append(replace(node, name=name, output=self.real[value]))
        if isinstance(node.operator, Constant):
            self.nodes.append(node)
        else:
            step = Node(f"{node.name}/quantize", Requantize(), (self.real[value],), value)
            self.nodes.append(step)

    def _add_requantize(self, node: Node, source: str) -> None:
        if all(reader.name in self.in_float for reader in self.graph.consumers[node.output]):
            del self.activations[node.output]
        else:
            self.nodes.append(replace(node, inputs=(source,)))

    def _has_float_reader(self, value: str) -> bool:
        return any(reader.name in self.in_float for reader in self.graph.consumers[value])
