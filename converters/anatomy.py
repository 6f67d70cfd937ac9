"""What a network is made of, by its structure: blocks, and the part that each node plays in one.

No name is read. A block is what lies between two places that everything passes through as one
value: a shortcut keeps what it bridges together. Where there is no shortcut, what belongs to a
depthwise convolution is joined: the expansion before it and the 1x1 convolution behind it, which
without a clamp is a linear bottleneck (Sandler et al.: MobileNetV2, CVPR 2018, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from converters.graph import Graph, Node
from converters.operators import (
    Add,
    AveragePool,
    Clamp,
    Constant,
    Conv,
    Gemm,
    GlobalAveragePool,
    MatMul,
    MaxPool,
    PRelu,
    ReduceMean,
    Unary,
    clamp_of,
)

EXPAND, DEPTHWISE, BOTTLENECK, POINTWISE = "expand", "depthwise", "linear bottleneck", "pointwise"
RESIDUAL, CONVOLUTION, ONE_BY_ONE, DENSE = "residual sum", "convolution", "1x1 convolution", "dense"
PRODUCT, SUM, POOL, FUNCTION, OTHER = "product", "sum", "pool", "function", "other"
# In this order a network's parts are shown.
PARTS = (
    *(EXPAND, DEPTHWISE, BOTTLENECK, POINTWISE, RESIDUAL, CONVOLUTION, DENSE, ONE_BY_ONE),
    *(PRODUCT, SUM, POOL, FUNCTION, OTHER),
)

LAYERS = (Conv, Gemm, MatMul)
POOLS = (AveragePool, GlobalAveragePool, MaxPool, ReduceMean)
FUNCTIONS = (Clamp, PRelu, Unary)
# What may stand between a depthwise convolution and the 1x1 that ends its group: a squeeze-excite.
INSIDE = frozenset((DEPTHWISE, BOTTLENECK, POINTWISE, ONE_BY_ONE, DENSE))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands: `block` "stem", "block 3" or "head"; `part`: one of PARTS.

    Where no block has two layers, each is a "layer 3".
    """

    block: str
    part: str


@dataclass(slots=True)
class _Piece:
    """Nodes that follow each other, with the parts that its layers play."""

    nodes: list[Node]
    layers: list[str]
    is_bridged: bool  # a shortcut leads past its layers

    def awaits(self, other: _Piece) -> bool:
        """Whether `other`, which follows, still belongs to this one."""
        if not other.layers:
            return True
        if self.is_bridged or not self.layers or {BOTTLENECK, POINTWISE} & set(self.layers):
            return False
        if DEPTHWISE in self.layers:
            return INSIDE.issuperset(other.layers)
        return self.layers[-1] == EXPAND and other.layers == [DEPTHWISE]

    def take(self, other: _Piece) -> None:
        self.nodes += other.nodes
        self.layers += other.layers


def anatomy(graph: Graph) -> Mapping[str, Place]:
    """Return the place of each node, by its name; a constant stands where it is read first."""
    parts = _Parts(graph)
    pieces: list[_Piece] = []
    for piece in parts.pieces():
        if pieces and pieces[-1].awaits(piece):
            pieces[-1].take(piece)
        else:
            pieces.append(piece)
    blocks = [i for i, piece in enumerate(pieces) if len(piece.layers) > 1 or piece.is_bridged]
    places = {
        node.name: Place(_name(index, blocks), parts.of[node.name])
        for index, piece in enumerate(pieces)
        for node in piece.nodes
    }
    for node in graph.nodes:
        if isinstance(node.operator, Constant):
            readers = graph.consumers[node.output]
            places[node.name] = Place(places[readers[0].name].block if readers else "head", OTHER)
    return places


def _name(index: int, blocks: list[int]) -> str:
    if not blocks:
        return f"layer {index + 1}"
    if index < blocks[0]:
        return "stem"
    return "head" if index > blocks[-1] else f"block {index - blocks[0] + 1}"


def _is_layer(node: Node) -> bool:
    """Whether a node brings values together; one gain for each channel does not."""
    operator = node.operator
    is_gain = isinstance(operator, Conv) and operator.is_depthwise and operator.kernel == (1, 1)
    return isinstance(operator, LAYERS) and not is_gain


class _Parts:
    """The part of each node, by its name, and where the network can be cut."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = [node for node in graph.nodes if not isinstance(node.operator, Constant)]
        moving = set(graph.inputs)
        for node in self.nodes:
            if moving.intersection(node.inputs):
                moving.add(node.output)
        self._moving = moving
        self.of = {node.name: self._part(node) for node in self.nodes}

    def pieces(self) -> list[_Piece]:
        """Return the nodes between the places where one value is all that is still to be read."""
        last = {name: index for index, node in enumerate(self.nodes) for name in node.inputs}
        pieces: list[_Piece] = []
        piece = _Piece([], [], is_bridged=False)
        alive = set(self.graph.inputs)
        for index, node in enumerate(self.nodes):
            piece.nodes.append(node)
            if _is_layer(node):
                piece.layers.append(self.of[node.name])
            alive |= {node.output} & self._moving
            alive -= {name for name in alive if last.get(name, -1) <= index}
            if len(alive) > 1:
                piece.is_bridged = True
                continue
            piece.is_bridged &= bool(piece.layers)
            if piece.is_bridged and self.of[node.name] == SUM:
                self.of[node.name] = RESIDUAL
            pieces.append(piece)
            piece = _Piece([], [], is_bridged=False)
        return [*pieces, piece] if piece.nodes else pieces

    def _part(self, node: Node) -> str:
        operator = node.operator
        if isinstance(operator, Conv):
            return self._convolution(node, operator)
        if isinstance(operator, Add) and self._moving.issuperset(node.inputs):
            return SUM
        kinds = ((Gemm, DENSE), (MatMul, PRODUCT), (POOLS, POOL), (FUNCTIONS, FUNCTION))
        return next((part for kind, part in kinds if isinstance(operator, kind)), OTHER)

    def _convolution(self, node: Node, conv: Conv) -> str:
        if conv.is_depthwise:
            return DEPTHWISE if _is_layer(node) else OTHER
        if conv.kernel != (1, 1):
            return CONVOLUTION
        if self._leads_to_depthwise(node, up=True):
            readers = self.graph.consumers[node.output]
            bent = clamp_of(conv) or any(isinstance(r.operator, FUNCTIONS) for r in readers)
            return POINTWISE if bent else BOTTLENECK
        return EXPAND if self._leads_to_depthwise(node, up=False) else ONE_BY_ONE

    def _leads_to_depthwise(self, node: Node, *, up: bool) -> bool:
        """Whether a depthwise convolution is a next layer, past functions and products."""
        producers, consumers = self.graph.producers, self.graph.consumers

        def beside(one: Node) -> list[Node]:
            if up:
                return [producers[name] for name in one.inputs if name in producers]
            return list(consumers[one.output])

        waiting, seen = beside(node), {node.name}
        while waiting:
            other = waiting.pop()
            if _is_layer(other):
                if isinstance(other.operator, Conv) and other.operator.is_depthwise:
                    return True
            elif other.name not in seen and not isinstance(other.operator, (*POOLS, Add)):
                waiting += beside(other)
            seen.add(other.name)
        return False
