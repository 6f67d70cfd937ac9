"""Let the operator before a clamp carry it: a ReLU6 is not a node."""

from __future__ import annotations

from dataclasses import replace

from converters.graph import Graph, Node, PassResult
from converters.operators import Clamp, Clamped


def fold_clamp(graph: Graph) -> PassResult:
    """Move each clamp into the Conv, Gemm, Add, Sub, Mul, Div or Clamp before it.

    Calibration then sees that operator's output after the clamp, never before: quantizing the
    unclamped output would spend most of the 256 steps on values that the clamp throws away.
    Left alone: a clamp whose producer is another kind, or is also read by somebody else.
    """
    nodes: dict[str, Node] = {}  # by output, in order
    changed, left = [], []
    for node in graph.nodes:
        if isinstance(node.operator, Clamp):
            (source,) = node.inputs
            before = nodes.get(source)
            if before is None or not isinstance(before.operator, Clamped | Clamp):
                what = before.kind if before else "the input"
                left.append(f"{node.name}: {what} before it carries no clamp")
            elif not graph.is_only_read_by(source, node):
                left.append(f"{node.name}: the output of {before.name} is read elsewhere too")
            else:
                del nodes[source]
                nodes[node.output] = _joined(before, node, node.operator)
                changed.append(f"{node.name} into {before.name}")
                continue
        nodes[node.output] = node
    return PassResult(graph.with_nodes(nodes.values()), tuple(changed), tuple(left))


def _joined(before: Node, node: Node, clamp: Clamp) -> Node:
    operator = before.operator
    if isinstance(operator, Clamp):
        return replace(before, operator=operator.intersect(clamp), output=node.output)
    if not isinstance(operator, Clamped):
        raise TypeError(before.kind)
    joined = clamp if operator.clamp is None else operator.clamp.intersect(clamp)
    return replace(before, operator=replace(operator, clamp=joined), output=node.output)
