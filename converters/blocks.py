"""The graph in blocks, as a reader thinks of it: what a scope of the exporter's names holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from converters.graph import Graph, Node
from converters.operators import Constant, Shape

# A table of more rows than this nobody reads.
MAX_BLOCKS = 40
MAX_DEPTH = 8
# What stands between the scopes of a name: "/features/features.1/conv/Conv", "block1.expand".
SEPARATORS = re.compile(r"[/.:]+")


@dataclass(frozen=True, slots=True)
class Block:
    """Nodes that follow each other and belong together; `name` is what their names share."""

    name: str
    nodes: tuple[Node, ...]

    @property
    def operators(self) -> str:
        """What it holds, most frequent first: "3 Conv, Add"."""
        counts = Counter(node.kind for node in self.nodes).most_common()
        return ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in counts)

    @property
    def last(self) -> Node:
        return self.nodes[-1]


def blocks(graph: Graph) -> tuple[Block, ...]:
    """Return the graph's nodes, but for constants, in order, in at most `MAX_BLOCKS` blocks.

    They are the finest scopes of names that are few enough; where names have no scopes, the nodes
    that give values of one height and width.
    """
    nodes = [node for node in graph.nodes if not isinstance(node.operator, Constant)]
    best: tuple[Block, ...] = ()
    for depth in range(1, MAX_DEPTH + 1):
        found = _grouped(nodes, partial(_scope, depth=depth))
        if len(found) > MAX_BLOCKS:
            break
        best = found
    return best or _grouped(nodes, lambda node: _size(graph.shapes[node.output]))[:MAX_BLOCKS]


def _grouped(nodes: list[Node], key: Callable[[Node], str]) -> tuple[Block, ...]:
    return tuple(Block(name, tuple(group)) for name, group in groupby(nodes, key))


def _scope(node: Node, depth: int) -> str:
    """Return the first `depth` parts of a node's name, without its own where it has others."""
    parts = [part for part in SEPARATORS.split(node.name) if part]
    return ".".join(parts[: min(depth, max(1, len(parts) - 1))])


def _size(shape: Shape) -> str:
    return "x".join(map(str, shape[2:])) if len(shape) == 4 else "vector"
