"""One block of a network: how its channels flow, and what kind that makes it.

The words are those of the papers. A residual block reduces its channels, keeps them, and increases
them again (He et al.: Deep Residual Learning, CVPR 2016, figure 5); an inverted residual increases
them, keeps them, and reduces them (Sandler et al.: MobileNetV2, CVPR 2018, figure 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from converters.anatomy import LAYERS, POOLS, RESIDUAL, Place
from converters.graph import Graph, Node
from converters.operators import (
    INFINITY,
    Clamp,
    Conv,
    Gemm,
    MatMul,
    Mul,
    Shape,
    Sigmoid,
    Unary,
    clamp_of,
)

INVERTED, LINEAR_SEPARABLE = "inverted residual", "separable, linear bottleneck"
# An inverted residual but for one thing, which its paper argues against (section 3.2).
BENT = "inverted residual, non-linear bottleneck"
SEPARABLE, BOTTLENECK, BASIC = "depthwise separable", "residual bottleneck", "residual"
OTHER = "other"
CLAMPS = {(0.0, INFINITY): "ReLU", (0.0, 6.0): "ReLU6"}
# What each is, by the sorts of its layers, and whether the last of them has no activation.
KINDS: Mapping[tuple[tuple[str, ...], bool], str] = {
    (("1x1", "depthwise", "1x1"), True): INVERTED,
    (("1x1", "depthwise", "1x1"), False): BENT,
    (("depthwise", "1x1"), True): LINEAR_SEPARABLE,
    (("depthwise", "1x1"), False): SEPARABLE,
}
# The same of blocks whose sum has the activation, which a shortcut bridges.
BRIDGED: Mapping[tuple[str, ...], str] = {
    ("1x1", "convolution", "1x1"): BOTTLENECK,
    ("convolution", "convolution"): BASIC,
}


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution or dense layer on the way through a block.

    `sort`: "1x1", "depthwise", "convolution" or "dense"; `kernel`: of the window, (1, 1) of a dense
    one; `channels`: that it makes; `activation`: "linear", "ReLU", "ReLU6", "HardSwish", "SiLU" or
    another function's name.
    """

    name: str
    sort: str
    kernel: tuple[int, int]
    channels: int
    activation: str

    @property
    def called(self) -> str:
        """Its sort and window, in words."""
        if self.sort == "dense":
            return self.sort
        sort = "convolution" if self.sort == "1x1" else self.sort
        return f"{sort} {self.kernel[0]}x{self.kernel[1]}"


@dataclass(frozen=True, slots=True)
class Block:
    """Nodes that belong together, from one value that all passes through to the next.

    `input`, `output`: shapes [C, H, W], or [C] where there is one pixel; `layers`: those of the
    longest way through it, but for what weighs channels; `shortcut`: "", "identity" or
    "projection"; `has_excitation`: a squeeze-excite weighs its channels.
    """

    name: str
    nodes: tuple[Node, ...]
    input: Shape
    output: Shape
    layers: tuple[Layer, ...]
    shortcut: str
    has_excitation: bool

    @property
    def kind(self) -> str:
        """One of the names above."""
        if not self.layers:
            return OTHER
        sorts = tuple(layer.sort for layer in self.layers)
        if self.shortcut and sorts in BRIDGED:
            return BRIDGED[sorts]
        kind = KINDS.get((sorts, self.layers[-1].activation == "linear"), OTHER)
        # One that does not expand is none that was turned inside out.
        return kind if kind not in (INVERTED, BENT) or self.expansion > 1 else OTHER

    @property
    def channels(self) -> tuple[int, ...]:
        """The numbers of channels on the way: what comes in, and what each layer makes."""
        return (self.input[0], *(layer.channels for layer in self.layers))

    @property
    def expansion(self) -> float:
        """How many times wider it is inside than what comes in (t)."""
        return max(self.channels[1:-1], default=self.channels[0]) / self.channels[0]

    @property
    def stride(self) -> int:
        """How many times lower its output is than its input."""
        sides = [shape[1] if len(shape) > 1 else 1 for shape in (self.input, self.output)]
        return max(1, round(sides[0] / sides[1]))

    @property
    def flow(self) -> tuple[str, ...]:
        """What each layer does to the number of channels, in words."""
        return tuple(_step(before, after) for before, after in pairwise(self.channels))


def _step(before: int, after: int) -> str:
    if after == before:
        return "remains"
    if after > before:
        return f"increases {after / before:.3g} times"
    return f"reduces {before / after:.3g} times"


def blocks(graph: Graph, places: Mapping[str, Place]) -> tuple[Block, ...]:
    """Return the blocks of a network in order, its stem and head in single layers.

    Args: places: of each node, of `anatomy`.
    """
    groups: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if node.inputs:  # constants stand nowhere on the way
            groups.setdefault(places[node.name].block, []).append(node)
    found: list[Block] = []
    for name, nodes in groups.items():
        several = [nodes] if name.startswith("block") else _each_layer(nodes)
        found += [_block(graph, places, name, tuple(part)) for part in several]
    return tuple(found)


def _each_layer(nodes: Sequence[Node]) -> list[list[Node]]:
    """Return nodes that follow each other in groups, with one layer or pool each."""
    groups: list[list[Node]] = [[]]
    is_begun = False
    for node in nodes:
        if isinstance(node.operator, (*LAYERS, *POOLS)):
            if is_begun:
                groups.append([])
            is_begun = True
        groups[-1].append(node)
    return groups


def _block(graph: Graph, places: Mapping[str, Place], name: str, nodes: tuple[Node, ...]) -> Block:
    way = _Way(graph, nodes)
    sums = [node for node in nodes if places[node.name].part == RESIDUAL]
    layers, shortcut = way.to(nodes[-1].output), ""
    # What follows the last layer, as the pool behind the last block, is none of the block's shape.
    last = next((node for node in nodes if layers and node.name == layers[-1].name), nodes[-1])
    end = last.output
    if sums:
        end = sums[-1].output
        ways = sorted((way.to(value) for value in sums[-1].inputs), key=len)
        layers = ways[-1]
        shortcut = "projection" if ways[0] else "identity"
    return Block(
        name,
        nodes,
        _image(graph.shapes[way.start]),
        _image(graph.shapes[end]),
        tuple(layers),
        shortcut,
        way.has_excitation,
    )


def _image(shape: Shape) -> Shape:
    """Return a shape without its batch, and without sides of one pixel."""
    inner = shape[1:]
    return inner[:1] if len(inner) == 3 and inner[1:] == (1, 1) else inner


class _Way:
    """The nodes of one block, to be walked up from its end."""

    def __init__(self, graph: Graph, nodes: tuple[Node, ...]) -> None:
        self._graph = graph
        self._made = {node.output: node for node in nodes}
        constants = {node.output for node in graph.nodes if not node.inputs}
        self._moving = graph.shapes.keys() - constants
        self.start = next(
            name
            for node in nodes
            for name in node.inputs
            if name not in self._made and name in self._moving
        )
        self.has_excitation = any(self._is_excitation(node) for node in nodes)

    def to(self, value: str) -> list[Layer]:
        """Return the layers on the way from the block's input to a value of it, in order."""
        layers: list[Layer] = []
        activation = "linear"
        while value in self._made:
            node = self._made[value]
            layer = self._layer(node, activation)
            if layer is not None:
                layers.append(layer)
                activation = "linear"
            else:
                activation = self._function(node, activation)
            value = self._source(node)
        return layers[::-1]

    def _source(self, node: Node) -> str:
        """Return the input that the block's values come by: of several the largest."""
        inputs = [name for name in node.inputs if name in self._moving]
        shapes = self._graph.shapes
        # Of a value and a function of it, as x * sigmoid(x) has, the value.
        plain = [x for x in inputs if x not in self._made or self._gate(node, x) is None]
        return max(plain or inputs, key=lambda name: len(shapes[name]) and _area(shapes[name]))

    def _gate(self, node: Node, value: str) -> Node | None:
        """Return what makes `value`, where it is but a function of the other input of a product."""
        maker = self._made[value]
        others = {name for name in node.inputs if name != value}
        is_gate = isinstance(node.operator, Mul) and isinstance(maker.operator, Sigmoid)
        return maker if is_gate and others.issuperset(maker.inputs) else None

    def _is_excitation(self, node: Node) -> bool:
        """Whether a node weighs whole channels of a picture by what is said of all of it."""
        shapes = [self._graph.shapes[name] for name in node.inputs if name in self._moving]
        areas = {_area(shape) for shape in shapes}
        return isinstance(node.operator, Mul) and len(shapes) == 2 and min(areas) == 1 < max(areas)

    def _layer(self, node: Node, activation: str) -> Layer | None:
        operator, output = node.operator, self._graph.shapes[node.output]
        if isinstance(operator, Conv):
            is_gain = operator.is_depthwise and operator.kernel == (1, 1)
            if is_gain:
                return None
            sort = "depthwise" if operator.is_depthwise else "convolution"
            sort = "1x1" if operator.kernel == (1, 1) else sort
            return Layer(
                node.name, sort, operator.kernel, output[1], self._function(node, activation)
            )
        if isinstance(operator, Gemm | MatMul):
            return Layer(node.name, "dense", (1, 1), output[-1], self._function(node, activation))
        return None

    def _function(self, node: Node, activation: str) -> str:
        """Return the activation that a node brings, else the one that is known."""
        operator = node.operator
        clamp = operator if isinstance(operator, Clamp) else clamp_of(operator)
        if clamp is not None:
            return CLAMPS.get((clamp.low, clamp.high), "clamp")
        if isinstance(operator, Mul) and not self._is_excitation(node):
            gates = [self._gate(node, name) for name in node.inputs if name in self._made]
            return "SiLU" if any(gates) else activation
        return node.kind if isinstance(operator, Unary) else activation


def _area(shape: Shape) -> int:
    return shape[2] * shape[3] if len(shape) == 4 else 1
