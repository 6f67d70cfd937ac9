"""The network between the formats: static shapes, unique names, operators of a closed set.

A Graph is immutable; a pass returns a new one. Nodes stand in an order in which each input is
made before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from converters.errors import GraphError
from converters.operators import Operator, Shape


@dataclass(frozen=True, slots=True)
class Node:
    """One operator applied. `inputs` and `output` name values; constants are in the operator."""

    name: str
    operator: Operator
    inputs: tuple[str, ...]
    output: str

    @property
    def kind(self) -> str:
        return type(self.operator).__name__


@dataclass(frozen=True)
class Graph:
    """float32 values in, by name with their shapes in order, and float32 values out.

    `scores`: which of the outputs holds the classes' scores.
    """

    name: str
    inputs: Mapping[str, Shape]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    scores: int = 0

    @property
    def input(self) -> str:
        """The name of the one input, which a classifier has. Raises: GraphError: there are more."""
        if len(self.inputs) != 1:
            raise GraphError(
                f"{self.name} has {len(self.inputs)} inputs ({', '.join(self.inputs)})"
            )
        return next(iter(self.inputs))

    @property
    def input_shape(self) -> Shape:
        """The shape of the one input. Raises: GraphError: there are more."""
        return self.inputs[self.input]

    @property
    def output(self) -> str:
        """The name of the output that holds the classes' scores."""
        return self.outputs[self.scores]

    @property
    def others(self) -> tuple[str, ...]:
        """The names of the outputs beside the scores, in order."""
        return tuple(name for name in self.outputs if name != self.output)

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of every value, from the operators' own formulas.

        Raises: GraphError: a node contradicts its inputs, or uses a value that nothing makes.
        """
        shapes = dict(self.inputs)
        for node in self.nodes:
            try:
                inputs = [shapes[name] for name in node.inputs]
            except KeyError as cause:
                raise GraphError(f"{node.name}: nothing makes its input {cause}") from cause
            if node.output in shapes:
                raise GraphError(f"{node.name}: {node.output!r} is made twice")
            try:
                shapes[node.output] = node.operator.output_shape(*inputs)
            except (GraphError, TypeError) as cause:
                raise GraphError(f"{node.name} ({node.kind}): {cause}") from cause
        return shapes

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """The node that makes each value (the graph's inputs have none)."""
        return {node.output: node for node in self.nodes}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each value, in order."""
        readers: dict[str, list[Node]] = {name: [] for name in self.shapes}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers[name].append(node)
        return {name: tuple(nodes) for name, nodes in readers.items()}

    def verify(self) -> None:
        """Check names, order, shapes and outputs. Raises: GraphError: what contradicts itself."""
        names = [node.name for node in self.nodes]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise GraphError(f"two nodes are called {twice!r}")
        for name in self.outputs:
            if name not in self.shapes:
                raise GraphError(f"nothing makes the output {name!r}")
        if not self.outputs:
            raise GraphError("the graph has no output")

    def is_only_read_by(self, value: str, node: Node) -> bool:
        """Whether `node` alone reads `value`, and it is no output of the graph."""
        return value not in self.outputs and self.consumers[value] == (node,)

    def with_nodes(self, nodes: Iterable[Node]) -> Graph:
        return replace(self, nodes=tuple(nodes))


@dataclass(frozen=True, slots=True)
class PassResult:
    """A rewritten graph, what was changed, and what was left with the reason."""

    graph: Graph
    changed: tuple[str, ...] = ()
    left: tuple[str, ...] = field(default=())


Pass = Callable[[Graph], PassResult]
