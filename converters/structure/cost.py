"""What parts of a network cost: in numbers to hold, to multiply and to move."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from converters.cost import most_held
from converters.graph import Graph, Node
from converters.operators import Conv, Gemm, Weighted, multiply_adds


@dataclass(frozen=True, slots=True)
class Cost:
    """`parameters`: weights and biases, BatchNormalization folded into them; `multiply_adds` of
    convolutions and dense layers, for one picture; `moved`: numbers read and written by them,
    weights included, as if each layer fetched its own.
    """

    parameters: int = 0
    multiply_adds: int = 0
    moved: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.parameters + other.parameters,
            self.multiply_adds + other.multiply_adds,
            self.moved + other.moved,
        )

    @property
    def intensity(self) -> float:
        """Multiply-adds for each number moved: where it is low, memory sets the pace (S. Williams
        et al.: Roofline, 2009). In int8 a number is a byte, in float32 four.
        """
        return self.multiply_adds / self.moved if self.moved else 0.0


def cost_of(graph: Graph, nodes: Iterable[Node]) -> Cost:
    """Return what some nodes cost together."""
    return sum((_one(graph, node) for node in nodes), Cost())


def _one(graph: Graph, node: Node) -> Cost:
    operator, shapes = node.operator, graph.shapes
    held = 0
    if isinstance(operator, Weighted):
        held = operator.weight.size + operator.bias.size
    moved = 0
    if isinstance(operator, Conv | Gemm):
        read = sum(math.prod(shapes[name]) for name in node.inputs)
        moved = held + read + math.prod(shapes[node.output])
    return Cost(held, multiply_adds(operator, shapes[node.output]), moved)


def peak_values(graph: Graph) -> int:
    """Return how many numbers of activations are alive at once, each until its last reader."""
    return most_held(graph)


def four_ways(
    input_hw: tuple[int, int], in_channels: int, out_channels: int, kernel: int, expansion: float
) -> Mapping[str, Cost]:
    """Return what four ways from one shape to another cost (stride 1, without biases).

    They are those of figure 2 of Sandler et al.: MobileNetV2 (CVPR 2018). A linear bottleneck costs
    what a separable convolution does: what differs is that nothing is cut off behind it.
    """
    area = input_hw[0] * input_hw[1]
    inner = round(expansion * in_channels)

    def layers(*shapes: tuple[int, int, int]) -> Cost:
        total = Cost()
        for weights, read, made in shapes:
            total += Cost(weights, weights * area, weights + (read + made) * area)
        return total

    window = kernel * kernel
    separable = layers(
        (window * in_channels, in_channels, in_channels),
        (in_channels * out_channels, in_channels, out_channels),
    )
    return {
        "regular convolution": layers(
            (window * in_channels * out_channels, in_channels, out_channels)
        ),
        "separable": separable,
        "separable with linear bottleneck": separable,
        "bottleneck with expansion layer": layers(
            (in_channels * inner, in_channels, inner),
            (window * inner, inner, inner),
            (inner * out_channels, inner, out_channels),
        ),
    }
